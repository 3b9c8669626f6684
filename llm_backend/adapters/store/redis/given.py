"""What was handed over of late, in Redis, and to a request that began when?

given:<s>:<n>  for a project's version and a period of time: digest -> when, when it is shown, and by whose word
"""

import secrets
from collections.abc import Iterable

from llm_backend.adapters.store.redis.server import AT_ONCE, RedisServer, at, once, short, slices

GIVEN_SECONDS = 600
"""Longer than any request waits: of two that wait at the same time, the later one is answered within this."""
CLOCKS_APART = 5.0
"""Seconds by which the clocks of machines may differ."""
_LIFE = 3 * GIVEN_SECONDS


class RedisHandingOver(RedisServer):
    """The `HandingOver` part of the shared home."""

    def give(
        self, project: str, version: str, digests: Iterable[str], asked: float, *, shown_within: float = 0.0
    ) -> set[str]:
        return self._take(project, version, digests, secrets.token_hex(4), asked=asked, shown_within=shown_within)

    def hold(self, project: str, version: str, digests: Iterable[str], holder: str, seconds: float) -> set[str]:
        return self._take(project, version, digests, holder, milliseconds=max(1, int(seconds * 1000)))

    def let_go(
        self, project: str, version: str, digests: Iterable[str], holder: str, *, shown_within: float | None = None
    ) -> None:
        now, scope = self._clock(), short(project, version)
        given = "" if shown_within is None else f"{now} {now + shown_within} "  # by nobody's word
        told = (scope, holder, given, _periods(now)[0], _LIFE)
        for some in slices(once(digests), AT_ONCE):
            self._script("let_go", *told, *some)

    def given_since(self, project: str, version: str, digest: str, asked: float) -> bool:
        now, scope = self._clock(), short(project, version)
        found = self._do_all(("HGET", at("given", scope, str(period)), digest) for period in _periods(now))
        return any(asked <= float(one.split()[0]) <= now + CLOCKS_APART for one in found if one)

    def _take(
        self,
        project: str,
        version: str,
        digests: Iterable[str],
        token: str,
        *,
        asked: float = 0.0,
        shown_within: float = 0.0,
        milliseconds: int = 0,
    ) -> set[str]:
        """Those of the digests that are free: now they were handed over, or are held for so many milliseconds."""
        now = self._clock()
        times = (now, now + CLOCKS_APART, asked, now + shown_within, milliseconds)
        told = (*times, token, short(project, version), *_periods(now), _LIFE)
        mine: set[str] = set()
        for some in slices(once(digests), AT_ONCE):
            mine.update(some[number - 1] for number in self._script("give", *told, *some))
        return mine


def _periods(now: float) -> tuple[int, int]:
    """This period of time and the one before: what was handed over is remembered by period."""
    return int(now // GIVEN_SECONDS), int(now // GIVEN_SECONDS) - 1
