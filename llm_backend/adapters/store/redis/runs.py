"""What do we remember of runs, in Redis?

A run's tasks stand side by side in few keys, each found by its place:

    run:<id>      what the run is, its state and its counts
    letters:<id>  one letter per task: w(aiting), d(one), f(ailed), c(ancelled)
    texts:<id>    the tasks that are not answered: place -> digest, id and data
    names:<id>    digests and ids of all tasks, some hundreds in each entry: first place -> names
    reasons:<id>  why tasks failed: place -> sentence
    claims:<s>    for a project's version: digest -> place and run that it waits in

A claim counts for as long as its task's letter says that it waits. A run is hidden until its last task has come, and
from before its first one goes; what a killed process left half-way is removed when its lease has ended.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Literal, TypeVar

from llm_backend.adapters.store import Settled
from llm_backend.adapters.store.redis.run_rows import (
    LETTERS,
    RUN_FIELDS,
    places_of,
    read_run,
    read_task,
    settle_words,
    written_task,
)
from llm_backend.adapters.store.redis.server import AT_ONCE, RedisServer, at, once, short, slices
from llm_backend.core.run import TASK_STATES, UNFINISHED, Run, RunState, RunTask, TaskState, TaskStatus
from llm_backend.errors import StoreError, UnknownRun

T = TypeVar("T")

DAY = 86_400.0
SETTLED_AT_ONCE = 200
BYTES_AT_ONCE = 1_000_000
LEASE_SECONDS = 30
"""How long a run that is being added stands without a further slice of its tasks."""


class RedisRuns(RedisServer):
    """The `Runs` part of the shared home."""

    def __init__(
        self,
        url: str,
        *,
        keep_days: float,
        keep_most: int,
        runs_most: int,
        clock: Callable[[], float] = time.time,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        super().__init__(url, clock=clock)
        self._age, self._keep_most, self._runs_most = keep_days * DAY, keep_most, runs_most
        self._lease = lease_seconds

    def add_run(self, run: Run, tasks: Iterable[RunTask]) -> tuple[str, ...]:
        self._prune_runs()
        self._begin(run)
        try:
            mine = self._add(run, _first_of_each(tasks, lambda task: task.digest))
            if mine and not self._script("show_run", run.id, run.state):
                raise _too_slow()
        except BaseException:  # whatever ends the tasks that come in: a run of a part of them must not stay
            self._give_up(run.id)
            raise
        if not mine:
            self._remove(run.id)
        return mine

    def run(self, run_id: str) -> Run | None:
        return read_run(run_id, self._do("HMGET", at("run", run_id), *RUN_FIELDS))

    def runs(self, states: Collection[RunState] = (), most: int = 100) -> tuple[Run, ...]:
        among = "unfinished" if states and set(states) <= set(UNFINISHED) else "runs"
        found: list[Run] = []
        start = 0
        while len(found) < most and (members := self._do("ZREVRANGE", at(among), start, start + 99)):
            idents = [_ident(member) for member in members]
            rows = self._do_all(("HMGET", at("run", ident), *RUN_FIELDS) for ident in idents)
            read = [read_run(ident, row) for ident, row in zip(idents, rows, strict=True)]
            found += [run for run in read if run is not None and (not states or run.state in states)]
            start += len(members)
        return tuple(found[:most])

    def runs_waiting_for(self, project: str, version: str, digests: Iterable[str]) -> dict[str, str]:
        waiting: dict[str, str] = {}
        letters: dict[str, str] = {}
        for some in slices(once(digests), AT_ONCE):
            claims = self._claims(short(project, version), some)
            unseen = {run_id for _, run_id in claims.values()} - letters.keys()
            letters.update((run_id, self._look_up(run_id)[0]) for run_id in unseen)
            waiting.update((d, run_id) for d, (place, run_id) in claims.items() if letters[run_id][place:][:1] == "w")
        return waiting

    def waiting_tasks(self, run_id: str, most: int, after: int = -1) -> tuple[tuple[int, RunTask], ...]:
        places = places_of(self._known(run_id)[0], "w", most, after)
        return tuple((place, read_task(text)) for place, text in self._texts(run_id, places))

    def waiting_among(self, run_id: str, digests: Iterable[str]) -> tuple[RunTask, ...]:
        letters, _, scope = self._known(run_id)
        places: list[int] = []
        for some in slices(once(digests), AT_ONCE):
            claims = self._claims(scope, some).values()
            places += [place for place, owner in claims if owner == run_id and letters[place:][:1] == "w"]
        return tuple(read_task(text) for _, text in self._texts(run_id, sorted(places)))

    def task_statuses(
        self, run_id: str, states: Collection[TaskState] = (), most: int = 1000, after: int = -1
    ) -> tuple[TaskStatus, ...]:
        letters, *_ = self._known(run_id)
        places = places_of(letters, "".join(state[0] for state in states or TASK_STATES), most, after)
        names = self._names(run_id, places)
        failed = [place for place in places if letters[place] == "f" and place in names]
        reasons: dict[int, str] = {}
        for some in slices(failed, AT_ONCE):
            found = self._do("HMGET", at("reasons", run_id), *some)
            reasons.update((place, json.loads(reason)) for place, reason in zip(some, found, strict=True) if reason)
        return tuple(
            TaskStatus(*names[place], LETTERS[letters[place]], reasons.get(place, ""), place)
            for place in places
            if place in names
        )

    def settle(self, run_id: str, settled: Sequence[Settled]) -> RunState:
        """See `Runs`. Of a large bulk, a few hundred are one transaction; an answer for a task that waits no more is
        kept if there is none yet."""
        state: RunState | None = None
        outcomes = list(_first_of_each(settled, lambda one: one.kept.digest))
        for some in slices(outcomes, SETTLED_AT_ONCE) if outcomes else [[]]:
            told = [word for one in some for word in settle_words(one)]
            state = self._script("settle", run_id, self._clock(), *self._bounds(), *told)
            if state is None:
                raise _unknown(run_id)
        assert state is not None
        if state == "completed":
            self._prune_runs()
        return state

    def set_run_state(self, run_id: str, state: RunState, reason: str = "", *, only: Collection[RunState] = ()) -> bool:
        found = self._script("move_run", run_id, self._clock(), state, json.dumps(reason), *only)
        if found is None:
            raise _unknown(run_id)
        held, moved = found
        if moved and state not in UNFINISHED and held in UNFINISHED:
            self._free_claims(run_id)
            self._prune_runs()
        return bool(moved)

    def retry_run(self, run_id: str) -> int:
        letters, state, _ = self._known(run_id)
        among = "fc" if state in ("cancelled", "failed") else "f"
        again = 0
        for named in self._named(run_id, places_of(letters, among, len(letters))):
            waiting = self._script("wait_again", run_id, int(not again), *named)
            if waiting is None:
                raise _unknown(run_id)
            again += waiting
        return again

    def _bounds(self) -> tuple[float, int, int]:
        """What bounds kept answers: when made, how many, and in how many seconds a version's go if none is added."""
        return self._clock() - self._age, self._keep_most, int(self._age + DAY)

    def _begin(self, run: Run) -> None:
        """Store the run without tasks, hidden."""
        held = {
            "spec": json.dumps(run.spec.to_json()),
            "scope": short(run.spec.project, run.spec.version),
            "project": short(run.spec.project),
            "reason": json.dumps(run.reason),
            "created": run.created,
            "started": run.started,
            "finished": run.finished,
        }
        self._script("begin_run", run.id, self._lease, *(word for pair in held.items() for word in pair))

    def _add(self, run: Run, tasks: Iterable[RunTask]) -> tuple[str, ...]:
        """Add those of the tasks that wait nowhere, slice by slice. Returns their digests."""
        mine: list[str] = []
        scope = short(run.spec.project, run.spec.version)
        written = ((task, *written_task(task)) for task in tasks)
        for some in slices(written, AT_ONCE, lambda one: len(one[2]), BYTES_AT_ONCE):
            told = [word for task, name, text in some for word in (task.digest, name, text)]
            numbers = self._script("add_tasks", run.id, scope, self._lease, *told)
            if numbers is None:
                raise _too_slow()
            mine += [some[number - 1][0].digest for number in numbers]
        return tuple(mine)

    def _give_up(self, run_id: str) -> None:
        """Remove what has come of a run that could not be added. If that fails, it goes when its lease has ended."""
        try:
            self._do("ZADD", at("hidden"), "XX", 0, run_id)
            self._remove(run_id)
        except StoreError:
            pass

    def _look_up(self, run_id: str) -> tuple[str, str, str]:
        """The letters of a run's tasks, its state, and the short name of its version; all empty if it is unknown."""
        (state, scope), letters = self._do_all(
            [("HMGET", at("run", run_id), "state", "scope"), ("GET", at("letters", run_id))]
        )
        return (letters, state, scope) if letters and state and state != "hidden" else ("", "", "")

    def _known(self, run_id: str) -> tuple[str, str, str]:
        """See `_look_up`.

        Raises:
            UnknownRun: There is no such run.
        """
        found = self._look_up(run_id)
        if not found[0]:
            raise _unknown(run_id)
        return found

    def _named(self, run_id: str, places: Sequence[int]) -> Iterator[list[Any]]:
        """Place and digest of the tasks at these places, one after the other, in slices for a script."""
        for some in slices(places, AT_ONCE):
            if names := self._names(run_id, some):  # none: somebody else removes the run, and was faster
                yield [word for place, (digest, _) in names.items() for word in (place, digest)]

    def _claims(self, scope: str, digests: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Where questions were said to wait: place and run, by digest."""
        found = self._do("HMGET", at("claims", scope), *digests)
        taken = ((digest, claim.partition(":")) for digest, claim in zip(digests, found, strict=True) if claim)
        return {digest: (int(place), run_id) for digest, (place, _, run_id) in taken}

    def _texts(self, run_id: str, places: Sequence[int]) -> list[tuple[int, str]]:
        """The tasks at these places; one that was answered in this moment is missing."""
        found: list[tuple[int, str]] = []
        for some in slices(places, AT_ONCE):
            texts = self._do("HMGET", at("texts", run_id), *some)
            found += [(place, text) for place, text in zip(some, texts, strict=True) if text]
        return found

    def _names(self, run_id: str, places: Sequence[int]) -> dict[int, tuple[str, Any]]:
        """Digest and id of the tasks at these places, which are in order."""
        if not places:
            return {}
        firsts = sorted(map(int, self._do("HKEYS", at("names", run_id))))
        wanted = set(places)
        ends = [*firsts[1:], places[-1] + 1]
        entries = [first for first, end in zip(firsts, ends, strict=False) if first <= places[-1] and end > places[0]]
        names: dict[int, tuple[str, Any]] = {}
        for some in slices(entries, 20):
            for first, entry in zip(some, self._do("HMGET", at("names", run_id), *some), strict=True):
                held = enumerate(json.loads(entry or "[]"), start=first)
                names.update((place, tuple(name)) for place, name in held if place in wanted)
        return names

    def _free_claims(self, run_id: str, *, removed: bool = False) -> None:
        """Free what the tasks of an ended run claimed; nothing counts it any more, but it takes room.

        Args:
            removed: Whether the run is being removed, so that none of its tasks waits whatever is noted.
        """
        scope, letters = self._do_all([("HGET", at("run", run_id), "scope"), ("GET", at("letters", run_id))])
        if not scope or not letters:
            return
        places = places_of(letters, "wc" if removed else "c", len(letters))
        for named in self._named(run_id, places):
            self._script("free_claims", run_id, scope, int(removed), *named)

    def _prune_runs(self) -> None:
        """Remove finished runs past their age or beyond their number, and what was left half-way; some of each."""
        old, many, hidden = self._do_all(
            [
                ("ZRANGEBYSCORE", at("finished"), "-inf", self._clock() - self._age, "LIMIT", 0, 10),
                ("ZREVRANGE", at("finished"), self._runs_most, self._runs_most + 9),
                ("ZRANGE", at("hidden"), 0, 9),
            ]
        )
        for member in dict.fromkeys([*old, *many]):
            self._remove(_ident(member), "finished")
        for run_id in hidden:
            self._remove(run_id, "abandoned")

    def _remove(self, run_id: str, which: Literal["any", "finished", "abandoned"] = "any") -> None:
        """Remove a run if it may go: first it is hidden, then its tasks go, then itself."""
        if not self._script("hide_run", run_id, which):
            return
        self._free_claims(run_id, removed=True)
        keys = [at(kind, run_id) for kind in ("letters", "texts", "names", "reasons", "run")]
        self._do_all([("UNLINK", *keys), ("ZREM", at("hidden"), run_id)], as_one=True)


def _first_of_each(values: Iterable[T], digest: Callable[[T], str]) -> Iterator[T]:
    """The values in their order; of two with one digest, the first."""
    seen: set[str] = set()
    for value in values:
        if (name := digest(value)) not in seen:
            seen.add(name)
            yield value


def _ident(member: str) -> str:
    return member.partition(":")[2]


def _unknown(run_id: str) -> UnknownRun:
    return UnknownRun(f'There is no run "{run_id}"; finished ones are forgotten after a while.')


def _too_slow() -> StoreError:
    return StoreError("The run came in too slowly, and was given up: ask again.")
