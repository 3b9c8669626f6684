"""A better prompt, from a shell: with a model that does well or badly by a word in its prompt."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click import ClickException
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from llm_backend.cli import main
from llm_backend.cli.refine import Job, Refined, refine_prompt
from llm_backend.core.chat import Call
from llm_backend.core.refine import held_out
from llm_backend.errors import AnswerError, BackendError, Unreachable
from llm_backend.settings import Settings
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serving import PROJECT, serving

CONFIG = """<View><Text name="text" value="$text"/>
<Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices></View>"""
OLD = "Which tone has {text}?"
NEW = "Mind the sarcasm. Which tone has {text}?"
WORDS = ("alder", "birch", "cedar", "dogwood", "elm", "fir", "gum", "hazel", "ironwood", "juniper", "kapok", "larch")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: no .env of a developer lies in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.xml").write_text(CONFIG)
    return tmp_path


def chance(*told: Any) -> float:
    """A number from 0 to 1 that is the same each time."""
    return int(hashlib.sha256(repr(told).encode()).hexdigest()[:8], 16) / 2**32


def text_of(number: int) -> str:
    words = [
        WORDS[int(chance(number, place) * len(WORDS))] + str(int(chance(number, place, 1) * 40)) for place in range(5)
    ]
    return f"note-{number} {' '.join(words)}"


def truth(text: str) -> str:
    return "good" if chance(text) < 0.5 else "bad"


def annotation(number: int, label: str, **more: Any) -> dict[str, Any]:
    region = {"id": "r", "from_name": "tone", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
    return {"id": 1000 + number, "completed_by": 1, "was_cancelled": False, "result": [region], **more}


def export(count: int = 150, name: str = "export.json", **more: Callable[[int], Any]) -> Path:
    tasks = [
        {
            "id": number,
            "data": {"text": text_of(number)},
            "annotations": [annotation(number, truth(text_of(number)))],
            "predictions": [],
            **{key: make(number) for key, make in more.items()},
        }
        for number in range(1, count + 1)
    ]
    Path(name).write_text(json.dumps(tasks), encoding="utf-8")
    return Path(name)


def said(call: Call) -> str:
    return "\n".join(message.text for message in call.messages)


class Model:
    """Labels well where the prompt has its word; proposes what it is told to."""

    def __init__(self, *proposals: str, word: str = "sarcasm", well: float = 0.97, badly: float = 0.6) -> None:
        self.proposals = list(proposals)
        self.asked_for_prompts: list[str] = []
        self.labelled: list[str] = []
        self._word, self._well, self._badly = word, well, badly

    def __call__(self, call: Call) -> Reply:
        words = said(call)
        if "You improve the prompt" in words:
            self.asked_for_prompts.append(words)
            proposal = self.proposals.pop(0) if len(self.proposals) > 1 else self.proposals[0]
            return {"analysis": "It misses sarcasm.", "improved": proposal}
        found = re.search(r"note-\d+ [\w ]+(?=\?|$)", call.messages[-1].text, re.MULTILINE)
        assert found, words
        text = found[0]
        self.labelled.append(text)
        right = chance(text, "luck") < (self._well if self._word in call.messages[-1].text else self._badly)
        label = truth(text)
        return {"tone": label if right else {"good": "bad", "bad": "good"}[label]}


def refined(model: Any, data: Path, prompt: str | None = OLD, settings: Settings | None = None, **more: Any) -> Refined:
    job = Job(data, Path("config.xml"), prompt, **more)
    return refine_prompt(settings or Settings(api_key="test-key"), job, ScriptedLLM(model))


def test_a_better_prompt_is_found_and_told_with_intervals_and_nothing_is_saved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = refined(Model(NEW), export())
    assert found.proposal is not None
    assert found.trial is not None
    assert found.proposal.prompt == NEW
    assert (found.trial.verdict, found.recommended) == ("better", True)
    assert found.trial.p < 0.01
    assert found.trial.old.value is not None
    assert found.trial.new.value is not None
    assert found.trial.old.value < 0.75 < 0.9 < found.trial.new.value
    told = capsys.readouterr().out
    assert re.search(
        r"current +\d+ % \(\d+ to \d+\)\n +proposed +\d+ % \(\d+ to \d+\)\n +difference +\+\d+ % \(\+", told
    )
    assert "It is better.\n" in told
    assert f"Proposed prompt:\n-----\n{NEW}\n-----\n" in told
    assert sorted(file.name for file in Path().iterdir()) == ["config.xml", "export.json"]


def test_a_worse_prompt_is_told_as_worse_and_not_recommended(capsys: pytest.CaptureFixture[str]) -> None:
    found = refined(Model(OLD, well=0.2, badly=0.9), export(), "Be brief. {text}?")
    assert found.trial is not None
    assert found.trial.verdict == "unclear"
    worse = refined(Model("Mind sarcasm: {text}?", well=0.2, badly=0.9), export())
    assert worse.trial is not None
    assert (worse.trial.verdict, worse.recommended) == ("worse", False)
    assert "It is worse: not recommended.\n" in capsys.readouterr().out


def test_a_handful_of_tasks_recommends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    found = refined(Model(NEW, well=1.0, badly=0.0), export(8), holdout=0.2)
    assert found.trial is not None
    assert found.trial.tasks == found.trial.better <= 4
    assert not found.recommended
    assert "That may be chance" in capsys.readouterr().out


def test_the_model_is_shown_mistakes_of_the_training_part_alone() -> None:
    model = Model(NEW)
    refined(model, export())
    (asked,) = model.asked_for_prompts
    shown = re.findall(r"note-\d+ [\w ]+", asked)
    assert 10 < len(shown) <= 24
    assert not any(held_out({"text": text}, 0.3) for text in shown)
    assert 'people "good", the model "bad"' in asked
    assert 'people "bad", the model "good"' in asked
    assert OLD in asked


def with_twin(data: Path) -> tuple[str, str]:
    """Add to the export a near-duplicate of a held-out task that is none itself, and that the model gets wrong.

    Returns:
        The text that is held out, and its twin's.
    """
    tasks = json.loads(data.read_text())
    held = next(one["data"]["text"] for one in tasks if held_out(one["data"], 0.3))
    twins = (held.replace("note-", "Note-") + sign for sign in ("!", "!!", "...", " !", "?!"))
    twin = next(text for text in twins if not held_out({"text": text}, 0.3))
    wrong = {"good": "bad", "bad": "good"}[truth(twin)]
    tasks.append({"id": 999, "data": {"text": twin}, "annotations": [annotation(999, wrong)], "predictions": []})
    data.write_text(json.dumps(tasks))
    return held, twin


def knows(twin: str, model: Model) -> Callable[[Call], Reply]:
    """The model, which gives its own truth of the twin."""

    def labels(call: Call) -> Reply:
        is_twin = twin in call.messages[-1].text and "You improve" not in said(call)
        return {"tone": truth(twin)} if is_twin else model(call)

    return labels


def test_a_near_duplicate_of_a_held_out_task_is_not_shown() -> None:
    data = export(30)  # so few that all on which people and the model differ are shown
    _, twin = with_twin(data)
    model = Model(NEW)
    refined(knows(twin, model), data)
    (asked,) = model.asked_for_prompts
    assert len(re.findall(r"note-\d+ [\w ]+", asked)) > 3
    assert twin not in asked


def test_a_near_duplicate_of_a_task_is_no_example_for_it() -> None:
    data = export(60)
    held, twin = with_twin(data)
    asked: dict[str, list[str]] = {}
    model = Model(NEW)

    def labels(call: Call) -> Reply:
        asked.setdefault(call.messages[-1].text, [message.text for message in call.messages[:-1]])
        return knows(twin, model)(call)

    refined(labels, data, settings=replace(Settings(api_key="test-key"), few_shot=3))
    shown = {question: "\n".join(examples) for question, examples in asked.items()}
    of_held = [examples for question, examples in shown.items() if held in question]
    assert len(of_held) == 2  # by the current prompt, and by the proposal
    assert all("note-" in examples and "Note-" not in examples for examples in of_held)
    assert any(twin in examples for examples in shown.values())  # it is one for others


def test_placeholders_must_survive(capsys: pytest.CaptureFixture[str]) -> None:
    model = Model("Mind the sarcasm.", NEW)
    found = refined(model, export())
    assert found.proposal is not None
    assert found.proposal.prompt == NEW
    assert "It lacks {text}, which the current prompt has." in model.asked_for_prompts[1]
    stubborn = Model("Mind the sarcasm.")
    with pytest.raises(AnswerError, match=r"cannot be used. It lacks \{text\}"):
        refined(stubborn, export(60, "other.json"))
    assert len(stubborn.asked_for_prompts) == 2


def test_rounds_keep_what_does_best_on_the_training_part() -> None:
    model = Model("Mind the irony in {text}?", NEW, "Be kind to {text}?")
    found = refined(model, export(), rounds=3)
    assert found.proposal is not None
    assert found.proposal.prompt == NEW
    assert len(model.asked_for_prompts) == 3
    assert "was tried, and did no better" in model.asked_for_prompts[1]
    assert NEW in model.asked_for_prompts[2]


def test_predictions_of_this_very_prompt_are_not_asked_for_again() -> None:
    first = Model(NEW)
    found = refined(first, export())
    assert found.trial is not None
    both = len(first.labelled)
    version = _version(OLD)

    def stored(number: int) -> list[Any]:
        (made,) = [annotation(number, truth(text_of(number)))["result"]]
        return [{"id": number, "result": made, "model_version": version, "score": None}]

    again = Model(NEW)
    assert refined(again, export(predictions=stored, name="predicted.json")).proposal is None  # it was never wrong
    assert both > 150
    assert again.labelled == []


def _version(prompt: str) -> str:
    from llm_backend.services import open_for_dataset

    services = open_for_dataset(Settings(api_key="test-key"), Path("version"), ScriptedLLM("x"))
    try:
        return services.backend.datasets.open(CONFIG, prompt).spec.version
    finally:
        services.close()


def test_an_interruption_goes_on_where_it_stopped() -> None:
    data = export(60)
    model = Model(NEW)

    def away(call: Call) -> Reply:
        return Unreachable("m: no answer.") if "You improve" in said(call) else model(call)

    with pytest.raises(BackendError, match="No prompt was proposed: m: no answer"):
        refined(away, data)
    asked = len(model.labelled)
    assert asked == sum(not held_out({"text": text_of(number)}, 0.3) for number in range(1, 61))
    assert refined(model, data).trial is not None
    assert len(model.labelled) == asked + 2 * (60 - asked)
    assert not Path("export.json.refine.state").exists()


def test_examples_come_from_the_training_part_and_both_prompts_get_them() -> None:
    seen: list[tuple[str, list[str]]] = []
    model = Model(NEW)

    def labels(call: Call) -> Reply:
        if "You improve" not in said(call):
            earlier = [re.findall(r"note-\d+ [\w ]+(?=\?)", message.text)[0] for message in call.messages[1:-1:2]]
            seen.append((call.messages[-1].text, earlier))
        return model(call)

    refined(labels, export(60), settings=replace(Settings(api_key="test-key"), few_shot=3))
    assert all(len(earlier) == 3 for _, earlier in seen)
    assert {("sarcasm" in question) for question, _ in seen} == {True, False}
    assert not any(held_out({"text": text}, 0.3) for _, earlier in seen for text in earlier)


@pytest.mark.parametrize(
    ("config", "change", "sentence"),
    [
        (
            '<View><Text name="text" value="$text"/><TextArea name="a" toName="text"/></View>',
            {},
            "asks for free text only",
        ),
        (CONFIG, {"annotations": lambda number: []}, "Of 0 annotated tasks"),
        (CONFIG, {"annotations": lambda number: [annotation(number, "good", was_cancelled=True)]}, "Of 0 annotated"),
        (CONFIG, {"data": lambda number: {"txt": "a"}}, "Of 0 annotated tasks that the labeling config fits"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_asked(
    config: str, change: dict[str, Any], sentence: str
) -> None:
    Path("config.xml").write_text(config)
    model = Model(NEW)
    with pytest.raises(ClickException) as refused:
        refined(model, export(20, **change))
    assert sentence in refused.value.message
    assert refused.value.exit_code == 2
    assert model.labelled == []
    assert not Path("export.json.refine.state").exists()


# The command itself


@pytest.fixture
def provider() -> Iterator[Callable[[Model], str]]:
    """Serves a model as a provider does; gives its address."""
    from tests.support.stub_model import StubModel, says

    stubs = []

    def serve(model: Model) -> str:
        def respond(request: Any, n_th: int) -> Any:
            from llm_backend.core.chat import Message

            call = Call(tuple(Message.of(one["role"], one["content"]) for one in request["messages"]))
            return says(json.dumps(model(call)))

        stub = StubModel(respond).__enter__()
        stubs.append(stub)
        return stub.base_url

    yield serve
    for stub in stubs:
        stub.__exit__(None, None, None)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[tuple[Any, str]]:
    """A running server that knows the project, and its address."""
    with serving(ScriptedLLM({"tone": "good"}), tmp_path / "server") as caller:
        caller.setup(CONFIG)
        server = make_server("127.0.0.1", 0, caller.http.application, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield caller, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def run(*words: str) -> Result:
    return CliRunner().invoke(
        main, ("refine", "export.json", "--config", "config.xml", *words), env={"OPENAI_API_KEY": "k"}
    )


def test_save_pins_a_better_prompt_on_the_server(backend: Any, provider: Callable[[Model], str]) -> None:
    caller, address = backend
    caller.services.backend.known.pin(PROJECT, OLD)
    export()
    Path("out.txt").write_text("before")
    words = ("--project", PROJECT, "--url", address, "--base-url", provider(Model(NEW)))
    tried = run(*words, "--output", "out.txt")
    assert tried.exit_code == 0, tried.output
    assert f"Current prompt:\n-----\n{OLD}\n-----" in tried.stdout
    assert Path("out.txt").read_text() == f"{NEW}\n"
    assert caller.services.backend.known.show(PROJECT).prompt == OLD
    saved = run(*words, "--save")
    assert saved.exit_code == 0, saved.output
    assert caller.services.backend.known.show(PROJECT).prompt == NEW


def test_save_does_not_save_what_is_not_better(backend: Any, provider: Callable[[Model], str]) -> None:
    caller, address = backend
    export(60)
    Path("prompt.txt").write_text(OLD)
    words = ("--prompt", "prompt.txt", "--project", PROJECT, "--url", address, "--save", "--base-url")
    said = run(*words, provider(Model(NEW, well=0.5)))
    assert said.exit_code == 1
    assert said.stderr.endswith("Not saved: it is not better by more than chance.\n")
    assert caller.services.backend.known.show(PROJECT).prompt == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--holdout", "1"), "--holdout"),
        (("--prompt", " "), "holds no words"),
        (("--output", "export.json"), "give the output another name"),
        (("--save", "--url", "http://127.0.0.1:1"), "No answer from"),
    ],
)
def test_wrong_usage_exits_with_2(words: tuple[str, ...], sentence: str) -> None:
    export(5)
    said = run(*words)
    assert (said.exit_code, sentence in said.stderr) == (2, True), said.output


def test_help_teaches_with_an_example() -> None:
    said = CliRunner().invoke(main, ("refine", "--help"), prog_name="llm-backend").stdout
    assert "llm-backend refine project-1.json --config config.xml --project 1 --save" in said
