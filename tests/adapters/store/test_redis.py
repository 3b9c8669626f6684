"""The shared home: its server, its faults, and several processes at once."""

import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import redis

from llm_backend.adapters.store import Kept, Project, Settled
from llm_backend.adapters.store.redis import RedisStore
from llm_backend.adapters.store.redis.server import MIGRATIONS, PREFIX, migrate
from llm_backend.core.chat import Usage
from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import Run, RunTask, Spec
from llm_backend.core.wire import Task
from llm_backend.errors import BackendError, SettingsError, StoreError, UnknownRun
from tests.adapters.store.processes import process, until_ready
from tests.support.redis_server import RedisServer, free_port, own_redis, programs, redis_url

__all__ = ["own_redis", "redis_url"]  # fixtures

KEY = "1.1795217550"
SPEC = Spec(KEY, "m-1", "<View/>", Prompt("Classify", "submitted"), Parameters())
NOW = 1_795_217_550.0
PRELUDE = """
import sys
from llm_backend.adapters.store.redis import RedisStore
from tests.adapters.store.test_redis import SPEC, tasks
from llm_backend.core.run import Run
url = sys.argv[1]
"""
ADD = """
store = RedisStore(url)
print("ready", flush=True)
sys.stdin.readline()
print(*store.add_run(Run(sys.argv[2], SPEC, "queued"), tasks(3_000)), flush=True)
"""
ADD_WITHOUT_END = """
store = RedisStore(url, lease_seconds=1)
store.add_run(Run("half", SPEC, "queued"), tasks(200_000))
"""


def tasks(count: int) -> list[RunTask]:
    return [RunTask(f"t{number}", Task(number, {"text": f"of {number}"})) for number in range(count)]


def done(digest: str, note: str = "") -> Settled:
    return Settled(Kept(digest, {"result": [], "score": None, "note": note}, "", False, NOW), Usage(100, 10, 1))


def client_of(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def everything(url: str) -> bytes:
    """All keys, and all that they hold, as Redis writes it down."""
    with redis.Redis.from_url(url) as client:
        return b"".join(key + (client.dump(key) or b"") for key in client.scan_iter())


class Wire:
    """Stands between the store and Redis, and can lose a reply: what was asked is done, and nobody hears of it.

    Attributes:
        lose: Which of the coming replies is lost, the next one being 1; none if it is less.
        lost: How many were.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"
        self.lose = 0
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        with caller, socket.create_connection(("127.0.0.1", self._behind)) as behind:
            answers = threading.Thread(target=self._answer, args=(behind, caller), daemon=True)
            answers.start()
            try:
                while told := caller.recv(65_536):
                    behind.sendall(told)
                behind.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            answers.join()

    def _answer(self, behind: socket.socket, caller: socket.socket) -> None:
        try:
            while told := behind.recv(65_536):
                self.lose -= 1
                if self.lose == 0:
                    self.lost += 1
                    caller.shutdown(socket.SHUT_RDWR)
                    return
                caller.sendall(told)
        except OSError:
            pass


@pytest.fixture
def wire(redis_url: str) -> Iterator[Wire]:
    with closing(Wire(int(redis_url.rpartition(":")[2].partition("/")[0]))) as wire:
        yield wire


# Starting


def test_unreachable_redis_is_named_without_its_password() -> None:
    port = free_port()
    began = time.monotonic()
    with pytest.raises(SettingsError, match="cannot be reached") as caught:
        RedisStore(f"redis://user:s3cret@127.0.0.1:{port}/2")
    assert caught.value.sentence.startswith(f"REDIS_URL: Redis at redis://127.0.0.1:{port}/2 cannot be reached")
    assert "s3cret" not in caught.value.sentence
    assert time.monotonic() - began < 10


def test_address_of_something_else_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"REDIS_URL: http://127\.0\.0\.1 cannot be used"):
        RedisStore("http://127.0.0.1")


def test_refused_password_is_a_sentence_that_does_not_tell_it(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--requirepass", "s3cret")
    try:
        for url in server.url, server.url.replace("//", "//:wr0ng@"):
            with pytest.raises(SettingsError, match="refuses us: give its user and password") as caught:
                RedisStore(url)
            assert "wr0ng" not in caught.value.sentence
        RedisStore(server.url.replace("//", "//:s3cret@")).close()
    finally:
        server.kill()


def as_user(server: RedisServer, *rights: str) -> str:
    """The address for a user with these rights."""
    with client_of(server.url) as client:
        client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">s3cret", "+@all", *rights)
    return server.url.replace("//", "//app:s3cret@")


def test_missing_rights_are_a_sentence_that_says_which(own_redis: RedisServer) -> None:
    for rights in ("~other:*",), ("~llm_backend:*", "-eval", "-evalsha"):
        with (
            pytest.raises(BackendError, match="keys and channels that begin with llm_backend: or rq:"),
            closing(RedisStore(as_user(own_redis, *rights))) as store,
        ):
            store.add_run(Run("r", SPEC, "queued"), tasks(1))


def test_redis_that_may_lose_keys_is_warned_of(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with client_of(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with caplog.at_level(logging.WARNING):
                RedisStore(redis_url).close()
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert "set noeviction" in caplog.text
    caplog.clear()
    RedisStore(redis_url).close()
    assert caplog.text == ""


# Schema versions


def test_every_key_names_the_schema_version(redis_url: str) -> None:
    with closing(RedisStore(redis_url)) as store, client_of(redis_url) as client:
        store.save_setup(KEY, "http://host", "token", {})
        store.note_annotation_prompt(KEY, 1, "Classify")
        store.add_run(Run("r", SPEC, "queued"), tasks(2))
        store.settle("r", [done("t0")])
        store.give(KEY, "m-1", ["t0"], NOW)
        store.hold(KEY, "m-1", ["t1"], "one", 60.0)
        assert client.get("llm_backend:schema") == str(len(MIGRATIONS))
        assert [key for key in client.scan_iter() if not key.startswith(PREFIX)] == ["llm_backend:schema"]


def test_newer_version_is_refused_and_left_as_it_is(redis_url: str) -> None:
    with client_of(redis_url) as client:
        client.set("llm_backend:schema", 99)
        with pytest.raises(SettingsError, match=r"newer llm-backend \(schema version 99; this one knows \d+\)"):
            RedisStore(redis_url)
        assert client.keys() == ["llm_backend:schema"]
        assert client.get("llm_backend:schema") == "99"


def test_older_version_is_brought_forward_once_though_several_start(redis_url: str) -> None:
    def copy(client: redis.Redis) -> None:
        client.rename("llm_backend:1:a", "llm_backend:2:a")
        time.sleep(0.05)

    def count(client: redis.Redis) -> None:
        client.incr("llm_backend:3:steps")

    migrations = (*MIGRATIONS, copy, count)
    with client_of(redis_url) as client:
        client.set("llm_backend:1:a", "held")
        client.set("llm_backend:schema", 1)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: migrate(client, "here", migrations), range(4)))
        assert client.get("llm_backend:2:a") == "held"
        assert client.get("llm_backend:3:steps") == "1"
        assert client.get("llm_backend:schema") == "3"


# Lost later


def test_redis_that_went_away_is_a_sentence_and_found_again_with_its_data(own_redis: RedisServer) -> None:
    with closing(RedisStore(own_redis.url)) as store:
        store.save_prompt(KEY, "Classify", "submitted")
        store.add_run(Run("r", SPEC, "queued"), tasks(3))
        store.settle("r", [done("t0")])
        own_redis.kill()
        began = time.monotonic()
        with pytest.raises(StoreError, match=f"Redis at {re.escape(own_redis.url)} cannot be reached"):
            store.settle("r", [done("t1")])
        with pytest.raises(StoreError, match="see that it runs"):
            store.project(KEY)
        assert time.monotonic() - began < 10
        own_redis.start()
        assert store.project(KEY).prompt == "Classify"
        assert store.settle("r", [done("t1")]) == "queued"
        found = store.run("r")
        assert found is not None
        assert (found.counts["done"], found.counts["waiting"]) == (2, 1)


def test_work_goes_on_by_itself_when_redis_comes_back(own_redis: RedisServer) -> None:
    given = tasks(600)
    refused = threading.Event()

    def work(number: int) -> None:
        for task in given[number::4]:
            while True:
                try:
                    store.settle("r", [done(task.digest)])
                    break
                except StoreError:
                    refused.set()
                    time.sleep(0.02)

    with closing(RedisStore(own_redis.url)) as store, ThreadPoolExecutor(4) as pool:
        store.add_run(Run("r", SPEC, "queued"), given)
        working = [pool.submit(work, number) for number in range(4)]
        while store.waiting_among("r", ["t40"]):
            time.sleep(0.001)
        own_redis.stop()
        assert refused.wait(30)
        own_redis.start()
        for one in working:
            one.result(60)
        found = store.run("r")
        assert found is not None
        assert (found.state, found.counts["done"], found.usage) == ("completed", 600, Usage(60_000, 6_000, 600))
        assert len(store.kept(KEY, "m-1", [task.digest for task in given])) == 600


def test_short_absence_is_not_noticed(own_redis: RedisServer) -> None:
    with closing(RedisStore(own_redis.url)) as store:
        store.save_prompt(KEY, "Classify", "submitted")
        own_redis.restart()
        assert store.project(KEY).prompt == "Classify"


@pytest.mark.parametrize("program", programs())
def test_full_memory_is_a_sentence_and_changes_nothing(tmp_path: Path, program: str) -> None:
    server = RedisServer(tmp_path, program=program)
    try:
        with closing(RedisStore(server.url)) as store, client_of(server.url) as client:
            store.add_run(Run("r", SPEC, "queued"), tasks(2))
            client.config_set("maxmemory", 1)  # less than an empty Redis takes, of whatever release
            for attempt in (
                lambda: store.settle("r", [done("t0")]),
                lambda: store.save_prompt(KEY, "Classify", "submitted"),
                lambda: store.add_run(Run("q", SPEC, "queued"), tasks(9)),
            ):
                with pytest.raises(StoreError, match="is out of memory: give it more"):
                    attempt()
            assert len(store.waiting_tasks("r", 9)) == 2
            client.config_set("maxmemory", 0)
            assert store.settle("r", [done("t0")]) == "queued"
    finally:
        server.kill()


LOST_REPLIES: dict[str, Callable[[RedisStore], object]] = {
    "adding": lambda store: list(store.add_run(Run("r", SPEC, "queued"), tasks(700))),
    "settling": lambda store: store.settle("q", [done(f"q{number}") for number in range(3)]),
    "handing over": lambda store: sorted(store.give(KEY, "m-1", ["a", "b"], NOW)),
    "holding": lambda store: sorted(store.hold(KEY, "m-1", ["a", "b"], "one", 60.0)),
    "letting go": lambda store: store.let_go(KEY, "m-1", ["a", "b"], "one", shown_within=10.0),
    "saving": lambda store: store.pin_prompt(KEY, "Classify"),
    "noting": lambda store: store.note_annotation_prompt(KEY, 1, "Classify"),
}


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("do", LOST_REPLIES.values(), ids=LOST_REPLIES)
def test_lost_reply_makes_no_difference(wire: Wire, do: Callable[[RedisStore], object], number: int) -> None:
    queued = [RunTask(f"q{number}", Task(number, {})) for number in range(3)]
    outcomes = []
    for lose in 0, number:
        with closing(RedisStore(wire.url, clock=lambda: NOW)) as store:
            store.add_run(Run("q", SPEC, "queued"), queued)
            wire.lose = lose
            found = do(store)
            wire.lose = 0
            runs = [(run.id, run.state, run.counts, run.usage) for run in store.runs()]
            outcomes.append((found, runs, store.project(KEY), store.annotation_prompt(KEY, 1)))
        with client_of(wire.url) as client:
            client.flushall()
    assert outcomes[0] == outcomes[1]
    assert wire.lost or number > 1, "each asks Redis at least once"


# Several processes


def test_processes_that_add_the_same_tasks_share_them_out(redis_url: str) -> None:
    with (
        process(PRELUDE + ADD, redis_url, "a") as one,
        process(PRELUDE + ADD, redis_url, "b") as two,
        process(PRELUDE + ADD, redis_url, "c") as three,
    ):
        adding = [one, two, three]
        for running in adding:
            until_ready(running)
        for running in adding:
            assert running.stdin is not None
            running.stdin.write("go\n")
            running.stdin.flush()
        mine = [running.stdout.readline().split() for running in adding if running.stdout]
    assert sorted(digest for digests in mine for digest in digests) == sorted(task.digest for task in tasks(3_000))
    with closing(RedisStore(redis_url)) as store:
        for name, digests in zip("abc", mine, strict=True):
            waiting = store.waiting_tasks(name, 3_000) if digests else ()
            assert [task.digest for _, task in waiting] == digests


def test_stores_that_settle_the_same_tasks_count_each_once(redis_url: str) -> None:
    given = tasks(400)
    start = threading.Barrier(4)

    def work(number: int) -> None:
        with closing(RedisStore(redis_url)) as store:
            start.wait()
            for first in range(0, 400, 16):
                store.settle("r", [done(task.digest, str(number)) for task in given[first : first + 16]])

    with closing(RedisStore(redis_url)) as store:
        store.add_run(Run("r", SPEC, "queued"), given)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        found = store.run("r")
        assert found is not None
        assert (found.state, found.counts["done"], found.usage) == ("completed", 400, Usage(40_000, 4_000, 400))


def test_answer_is_handed_to_one_of_many_that_wait_in_different_processes(redis_url: str) -> None:
    digests = [f"t{number}" for number in range(1_200)]
    start = threading.Barrier(4)

    def ask(_: int) -> set[str]:
        with closing(RedisStore(redis_url)) as store:
            start.wait()
            return store.give(KEY, "m-1", digests, time.time() - 1)

    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(ask, range(4)))
    assert sorted(digest for some in given for digest in some) == sorted(digests)


def test_questions_of_a_process_killed_while_adding_are_free_when_its_lease_ends(redis_url: str) -> None:
    with client_of(redis_url) as client, process(PRELUDE + ADD_WITHOUT_END, redis_url) as adding:
        while client.strlen(f"{PREFIX}letters:half") < 1_000:
            assert adding.poll() is None
            time.sleep(0.001)
        adding.kill()
        adding.wait()
        with closing(RedisStore(redis_url)) as store:
            assert store.run("half") is None
            assert store.runs_waiting_for(KEY, "m-1", ["t1"]) == {}
            until, mine = time.monotonic() + 20, []
            while len(mine) < 1_000:  # the lease may end between two slices of one run
                assert time.monotonic() < until
                mine += store.add_run(Run(f"next-{len(mine)}", SPEC, "queued"), tasks(1_000))
                time.sleep(0.02)
            assert sum(run.waiting for run in store.runs()) == 1_000
        RedisStore(redis_url).close()
        assert client.keys("*half*") == []


def test_claims_of_a_run_that_is_still_to_be_removed_are_none(redis_url: str) -> None:
    with closing(RedisStore(redis_url)) as store, client_of(redis_url) as client:
        store.add_run(Run("half", SPEC, "queued"), tasks(3))
        # As a process leaves it that was killed while adding; before it are as many as are removed at once.
        client.hset(f"{PREFIX}run:half", "state", "hidden")
        client.zadd(f"{PREFIX}hidden", {**{f"another{number}": 0 for number in range(10)}, "half": 1})
        assert len(store.add_run(Run("next", SPEC, "queued"), tasks(3))) == 3
        assert client.zrange(f"{PREFIX}hidden", 0, -1) == ["half"]
        RedisStore(redis_url).close()
        assert client.keys("*half*") == []
        assert [task.digest for task in store.waiting_among("next", ["t0", "t1", "t2"])] == ["t0", "t1", "t2"]


def test_process_that_comes_back_after_its_lease_gives_its_run_up(redis_url: str) -> None:
    with closing(RedisStore(redis_url, lease_seconds=-2)) as store:
        with pytest.raises(StoreError, match="came in too slowly"):
            store.add_run(Run("r", SPEC, "queued"), tasks(3))
        assert store.run("r") is None
        assert store.runs() == ()


# What goes, goes


def test_cancelled_run_leaves_no_claims_and_can_wait_again(redis_url: str) -> None:
    with closing(RedisStore(redis_url)) as store, client_of(redis_url) as client:
        store.add_run(Run("r", SPEC, "queued"), tasks(1_300))
        store.settle("r", [done("t7")])
        assert client.hlen(*client.keys(f"{PREFIX}claims:*")) == 1_299
        store.set_run_state("r", "cancelled", "by a person")
        assert client.keys(f"{PREFIX}claims:*") == []
        assert store.retry_run("r") == 1_299
        assert client.hlen(*client.keys(f"{PREFIX}claims:*")) == 1_299
        assert len(store.waiting_tasks("r", 2_000)) == 1_299


def test_claim_that_outlived_its_run_s_end_is_none(redis_url: str) -> None:
    with closing(RedisStore(redis_url)) as store, client_of(redis_url) as client:
        store.add_run(Run("r", SPEC, "queued"), tasks(2))
        (key,) = client.keys(f"{PREFIX}claims:*")
        claims = client.hgetall(key)
        store.set_run_state("r", "cancelled")
        client.hset(key, mapping=claims)  # as if the process had been killed before it freed them
        assert store.runs_waiting_for(KEY, "m-1", ["t0", "t1"]) == {}
        assert store.settle("r", [done("t0")]) == "cancelled"
        assert len(store.add_run(Run("q", SPEC, "queued"), tasks(2))) == 2
        assert store.retry_run("r") == 0
        assert [task.digest for _, task in store.waiting_tasks("q", 9)] == ["t0", "t1"]


def test_forgotten_project_leaves_no_word_and_no_key(redis_url: str) -> None:
    secret = "a-very-secret-word"
    spec = Spec(KEY, "m-1", f"<View>{secret}</View>", Prompt(secret, "submitted"), Parameters())
    with closing(RedisStore(redis_url)) as store:
        store.save_setup(KEY, "http://host", secret, {"api_key": secret})
        store.pin_prompt(KEY, secret)
        store.note_annotation_prompt(KEY, 1, secret)
        given = [RunTask(f"{secret}{number}", Task(number, {"text": secret})) for number in range(700)]
        store.add_run(Run("under-way", spec, "queued"), given)
        store.settle("under-way", [done(task.digest, secret) for task in given[:600]])
        store.settle("under-way", [Settled(Kept(given[650].digest, None, secret, True, NOW))])
        store.give(KEY, "m-1", ["d"], NOW)
        assert secret.encode() in everything(redis_url)
        store.forget(KEY)
        assert secret.encode() not in everything(redis_url)
        assert store.project(KEY) == Project(KEY)
        with pytest.raises(UnknownRun):
            store.settle("under-way", [done("t0")])
        with client_of(redis_url) as client:
            left = {key.removeprefix(PREFIX).partition(":")[0] for key in client.scan_iter()}
        assert left <= {"llm_backend", "run_number", "note_number", "given"}


def test_removed_runs_leave_no_key(redis_url: str) -> None:
    with closing(RedisStore(redis_url, runs_most=1)) as store, client_of(redis_url) as client:
        for name in "abc":
            store.add_run(Run(name, SPEC, "queued"), tasks(3))
            store.settle(name, [done("t0"), Settled(Kept("t1", None, "The model declined.", True, NOW))])
            store.set_run_state(name, "cancelled")
        assert [run.id for run in store.runs()] == ["c"]
        assert {key.rpartition(":")[2] for key in client.keys(f"{PREFIX}*:?")} == {"c"}


def test_kept_answers_go_by_themselves_where_no_server_removes_them(redis_url: str) -> None:
    with closing(RedisStore(redis_url, keep_days=7)) as store, client_of(redis_url) as client:
        store.keep(KEY, "m-1", Kept("d", None, "The model declined.", True, NOW))
        for key in [*client.keys(f"{PREFIX}kept:*"), f"{PREFIX}ages"]:
            assert 7 * 86_400 < client.ttl(key) <= 8 * 86_400


def test_script_that_redis_forgot_is_told_once_more(redis_url: str) -> None:
    with closing(RedisStore(redis_url)) as store, client_of(redis_url) as client:
        client.script_flush()
        store.save_prompt(KEY, "Classify", "submitted")
        assert store.project(KEY).prompt == "Classify"


def test_what_processes_count_is_added_up_and_outlives_them(redis_url: str) -> None:
    with closing(RedisStore(redis_url)) as store:
        store.add_counts("one", 1, {"calls": 3, "seconds": 0.25}, {"in flight": 2})
        store.add_counts("two", 1, {"calls": 4}, {"in flight": 1})
        store.add_counts("one", 2, {"calls": 1}, {"in flight": 1})
        assert store.counts() == ({"calls": 8, "seconds": 0.25}, {"in flight": 2})
        store.add_counts("two", 2, {}, {})
        assert store.counts() == ({"calls": 8, "seconds": 0.25}, {"in flight": 1})


def test_a_report_that_comes_twice_counts_once(redis_url: str) -> None:
    with closing(RedisStore(redis_url)) as store:
        for _ in range(2):
            store.add_counts("one", 1, {"calls": 3}, {})
        assert store.counts()[0] == {"calls": 3}


def test_names_without_end_are_not_counted_and_known_ones_still_are(redis_url: str) -> None:
    with closing(RedisStore(redis_url)) as store:
        store.add_counts("one", 1, {str(name): 1 for name in range(3_000)}, {})
        store.add_counts("one", 2, {str(name): 1 for name in range(2_000, 6_000)}, {})
        counted, _ = store.counts()
    assert len(counted) == 5_000
    assert sum(counted.values()) == 6_000


def test_nothing_is_under_way_in_a_process_that_was_not_heard_of(redis_url: str) -> None:
    with closing(RedisStore(redis_url)) as store, redis.Redis.from_url(redis_url) as client:
        store.add_counts("dead", 1, {"calls": 3}, {"in flight": 2})
        client.hset(PREFIX + "counting", "dead", f'[{time.time() - 60}, 1, {{"in flight": 2}}]')
        assert store.counts() == ({"calls": 3}, {})
        client.hset(PREFIX + "counting", "dead", f'[{time.time() - 7200}, 1, {{"in flight": 2}}]')
        store.add_counts("alive", 1, {}, {})
        assert client.hkeys(PREFIX + "counting") == [b"alive"]
