"""What do we remember, in a Redis that many processes share? Projects, prompts, kept answers; `runs` has the runs."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llm_backend.adapters.store import CORRECTIONS_MOST, Kept, Project
from llm_backend.adapters.store.redis.counts import RedisCounts
from llm_backend.adapters.store.redis.examples import RedisExamples
from llm_backend.adapters.store.redis.given import RedisHandingOver
from llm_backend.adapters.store.redis.run_rows import written_kept
from llm_backend.adapters.store.redis.runs import LEASE_SECONDS, RedisRuns
from llm_backend.adapters.store.redis.server import AT_ONCE, at, once, short, slices
from llm_backend.core.wire import JSON

_FIELDS = (
    *("key", "prompt", "prompt_origin", "pinned", "extra_params", "hostname", "access_token", "label_config"),
    "calibration",
    "updated",
)


class RedisStore(RedisRuns, RedisHandingOver, RedisExamples, RedisCounts):
    """The shared home of the `Store` protocol. Open it in each process that uses it, after any fork."""

    def __init__(
        self,
        url: str,
        *,
        keep_days: float = 7.0,
        keep_most: int = 100_000,
        notes_most: int = 10_000,
        runs_most: int = 200,
        corrections_most: int = CORRECTIONS_MOST,
        clock: Callable[[], float] = time.time,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        """Connect, bring what is stored to the current schema, and prune it.

        Args:
            url: redis://, rediss:// or unix://, with user and password where they are needed.
            keep_days: Age at which kept answers and finished runs end.
            keep_most: How many answers are kept in all.
            notes_most: How many annotations' prompts are remembered of each project.
            runs_most: How many finished runs are remembered.
            corrections_most: How many corrections are remembered of each project.
            clock: Seconds since 1970; the clocks of machines that share a Redis agree within some seconds.
            lease_seconds: How long a run whose adding came to a halt stands in the way of others.
        Raises:
            SettingsError: Redis cannot be reached or used, or a later release stored something there.
        """
        super().__init__(
            url,
            keep_days=keep_days,
            keep_most=keep_most,
            runs_most=runs_most,
            clock=clock,
            lease_seconds=lease_seconds,
        )
        self._notes_most = notes_most
        self.corrections_most = corrections_most
        try:
            self._prune_runs()
            while self._script("trim", *self._bounds()[:2], AT_ONCE):
                pass
        except BaseException:  # Ctrl-C, too: nobody has this store yet who would close it
            self.close()
            raise

    def project(self, key: str) -> Project:
        return _project(self._do("HMGET", at("project", short(key)), *_FIELDS)) or Project(key)

    def projects(self) -> tuple[Project, ...]:
        known = self._do("ZREVRANGE", at("projects"), 0, -1)
        rows = self._do_all(("HMGET", at("project", name), *_FIELDS) for name in known)
        found = [project for row in rows if (project := _project(row)) is not None]
        return tuple(sorted(found, key=lambda project: (-project.updated, project.key)))

    def save_setup(
        self, key: str, hostname: str, access_token: str, extra_params: Mapping[str, JSON], label_config: str = ""
    ) -> None:
        # The host repeats its /setup whenever a page is opened: what changes nothing is not written.
        told = (hostname, access_token, json.dumps(dict(extra_params)), label_config)
        self._script("save_setup", short(key), key, self._clock(), *told)

    def save_prompt(self, key: str, text: str, origin: str) -> None:
        self._script("save_prompt", short(key), key, self._clock(), text, origin, 0)

    def pin_prompt(self, key: str, text: str) -> None:
        self._script("save_prompt", short(key), key, self._clock(), text, "pinned", 1)

    def reset_prompt(self, key: str) -> None:
        self._script("reset_prompt", short(key), self._clock())

    def save_calibration(self, key: str, calibration: Mapping[str, JSON] | None) -> None:
        told = json.dumps(dict(calibration)) if calibration else ""
        self._script("save_calibration", short(key), told, self._clock())

    def forget(self, key: str) -> None:
        name = short(key)
        keys = [at(kind, name) for kind in ("project", "notes", "noted")]
        self._do_all([("UNLINK", *keys), ("ZREM", at("projects"), name)], as_one=True)
        self._forget_examples(name)
        for run_id in self._runs_of(name):
            self._remove(run_id)
        for scope in self._do("SMEMBERS", at("scopes", name)):
            self._forget_kept(scope)
        self._do("UNLINK", at("scopes", name))

    def annotation_prompt(self, key: str, annotation_id: int) -> str | None:
        prompt: str | None = self._do("HGET", at("notes", short(key)), annotation_id)
        return prompt

    def note_annotation_prompt(self, key: str, annotation_id: int, prompt: str) -> None:
        self._script("note", short(key), annotation_id, prompt, self._notes_most)

    def forget_annotations(self, key: str, annotation_ids: Iterable[int]) -> None:
        name = short(key)
        for some in slices(annotation_ids, AT_ONCE):
            self._do_all([("HDEL", at("notes", name), *some), ("ZREM", at("noted", name), *some)], as_one=True)

    def kept(self, key: str, version: str, digests: Iterable[str]) -> dict[str, Kept]:
        held, since = at("kept", short(key, version)), self._clock() - self._age
        found: dict[str, Kept] = {}
        for some in slices(once(digests), AT_ONCE):
            values = zip(some, self._do("HMGET", held, *some), strict=True)
            read = {digest: _kept(digest, value) for digest, value in values if value}
            found.update((digest, kept) for digest, kept in read.items() if kept.made > since)
        return found

    def keep(self, key: str, version: str, kept: Kept) -> None:
        self._script(
            "keep", short(key), short(key, version), *self._bounds(), kept.digest, written_kept(kept), kept.made
        )

    def drop(self, key: str, version: str, digest: str) -> None:
        scope = short(key, version)
        self._do_all(
            [("HDEL", at("kept", scope), digest), ("ZREM", at("ages"), f"{scope}:{digest}")],
            as_one=True,
        )

    def _runs_of(self, project: str) -> list[str]:
        """The runs of a project, by its short name."""
        idents = [member.partition(":")[2] for member in self._do("ZRANGE", at("runs"), 0, -1)]
        found = self._do_all(("HGET", at("run", ident), "project") for ident in idents)
        return [ident for ident, name in zip(idents, found, strict=True) if name == project]

    def _forget_kept(self, scope: str) -> None:
        """Remove the kept answers of a project's version, slice by slice, with their entries in the list of ages."""
        cursor: Any = None
        while cursor is None or int(cursor):
            cursor, held = self._do("HSCAN", at("kept", scope), cursor or 0, "COUNT", AT_ONCE)
            for some in slices(held, AT_ONCE):
                self._do("ZREM", at("ages"), *(f"{scope}:{digest}" for digest in some))
        self._do("UNLINK", at("kept", scope))


def _project(row: Any) -> Project | None:
    key, prompt, origin, pinned, extra_params, hostname, access_token, label_config, calibration, updated = row
    if key is None:
        return None
    return Project(
        key=key,
        prompt=prompt,
        prompt_origin=origin or "",
        pinned=pinned == "1",
        extra_params=json.loads(extra_params or "{}"),
        hostname=hostname or "",
        access_token=access_token or "",
        label_config=label_config or "",
        calibration=json.loads(calibration) if calibration else None,
        updated=float(updated),
    )


def _kept(digest: str, value: str) -> Kept:
    made, lasting, reason, prediction = json.loads(value[1:])
    return Kept(digest, prediction, reason, lasting, made)
