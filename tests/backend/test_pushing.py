"""Which answers are still to be pushed, where to, and who pushes them now?"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm_backend.adapters.host import Guest, Host, HostError
from llm_backend.adapters.runs import Question
from llm_backend.adapters.store import Kept, Project, Store
from llm_backend.adapters.store.given import Given
from llm_backend.backend.push import Push, PushReport
from llm_backend.backend.pushing import Pushing, Targets, shown_within
from llm_backend.core.wire import Prediction, Region
from llm_backend.errors import StoreError
from tests.adapters.store.homes import HOMES
from tests.support.host_stub import KEY, LEGACY, StubHost, serving
from tests.support.sites import Site
from tests.support.waits import Pauses

VERSION = "stub-model-ab12"
SETUP_TOKEN = "5" * 40
OPERATORS = "7" * 40


@dataclass
class Answers:
    """The part of the store that pushing needs, with its words on handing over taken literally."""

    pauses: Pauses
    hostname: str = ""
    access_token: str = ""
    answers: dict[str, Kept] = field(default_factory=dict)
    waited_for: set[str] = field(default_factory=set)
    broken: bool = False

    def __post_init__(self) -> None:
        self.given = Given(self.pauses.clock)

    def keep(self, tasks: Iterable[int]) -> None:
        made = Prediction((Region("tone", "text", "choices", {"choices": ["good"]}),))
        for task in tasks:
            self.answers[f"digest-{task}"] = Kept(f"digest-{task}", made.to_json(), "", False, self.pauses.now)

    def project(self, key: str) -> Project:
        return Project(key, hostname=self.hostname, access_token=self.access_token)

    def kept(self, key: str, version: str, digests: Iterable[str]) -> dict[str, Kept]:
        if self.broken:
            raise StoreError("The disk is full.")
        return {digest: self.answers[digest] for digest in digests if digest in self.answers}

    def give(self, digest: str, asked: float, shown: float = 10.0) -> bool:
        """Whether a request that began at `asked` is given this answer now, which the host shows so much later."""
        return bool(self.given.give(KEY, VERSION, [digest], asked, shown_within=shown))

    def hold(self, project: str, version: str, digests: Iterable[str], holder: str, seconds: float) -> set[str]:
        return self.given.hold(project, version, digests, holder, float("inf"))  # these pauses take no time

    def let_go(
        self, project: str, version: str, digests: Iterable[str], holder: str, *, shown_within: float | None = None
    ) -> None:
        if self.broken:
            raise StoreError("The disk is full.")
        self.given.let_go(project, version, digests, holder, shown_within=shown_within)

    def runs_waiting_for(self, project: str, version: str, digests: Iterable[str]) -> dict[str, str]:
        return dict.fromkeys(self.waited_for & set(digests), "run")


@dataclass
class Scene:
    """A stub of Label Studio, what is kept, and who pushes it there."""

    studio: StubHost
    here: Site
    pauses: Pauses
    store: Answers
    targets: Targets
    pushing: Pushing

    def settle(self, *tasks: int, version: str = VERSION) -> None:
        self.store.keep(tasks)
        for task in tasks:
            self.pushing.settled(question(task, version), task)

    async def storing(self, *tasks: int) -> asyncio.Event:
        """Have these settled; returns, while the host is storing what comes first, what lets it go on."""
        self.studio.hold = asyncio.Event()
        self.settle(*tasks)
        await self.studio.during_import.wait()
        return self.studio.hold

    async def done(self) -> PushReport:
        """What became of all that was settled."""
        async with asyncio.timeout(10):
            await self.pushing.idle()
        return self.pushing.reports[KEY]


def question(task: int, version: str = VERSION) -> Question:
    return Question(KEY, version, f"digest-{task}")


def play(
    scene: Callable[[Scene], Awaitable[None]],
    studio: StubHost | None = None,
    *,
    setup: bool = False,
    operators: str = LEGACY,
    allowed: Collection[str] = (),
    most: int = 500,
) -> None:
    """
    Args:
        setup: Whether only /setup told of the host.
        operators: The operator's key; "" for none.
    """

    async def run() -> None:
        asked = studio or StubHost(set(range(1, 1001)))
        pauses = Pauses()
        async with AsyncExitStack() as stack:
            here = await stack.enter_async_context(serving(asked))
            store = Answers(pauses, here.origin, SETUP_TOKEN)
            own = None if setup else Host(here.origin, operators, seconds=5.0)
            if own:
                stack.push_async_callback(own.close)
            targets = Targets(store, own, allowed, clock=pauses.clock)
            stack.push_async_callback(targets.close)
            push = Push(clock=pauses.clock, sleep=pauses.sleep)
            pushing = Pushing(store, targets, push, most=most, clock=pauses.clock, sleep=pauses.sleep)
            stack.push_async_callback(pushing.close)
            await scene(Scene(asked, here, pauses, store, targets, pushing))

    asyncio.run(run())


def test_answers_are_gathered_for_a_moment_and_pushed_together() -> None:
    async def scene(at: Scene) -> None:
        at.settle(1, 2, 3)
        assert await at.done() == PushReport(stored=3)
        assert at.studio.imports == [[1, 2, 3]]
        assert at.pauses.taken == [1.0]
        at.settle(4)
        assert await at.done() == PushReport(stored=4)

    play(scene)


def test_many_answers_do_not_wait_for_more() -> None:
    async def scene(at: Scene) -> None:
        at.settle(*range(1, 11))
        await at.done()
        assert [len(tasks) for tasks in at.studio.imports] == [4, 4, 2]
        assert at.pauses.taken == [1.0]

    play(scene, most=4)


def test_every_version_keeps_its_name() -> None:
    async def scene(at: Scene) -> None:
        at.settle(1, version="first")
        at.settle(1, 2, version="second")
        await at.done()
        assert (at.studio.having("first"), at.studio.having("second")) == ([1], [1, 2])

    play(scene)


def test_the_same_answer_is_pushed_once_however_often_it_settles() -> None:
    async def scene(at: Scene) -> None:
        for _ in range(3):
            at.settle(1)
        await at.done()
        at.settle(1)
        assert await at.done() == PushReport(stored=1, already_there=1)
        assert at.studio.having(VERSION) == [1]

    play(scene)


def test_the_project_is_looked_for_once() -> None:
    async def scene(at: Scene) -> None:
        for task in (1, 2, 3):
            at.settle(task)
            await at.done()
        assert sum(path == "/api/projects/7/" for path in at.here.asked) == 1

    play(scene)


def test_a_project_of_another_label_studio_is_not_touched() -> None:
    async def scene(at: Scene) -> None:
        at.settle(1, 2)
        report = await at.done()
        assert report.refused == 2
        assert "has another project 7 than the one that asks us" in report.reason
        assert at.studio.predictions == []

    play(scene, StubHost({1, 2}, created_at="2020-01-01T00:00:00Z"))


def test_the_token_of_setup_is_used_where_the_operator_gave_none() -> None:
    async def scene(at: Scene) -> None:
        at.settle(1)
        assert await at.done() == PushReport(stored=1)
        assert set(at.here.authorizations) == {f"Token {SETUP_TOKEN}"}

    play(scene, StubHost({1}, token=SETUP_TOKEN), setup=True, allowed=["127.0.0.1"])


def test_the_token_of_setup_may_go_to_the_address_that_the_operator_gave() -> None:
    async def scene(at: Scene) -> None:
        at.settle(1)
        assert await at.done() == PushReport(stored=1)

    play(scene, StubHost({1}, token=SETUP_TOKEN), operators="")


def test_a_private_hostname_of_setup_is_not_asked() -> None:
    async def scene(at: Scene) -> None:
        at.settle(1)
        report = await at.done()
        assert report.refused == 1
        assert "Set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY" in report.reason
        assert at.here.asked == []

    play(scene, StubHost({1}, token=SETUP_TOKEN), setup=True)


def test_a_token_of_setup_that_is_refused_is_offered_once_in_a_while() -> None:
    async def scene(at: Scene) -> None:
        for task in (1, 2, 3):
            at.settle(task)
            await at.done()
        assert "does not accept /setup's access token" in at.pushing.reports[KEY].reason
        assert at.pushing.reports[KEY].refused == 3
        assert len(at.here.asked) == 1
        at.pauses.now += 601
        at.settle(4)
        await at.done()
        assert len(at.here.asked) == 2

    play(scene, StubHost({1}, token="another"), setup=True, allowed=["127.0.0.1"])


def test_a_new_token_of_setup_is_tried_at_once() -> None:
    async def scene(at: Scene) -> None:
        at.settle(1)
        await at.done()
        at.studio.token = at.store.access_token = "6" * 40
        at.settle(1)
        assert (await at.done()).stored == 1

    play(scene, StubHost({1}, token="another"), setup=True, allowed=["127.0.0.1"])


def test_the_operators_key_never_goes_to_the_hostname_of_setup() -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            own_site = await stack.enter_async_context(serving(StubHost({1}, token=OPERATORS, created_at="2020-01-01")))
            claimed = await stack.enter_async_context(serving(StubHost({1}, token=SETUP_TOKEN)))
            own = Host(own_site.origin, OPERATORS)
            stack.push_async_callback(own.close)
            store = Answers(Pauses(), claimed.origin, SETUP_TOKEN)
            targets = Targets(store, own, [f"127.0.0.1:{claimed.port}"])
            stack.push_async_callback(targets.close)

            target = await targets.find(KEY)

            assert str(target.host.url) == claimed.origin
            assert isinstance(target.host, Guest)
            assert claimed.authorizations == [f"Token {SETUP_TOKEN}"]
            assert own_site.authorizations == [f"Token {OPERATORS}"]

    asyncio.run(run())


@pytest.mark.parametrize("key", ["", "name", ".5", "7"])
def test_a_project_key_that_names_no_project_is_refused(key: str) -> None:
    async def scene(at: Scene) -> None:
        with pytest.raises(HostError):
            await at.targets.find(key)

    play(scene)


def test_a_host_that_is_down_gets_everything_when_it_is_back() -> None:
    async def scene(at: Scene) -> None:
        at.settle(1, 2, 3)
        assert await at.done() == PushReport(stored=3)
        assert at.pauses.taken == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]

    play(scene, StubHost({1, 2, 3}, down=6))


def test_a_host_that_stays_down_is_given_up_with_a_sentence() -> None:
    async def scene(at: Scene) -> None:
        at.settle(*range(1, 11))
        report = await at.done()
        assert report.refused == 10
        assert "answered 503" in report.reason
        # The later slices have waited as long as the first, and are not waited for again.
        assert sum(at.pauses.taken) < 960

    play(scene, StubHost(set(range(1, 11)), down=10**6), most=4)


def test_an_answer_that_a_request_was_just_given_is_looked_for_first() -> None:
    async def scene(at: Scene) -> None:
        assert at.store.give("digest-1", at.pauses.now)
        # The host stores what the request was given while we wait.
        at.pauses.then = lambda: at.studio.predictions.append({"task": 1, "model_version": VERSION})
        at.settle(1)
        report = await at.done()
        assert (report.stored, report.already_there) == (0, 1)
        assert at.studio.imports == []

    play(scene)


def test_what_a_large_request_was_given_is_left_to_the_host_for_as_long_as_that_takes() -> None:
    """The host stores thousands of predictions one after the other, and shows none before the last one is stored."""

    async def scene(at: Scene) -> None:
        def stored_at_last() -> None:
            if sum(at.pauses.taken) > 40 and not at.studio.predictions:
                at.studio.predictions.append({"task": 1, "model_version": VERSION})

        assert at.store.give("digest-1", at.pauses.now, shown_within(1_000))
        at.pauses.then = stored_at_last
        at.settle(1)
        report = await at.done()
        assert (report.stored, report.already_there) == (0, 1)
        assert at.studio.imports == []

    play(scene)


def test_what_a_request_was_given_and_the_host_never_took_is_pushed() -> None:
    async def scene(at: Scene) -> None:
        assert at.store.give("digest-1", at.pauses.now)
        at.settle(1)
        assert await at.done() == PushReport(stored=1)
        assert 9 < sum(at.pauses.taken) < 20

    play(scene)


def test_a_request_that_comes_while_an_answer_is_stored_waits_and_gets_nothing() -> None:
    async def scene(at: Scene) -> None:
        go_on = await at.storing(1)
        at.pauses.now += 0.5
        began = at.pauses.now
        waits = asyncio.ensure_future(at.pushing.wait([question(1), question(2)], 5.0))
        await asyncio.sleep(0)
        assert not waits.done()
        at.pauses.now += 0.5
        go_on.set()
        await waits
        assert not at.store.give("digest-1", began)
        assert at.store.give("digest-2", began)
        assert at.studio.having(VERSION) == [1]

    play(scene)


def test_a_request_waits_no_longer_than_it_wants_to() -> None:
    async def scene(at: Scene) -> None:
        go_on = await at.storing(1)
        await at.pushing.wait([question(1)], 0.01)
        go_on.set()
        await at.done()

    play(scene)


def test_a_request_for_other_answers_does_not_wait() -> None:
    async def scene(at: Scene) -> None:
        go_on = await at.storing(1)
        await at.pushing.wait([question(2)], 3600.0)
        go_on.set()

    play(scene)


def test_two_processes_push_an_answer_once() -> None:
    async def scene(at: Scene) -> None:
        other = Pushing(at.store, at.targets, Push(clock=at.pauses.clock, sleep=at.pauses.sleep),
                        clock=at.pauses.clock, sleep=at.pauses.sleep)  # fmt: skip
        at.settle(*range(1, 51))
        for task in range(1, 51):
            other.settled(question(task), task)
        await at.done()
        await other.idle()
        assert at.studio.having(VERSION) == list(range(1, 51))
        assert at.pushing.reports[KEY].stored + other.reports[KEY].stored == 50
        await other.close()

    play(scene)


def test_what_is_not_kept_any_more_is_not_pushed() -> None:
    async def scene(at: Scene) -> None:
        at.settle(1, 2)
        del at.store.answers["digest-1"]
        assert await at.done() == PushReport(stored=1)
        assert at.studio.having(VERSION) == [2]

    play(scene)


def test_a_store_that_is_away_for_a_while_costs_no_push() -> None:
    async def scene(at: Scene) -> None:
        def comes_back() -> None:
            at.store.broken = len(at.pauses.taken) < 4

        at.store.broken = True
        at.pauses.then = comes_back
        at.settle(1, 2)
        assert await at.done() == PushReport(stored=2)
        assert at.pauses.taken == [1.0, 1.0, 2.0, 4.0]

    play(scene)


def test_a_store_that_stays_away_is_told_and_the_next_answers_are_pushed() -> None:
    async def scene(at: Scene) -> None:
        at.store.broken = True
        at.settle(1)
        assert await at.done() == PushReport(refused=1, reason="The disk is full.")
        assert 800 < sum(at.pauses.taken) < 960
        at.store.broken = False
        at.settle(2)
        assert (await at.done()).stored == 1

    play(scene)


def test_a_store_that_fails_when_the_host_has_stored_loses_no_count() -> None:
    async def scene(at: Scene) -> None:
        go_on = await at.storing(1)
        at.store.broken = True
        go_on.set()
        assert await at.done() == PushReport(stored=1)
        await at.pushing.wait([question(1)], 3600.0)  # nobody waits for it

    play(scene)


def test_a_task_without_a_number_is_not_pushed() -> None:
    async def scene(at: Scene) -> None:
        at.pushing.settled(question(1), None)
        at.pushing.settled(question(1), "one")
        assert at.pushing.waiting(KEY) == 0

    play(scene)


def test_closing_lets_what_is_being_stored_end_and_takes_no_more() -> None:
    async def scene(at: Scene) -> None:
        go_on = await at.storing(1, 2, 3, 4)
        closing = asyncio.ensure_future(at.pushing.close())
        await asyncio.sleep(0)
        at.settle(5)
        go_on.set()
        await closing
        assert at.studio.having(VERSION) == [1, 2]
        assert at.pushing.reports[KEY] == PushReport(stored=2)
        await at.pushing.close()

    play(scene, most=2)


def test_closing_does_not_wait_for_a_host_that_is_down() -> None:
    async def scene(at: Scene) -> None:
        asleep = asyncio.Event()

        async def sleep(seconds: float) -> None:
            asleep.set()
            await asyncio.sleep(3600)

        pushing = Pushing(at.store, at.targets, clock=at.pauses.clock, sleep=sleep)
        pushing.settled(question(1), 1)
        await asleep.wait()
        async with asyncio.timeout(2):
            await pushing.close()

    play(scene, StubHost({1}, down=10**6))


def test_what_was_handed_over_is_looked_at_later_and_not_after_closing() -> None:
    async def scene(at: Scene) -> None:
        at.store.keep([1])
        later: list[tuple[float, Callable[[], None]]] = []
        pushing = Pushing(
            at.store,
            at.targets,
            Push(clock=at.pauses.clock, sleep=at.pauses.sleep),
            clock=at.pauses.clock,
            sleep=at.pauses.sleep,
            call_later=lambda seconds, call: later.append((seconds, call)),
        )
        pushing.handed([(question(1), 1)])
        assert pushing.waiting(KEY) == 0
        ((seconds, look),) = later
        assert seconds > 10
        at.pauses.now += seconds
        look()
        assert pushing.waiting(KEY) == 1
        await pushing.close()
        look()
        assert pushing.waiting(KEY) == 0

    play(scene)


def test_what_a_run_brings_after_the_request_has_gone_is_pushed_as_it_comes() -> None:
    async def scene(at: Scene) -> None:
        def brings() -> None:
            """One answer in every pause; the third task fails."""
            if at.store.waited_for:
                digest = min(at.store.waited_for)
                at.store.waited_for.discard(digest)
                at.store.keep([int(digest[-1])] if digest != "digest-3" else [])

        at.store.waited_for = {question(task).digest for task in range(1, 6)}
        at.pauses.then = brings
        at.pushing.follow(KEY, VERSION, {question(task).digest: task for task in range(1, 6)})
        # Another request for the same tasks changes nothing.
        at.pushing.follow(KEY, VERSION, {question(task).digest: task for task in range(1, 6)})
        assert await at.done() == PushReport(stored=4)
        assert at.studio.having(VERSION) == [1, 2, 4, 5]

    play(scene)


def test_a_run_that_stands_still_is_looked_at_ever_more_rarely() -> None:
    async def scene(at: Scene) -> None:
        def ends() -> None:
            if len(at.pauses.taken) == 7:
                at.store.waited_for.clear()

        at.store.waited_for = {"digest-1"}
        at.pauses.then = ends
        at.pushing.follow(KEY, VERSION, {"digest-1": 1})
        await at.pushing.idle()
        assert at.pauses.taken == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
        assert at.here.asked == []

    play(scene)


def test_what_is_followed_survives_a_store_that_fails_for_a_moment() -> None:
    async def scene(at: Scene) -> None:
        def mends() -> None:
            at.store.broken = len(at.pauses.taken) < 3

        at.store.broken = True
        at.store.keep([1])
        at.pauses.then = mends
        at.pushing.follow(KEY, VERSION, {"digest-1": 1})
        assert await at.done() == PushReport(stored=1)

    play(scene)


def test_closing_ends_what_is_followed() -> None:
    async def scene(at: Scene) -> None:
        at.store.waited_for = {"digest-1"}
        at.pushing.follow(KEY, VERSION, {"digest-1": 1})
        async with asyncio.timeout(2):
            await at.pushing.close()
            await at.pushing.idle()

    play(scene)


def test_logs_hold_no_token(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(at: Scene) -> None:
        at.settle(1)
        await at.done()

    caplog.set_level("DEBUG")
    play(scene, StubHost({1}, token="another"), setup=True, allowed=["127.0.0.1"])
    told = [record.getMessage() for record in caplog.records if record.name.startswith("llm_backend")]
    assert any("does not accept /setup's access token" in line for line in told)
    assert not any(SETUP_TOKEN in line for line in told)


@pytest.mark.parametrize("home", HOMES)
def test_a_slow_host_gets_each_answer_once_however_many_could_hand_it_over(home: str, tmp_path: Path) -> None:
    """Requests of this process and of others come while the host stores, and another process would push the same."""
    lease, pauses = 0.6, Pauses()

    async def scene() -> None:
        async with AsyncExitStack() as stack:
            here = stack.enter_context(closing(HOMES[home](tmp_path / "data")))
            there = stack.enter_context(closing(HOMES[home](tmp_path / "data"))) if home == "redis" else here
            studio = StubHost({1}, hold=asyncio.Event())
            own = Host((await stack.enter_async_context(serving(studio))).origin, LEGACY)
            stack.push_async_callback(own.close)
            pushing = Pushing(here, Targets(here, own), gather=0.0, lease=lease)
            others = Pushing(there, Targets(there, own), Push(sleep=pauses.sleep), gather=0.0, lease=lease)
            here.keep(KEY, VERSION, Kept("digest-1", Prediction(()).to_json(), "", False, time.time()))

            pushing.settled(question(1), 1)
            await studio.during_import.wait()
            await lapsed(there, lease)
            await lapsed(there, lease)
            assert there.give(KEY, VERSION, ["digest-1"], time.time()) == set()
            others.settled(question(1), 1)
            while len(pauses.taken) < 3:  # it looks, and looks again
                await asyncio.sleep(0.001)
            assert studio.hold is not None
            studio.hold.set()
            await pushing.idle()
            await others.idle()

            assert (len(studio.imports), studio.having(VERSION)) == (1, [1])
            assert (pushing.reports[KEY].stored, others.reports[KEY].already_there) == (1, 1)
            assert there.give(KEY, VERSION, ["digest-1"], time.time()) == {"digest-1"}

    asyncio.run(scene())


async def lapsed(store: Store, lease: float) -> None:
    """Return when what somebody held who died at this moment is free."""
    assert store.hold(KEY, VERSION, ["held by the dead"], secrets.token_hex(4), lease)
    while not store.give(KEY, VERSION, ["held by the dead"], time.time()):
        await asyncio.sleep(0.01)


def test_what_a_silent_host_was_sent_is_nobodys_until_it_was_looked_for() -> None:
    async def scene(at: Scene) -> None:
        def requests_come() -> None:
            if 15.0 in at.pauses.taken:
                asked.append(at.store.give("digest-1", at.pauses.now))

        asked: list[bool] = []
        at.pauses.then = requests_come
        at.settle(1)
        assert await at.done() == PushReport(stored=1)
        assert asked == [False]

    play(scene, StubHost({1}, loses=1))


def test_what_a_host_has_refused_for_now_is_a_requests_meanwhile() -> None:
    async def scene(at: Scene) -> None:
        def request_comes() -> None:
            if len(at.studio.imports) == 1 and not asked:
                asked.append(at.store.give("digest-1", at.pauses.now))

        asked: list[bool] = []
        at.pauses.then = request_comes
        at.settle(1)
        assert (await at.done()).stored == 1
        assert asked == [True]

    play(scene, StubHost({1}, refuses=1))
