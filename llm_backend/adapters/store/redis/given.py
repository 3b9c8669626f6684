"""What was handed over of late, in Redis, and to a request that began when?

given:<s>:<n>  for a project's version and a period of time: digest -> when, and by whose word
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

    def give(self, project: str, version: str, digests: Iterable[str], asked: float) -> set[str]:
        return self._take(project, version, digests, asked, secrets.token_hex(4))

    def hold(
        self, project: str, version: str, digests: Iterable[str], asked: float, holder: str, seconds: float
    ) -> set[str]:
        return self._take(project, version, digests, asked, holder, max(1, int(seconds * 1000)))

    def let_go(self, project: str, version: str, digests: Iterable[str], holder: str, *, handed: bool = False) -> None:
        now, scope = self._clock(), short(project, version)
        told = (scope, holder, now if handed else "", _periods(now)[0], _LIFE)
        for some in slices(once(digests), AT_ONCE):
            self._script("let_go", *told, *some)

    def given_since(self, project: str, version: str, digest: str, asked: float) -> bool:
        now, scope = self._clock(), short(project, version)
        found = self._do_all(("HGET", at("given", scope, str(period)), digest) for period in _periods(now))
        return any(asked <= float(one.split()[0]) <= now + CLOCKS_APART for one in found if one)

    def _take(
        self, project: str, version: str, digests: Iterable[str], asked: float, token: str, milliseconds: int = 0
    ) -> set[str]:
        now = self._clock()
        scope, (this, before) = short(project, version), _periods(now)
        told = (now, now + CLOCKS_APART, asked, token, scope, this, before, _LIFE, milliseconds)
        mine: set[str] = set()
        for some in slices(once(digests), AT_ONCE):
            mine.update(some[number - 1] for number in self._script("give", *told, *some))
        return mine


def _periods(now: float) -> tuple[int, int]:
    """This period of time and the one before: what was handed over is remembered by period."""
    return int(now // GIVEN_SECONDS), int(now // GIVEN_SECONDS) - 1
