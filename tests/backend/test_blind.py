"""For a share of the tasks the model is asked and people are not told; in both homes of the store."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from llm_backend.backend.blind import is_blind
from llm_backend.core.chat import Call
from llm_backend.loop import Loop
from tests.adapters.store.homes import HOMES
from tests.support import host_stub
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serve import until
from tests.support.serving import GOOD, PROJECT, Caller, by_name, serving, task, typed

TASKS = [task(ident, f"text {ident}") for ident in range(200)]
SHARE = 0.25
BLIND = {one["id"] for one in TASKS if is_blind(PROJECT, one["id"], SHARE)}


def kept(host: Caller, tasks: list[Any], **more: Any) -> Any:
    return host.http.post(f"/projects/{PROJECT}/kept", json={"tasks": tasks, **more}).get_json()


def test_the_share_is_kept_to_and_always_of_the_same_tasks() -> None:
    chosen = {share: {n for n in range(10_000) if is_blind("1.1", n, share)} for share in (0.0, 0.1, 0.5, 1.0)}
    assert (len(chosen[0.0]), len(chosen[1.0])) == (0, 10_000)
    assert 900 < len(chosen[0.1]) < 1100
    assert 4800 < len(chosen[0.5]) < 5200
    assert chosen[0.1] < chosen[0.5]
    assert chosen[0.5] != {n for n in range(10_000) if is_blind("2.1", n, 0.5)}
    assert not is_blind("1.1", None, 1.0)


@pytest.mark.parametrize("home", list(HOMES))
def test_the_model_is_asked_the_answer_is_kept_and_the_host_is_told_nothing(home: str, tmp_path: Path) -> None:
    llm = ScriptedLLM(GOOD)
    assert 30 < len(BLIND) < 70
    with serving(llm, tmp_path, HOMES[home](tmp_path / "store"), blind_share=SHARE) as host:
        version = host.setup()
        answers = host.batch(*TASKS)
        assert {one["id"] for one, answer in zip(TASKS, answers, strict=True) if not answer} == BLIND
        until(lambda: len(llm.calls) == 200, 20)
        until(lambda: all(answer["prediction"] for answer in kept(host, TASKS)["answers"]), 20)
        told = kept(host, TASKS)
        assert told["version"] == version
        assert {one["id"] for one, answer in zip(TASKS, told["answers"], strict=True) if answer["blind"]} == BLIND
        assert by_name(told["answers"][min(BLIND)]["prediction"]["result"])["sentiment"] == ["Negative"]
        again = host.batch(*TASKS)
        assert {one["id"] for one, answer in zip(TASKS, again, strict=True) if not answer} >= BLIND
        assert len(llm.calls) == 200
        other = kept(host, TASKS[:3], version="another")
        assert [answer["prediction"] for answer in other["answers"]] == [None] * 3


def test_an_opened_task_is_blind_too_and_does_not_keep_its_page_waiting(tmp_path: Path) -> None:
    held = TASKS[min(BLIND)]
    never = asyncio.Event()

    async def waits(_: Call) -> Reply:
        await never.wait()
        return GOOD

    with serving(ScriptedLLM(waits), tmp_path, blind_share=SHARE, open_task_deadline=600.0) as host:
        host.setup()
        assert host.batch(held) == [[]]


def test_interactive_is_not_blind(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path, blind_share=1.0) as host:
        host.setup()
        assert by_name(host.shift_enter(typed("How is it?")))["sentiment"] == ["Negative"]


@pytest.mark.parametrize("restarted", [False, True], ids=["by the same process", "by the next one"])
def test_pushing_leaves_blind_tasks_alone(tmp_path: Path, restarted: bool) -> None:
    tasks = {ident: task(ident, f"text {ident}") for ident in range(1, 41)}
    blind = {ident for ident in tasks if is_blind(host_stub.KEY, ident, 0.5)}
    assert 10 < len(blind) < 30
    stub = host_stub.StubHost(set(tasks), labels=frozenset(("Negative",)))
    go_on = asyncio.Event()

    async def waits(_: Call) -> Reply:
        await go_on.wait()
        return GOOD

    def pushed(host: Caller) -> list[int]:
        version = host.setup(project=host_stub.KEY)
        until(lambda: len(stub.having(version)) >= len(tasks) - len(blind), 30)
        host.services.loop.run(host.services.backend._batch._pushing.idle())
        return stub.having(version)

    async def let_go() -> None:
        go_on.set()

    elsewhere, stack = Loop(), AsyncExitStack()
    try:
        site = elsewhere.run(stack.enter_async_context(host_stub.serving(stub)))
        settings = {"label_studio_url": site.origin, "label_studio_api_key": stub.token, "blind_share": 0.5}
        with serving(ScriptedLLM(waits), tmp_path, batch_deadline=0.1, **settings) as host:
            host.setup(project=host_stub.KEY)
            assert host.batch(*tasks.values(), project=host_stub.KEY) == [[]] * 40
            if not restarted:
                host.services.loop.run(let_go())
                assert pushed(host) == sorted(tasks.keys() - blind)
        if restarted:
            with serving(ScriptedLLM(GOOD), tmp_path, batch_deadline=0.1, **settings) as host:
                assert pushed(host) == sorted(tasks.keys() - blind)
    finally:
        elsewhere.run(stack.aclose())
        elsewhere.close()
