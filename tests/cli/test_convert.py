"""Do rows and labels of Labelbox go in and out of the shell without loss, and is what is wrong with them told?"""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llm_backend.cli import main
from llm_backend.core.controls import bind
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.wire import JSON
from tests.support.sites import Site, redirect, site

DATA = Path(__file__).parents[1] / "data" / "labelbox"
SAMPLES = ("shopping", "image", "video", "audio")
ONTOLOGY = DATA / "ontology.json"
PRELABELS = DATA / "prelabels.ndjson"


def sample(name: str) -> JSON:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def inline(*names: str) -> list[JSON]:
    return [{"global_key": name, "row_data": sample(name)} for name in names]


class Shell:
    """Runs the two commands in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tasks_file, self.config_file = folder / "tasks.json", folder / "config.xml"

    def into(self, rows: JSON, *more: str, name: str = "rows.json") -> Result:
        file = self.folder / name
        file.write_text(rows if isinstance(rows, str) else json.dumps(rows, ensure_ascii=False), encoding="utf-8")
        outputs = ("--output", str(self.tasks_file), "--config-output", str(self.config_file))
        return self._run("labelbox-to-ls", str(file), *outputs, *more)

    def back(self, tasks: Sequence[JSON], *more: str) -> Result:
        file = self.folder / "export.json"
        file.write_text(json.dumps(tasks), encoding="utf-8")
        return self._run("ls-to-labelbox", str(file), "--output", str(self.folder / "labels.ndjson"), *more)

    @property
    def tasks(self) -> list[JSON]:
        found: list[JSON] = json.loads(self.tasks_file.read_text(encoding="utf-8"))
        return found

    @property
    def labels(self) -> list[JSON]:
        return [json.loads(line) for line in (self.folder / "labels.ndjson").read_text(encoding="utf-8").splitlines()]

    def _run(self, *arguments: str) -> Result:
        result = CliRunner().invoke(main, ["convert", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def exported(tasks: Sequence[JSON], **by: JSON) -> list[JSON]:
    """Tasks as Label Studio exports them: with ids."""
    return [{"id": number, **task, **by} for number, task in enumerate(tasks, 1)]


@contextmanager
def serving(pages: Mapping[str, JSON]) -> Iterator[Site]:
    """A web server in a thread, for the command has an event loop of its own."""
    ready, done = threading.Event(), asyncio.Event()
    held: list[Site] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with site(pages) as here:
            held.append(here)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield held[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


# In


def test_the_samples_become_tasks_that_keep_them_as_they_were(shell: Shell) -> None:
    rows = inline(*SAMPLES)
    result = shell.into(rows)
    assert result.exit_code == 0, result.output
    assert "4 rows became tasks" in result.stdout
    for task, row in zip(shell.tasks, rows, strict=True):
        assert json.dumps(task["data"]["labelbox"]["document"]) == json.dumps(row["row_data"])
    assert shell.back(exported(shell.tasks), "--rows-output", str(shell.folder / "again.json")).exit_code == 0
    again = json.loads((shell.folder / "again.json").read_text(encoding="utf-8"))
    assert json.dumps(again) == json.dumps(rows)


def test_a_task_shows_the_turns_and_the_outputs(shell: Shell) -> None:
    shell.into(inline("shopping"))
    data = shell.tasks[0]["data"]
    assert [(turn["author"], turn["role"], turn["message_id"]) for turn in data["messages"]] == [
        ("Bot", "assistant", "message-0"),
        ("User", "user", "message-1"),
        ("Bot", "assistant", "message-2"),
        ("User", "user", "message-3"),
    ]
    assert [(item["id"], item["title"]) for item in data["items"]] == [("0", "Response A"), ("1", "Response B")]
    assert data["response_2"] == sample("shopping")["modelOutputs"][1]["content"] == data["items"][1]["body"]
    outputs = {output.name: output for output in parse(shell.config_file.read_text(encoding="utf-8")).outputs}
    assert [option.value for option in outputs["best_response"].choices] == ["Response A", "Response B", "Tie"]


def test_media_are_shown_and_a_model_is_shown_the_pictures(shell: Shell) -> None:
    shell.into(inline("image", "video", "audio"))
    image, video, audio = (task["data"] for task in shell.tasks)
    config = parse(shell.config_file.read_text(encoding="utf-8"))
    assert [ref.url[-5:] for seen in read(config, image).seen for ref in seen.media] == [".jpeg", ".jpeg"]
    assert image["messages"][0]["role"] == "user"
    assert '<video src="https://storage.googleapis.com/gtv-videos-bucket/' in video["media"][0]["html"]
    assert (
        'src="https://storage.googleapis.com/labelbox-datasets/audio-sample-data/Firework_1.m4a"'
        in (audio["items"][0]["html"])
    )


def test_scripts_are_kept_but_never_shown_as_html(shell: Shell) -> None:
    bad = '<script>steal()</script><img src="https://e.com/a.png" onerror="steal()"><img src="javascript:steal()"> hi'
    row = sample("shopping")
    row["messages"][1]["content"] = row["modelOutputs"][0]["content"] = bad
    assert shell.into([{"global_key": "k", "row_data": row}]).exit_code == 0
    data = shell.tasks[0]["data"]
    assert data["response_1"] == data["messages"][1]["text"] == bad
    shown = data["items"][0]["html"] + data["media"][0]["html"]
    assert "https://e.com/a.png" in shown
    assert "steal" not in shown


@pytest.mark.parametrize(
    "row",
    [
        {"externalId": "e", "globalKey": "k", "conversationalData": sample("shopping")["messages"]},
        {"row_data": sample("shopping"), "external_id": "e", "metadata_fields": [{"name": "tag", "value": 1.5}]},
        {"data_row": {"id": "d", "global_key": "k", "row_data": sample("shopping")}, "projects": {}},
        sample("shopping"),
    ],
    ids=["legacy", "current", "export", "content"],
)
def test_every_form_of_a_row_is_read_and_given_back(shell: Shell, row: JSON) -> None:
    assert shell.into([row]).exit_code == 0
    task = shell.tasks[0]
    assert len(task["data"]["messages"]) == 4
    task["data"]["labelbox"]["global_key"] = task["data"]["labelbox"]["global_key"] or "k"
    shell.back(exported([task]), "--rows-output", str(shell.folder / "again.json"))
    assert (shell.folder / "again.json").read_text(encoding="utf-8") == f"[\n{json.dumps(row)}\n]\n"


def test_a_chat_of_version_2_shows_its_last_comparison(shell: Shell) -> None:
    def said(actor: str, text: str, *children: str) -> JSON:
        return {"actorId": actor, "content": [{"type": "text", "content": text}], "childMessageIds": list(children)}

    chat = {
        "type": "application/vnd.labelbox.conversational.model-chat-evaluation",
        "version": 2,
        "actors": {
            "p": {"role": "human", "metadata": {"name": "Ann"}},
            "a": {"role": "model", "metadata": {"modelConfigName": "small"}},
            "b": {"role": "model", "metadata": {"modelConfigName": "large"}},
        },
        "messages": {
            "1": said("p", "Hi", "2", "3"),
            "2": said("a", "Yes?"),
            "3": said("b", "Hello", "4"),
            "4": said("p", "A joke!", "5", "6"),
            "5": said("a", "No."),
            "6": said("b", "Knock, knock."),
        },
        "rootMessageIds": ["1"],
    }
    assert shell.into([{"global_key": "k", "row_data": chat}]).exit_code == 0
    data = shell.tasks[0]["data"]
    assert [(turn["role"], turn["text"]) for turn in data["messages"]] == [
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "A joke!"),
    ]
    assert [(item["title"], item["body"]) for item in data["items"]] == [("small", "No."), ("large", "Knock, knock.")]
    assert data["labelbox"]["document"] == chat
    chat["messages"]["6"]["childMessageIds"] = ["1"]
    assert "circle" in shell.into([{"global_key": "k", "row_data": chat}]).stderr


# Labels, in and out


@pytest.mark.parametrize(("option", "source"), [("--prelabels", "predictions"), ("--labels", "annotations")])
def test_lines_come_back_letter_for_letter(shell: Shell, option: str, source: str) -> None:
    result = shell.into(inline(*SAMPLES), "--ontology", str(ONTOLOGY), option, str(PRELABELS))
    assert result.exit_code == 0, result.output
    assert "with 5 answers" in result.stdout
    assert all(task.get(source) for task in shell.tasks[:2])
    result = shell.back(exported(shell.tasks), "--from", source)
    assert result.exit_code == 0, result.output
    assert (shell.folder / "labels.ndjson").read_text(encoding="utf-8") == PRELABELS.read_text(encoding="utf-8")


def test_prelabels_fill_the_config_that_was_made(shell: Shell) -> None:
    shell.into(inline("shopping", "image"), "--ontology", str(ONTOLOGY), "--prelabels", str(PRELABELS))
    config = parse(shell.config_file.read_text(encoding="utf-8"))
    controls, unfillable = bind(config)
    assert not unfillable
    names = {output.name: output for output in config.outputs}
    for task in shell.tasks:
        for region in task["predictions"][0]["result"]:
            assert region["type"] == names[region["from_name"]].type
            assert region["to_name"] in names[region["from_name"]].to_names
    assert controls
    of_message = [region for region in shell.tasks[0]["predictions"][0]["result"] if "start" in region["value"]]
    assert {region["id"] for region in of_message} == {of_message[0]["id"]}
    assert [region["from_name"] for region in of_message] == ["message", "message_quality", "what_is_bad"]
    text = sample("shopping")["messages"][2]["content"]
    assert (of_message[0]["value"]["start"], of_message[0]["value"]["endOffset"]) == ("2", len(text))


def test_what_a_person_chose_becomes_lines(shell: Shell) -> None:
    shell.into(inline("shopping"), "--ontology", str(ONTOLOGY))

    def region(control: str, value: JSON, ident: str, kind: str = "choices") -> JSON:
        return {"id": ident, "from_name": control, "to_name": "dialogue", "type": kind, "value": value}

    place = {"start": "1", "end": "1", "startOffset": 0, "endOffset": 9}
    given = "11111111-2222-4333-8444-555555555555"
    result = [
        region("choose_the_best_response", {"choices": ["tie"]}, given),
        region("what_is_alike", {"choices": ["facts", "tone"]}, "b"),
        region("provide_a_reason_for_your_choice", {"text": ["First.", "Second."]}, "c", "textarea"),
        region("problems", {"choices": []}, "d"),
        region("message", {**place, "paragraphlabels": ["message"]}, "m", "paragraphlabels"),
        region("message_quality", {**place, "choices": ["bad"]}, "m"),
        region("what_is_bad", {**place, "text": ["All."]}, "m", "textarea"),
        region("stars", {"rating": 3}, "e", "rating"),
    ]
    annotations = [{"id": 7, "result": result}, {"id": 8, "result": result, "was_cancelled": True}]
    told = shell.back(exported(shell.tasks, annotations=annotations))
    assert told.exit_code == 0, told.output
    assert 'Left out: 1 answer of "stars"' in told.stdout
    best, reason, quality = shell.labels
    row = {"globalKey": "shopping"}
    alike = {"name": "What is alike", "answer": [{"name": "facts"}, {"name": "tone"}]}
    assert best == {
        "name": "Choose the best response",
        "answer": {"name": "tie", "classifications": [alike]},
        "uuid": given,
        "dataRow": row,
    }
    assert (reason["name"], reason["answer"]) == ("Provide a reason for your choice", "First.\nSecond.")
    assert quality["messageId"] == "message-1"
    assert quality["answer"] == {"name": "bad", "classifications": [{"name": "What is bad", "answer": "All."}]}
    assert len({line["uuid"] for line in shell.labels}) == 3
    first = shell.labels
    shell.back(exported(shell.tasks, annotations=annotations))
    assert shell.labels == first


def test_a_changed_prelabel_goes_out_as_what_it_says_now(shell: Shell) -> None:
    shell.into(inline("shopping"), "--ontology", str(ONTOLOGY), "--prelabels", str(PRELABELS))
    (task,) = exported(shell.tasks)
    result = task["predictions"][0]["result"]
    next(one for one in result if one["from_name"] == "choose_the_best_response")["value"] = {"choices": ["Response A"]}
    shell.back([{**task, "annotations": [{"id": 1, "result": result}]}])
    assert shell.labels[0] == {
        "name": "Choose the best response",
        "answer": {"name": "Response A"},
        "uuid": "6a1f27a4-3f0e-4a0e-9c55-1d5f0d6a0001",
        "dataRow": {"globalKey": "shopping"},
    }


def test_a_models_prediction_tells_how_sure_it_is(shell: Shell) -> None:
    shell.into(inline("shopping"), "--ontology", str(ONTOLOGY))
    named = {"to_name": "dialogue", "type": "choices"}
    result = [
        {"id": "a", "from_name": "choose_the_best_response", "value": {"choices": ["tie"]}, "score": 0.25, **named},
        {"id": "b", "from_name": "problems", "value": {"choices": ["too_long"]}, **named},
    ]
    shell.back(exported(shell.tasks, predictions=[{"result": result, "score": 0.75}]), "--from", "predictions")
    assert [line["confidence"] for line in shell.labels] == [0.25, 0.75]
    told = shell.back(exported(shell.tasks, predictions=[3]), "--from", "predictions")
    assert (told.exit_code, "export them in full" in told.stderr) == (2, True)


def test_exported_labels_become_annotations_one_for_each_person(shell: Shell) -> None:
    def label(name: str) -> JSON:
        radio = {"feature_id": "f", "name": "Choose the best response", "radio_answer": {"name": name, "value": "x"}}
        below = {"name": "What is bad", "conversational_text_answer": {"content": "All."}}
        quality = {"name": "Message quality", "message_id": "message-1"}
        quality["conversational_radio_answer"] = {"name": "Bad", "classifications": [below]}
        problems = {"name": "Problems", "checklist_answers": [{"name": "Too long"}, {"name": "Off topic"}]}
        return {"annotations": {"objects": [], "classifications": [radio, quality, problems]}}

    row = {"data_row": {"global_key": "k", "row_data": sample("shopping")}}
    row["projects"] = {"p": {"labels": [label("Tie"), label("Response A")]}}
    result = shell.into(json.dumps(row) + "\n", "--ontology", str(ONTOLOGY), name="rows.ndjson")
    assert result.exit_code == 0, result.output
    first, second = shell.tasks[0]["annotations"]
    assert [one["value"].get("choices") for one in first["result"]] == [
        None,
        ["tie"],
        ["bad"],
        None,
        ["too_long", "off_topic"],
    ]
    assert second["result"][1]["value"] == {"choices": ["Response A"]}
    shell.back(exported(shell.tasks))
    assert [line["answer"] for line in shell.labels if line["name"] == "Choose the best response"] == [
        {"name": "tie"},
        {"name": "Response A"},
    ]
    assert len({line["uuid"] for line in shell.labels}) == 6


# Bad input


def broken(**changes: JSON) -> JSON:
    return {"global_key": "bad", "row_data": {**sample("shopping"), **changes}}


def many(count: int) -> list[JSON]:
    return [{**sample("shopping")["messages"][0], "messageId": f"m{number}"} for number in range(count)]


def lacking(key: str) -> list[JSON]:
    return [{name: value for name, value in many(1)[0].items() if name != key}]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"global_key": "bad"}, "row_data"),
        ({"global_key": "bad", "row_data": 3}, "row_data"),
        (broken(type="application/vnd.labelbox.video"), "vnd.labelbox.video"),
        (broken(version=7), "version"),
        (broken(messages="no"), "must be a list"),
        (broken(messages=[3]), "message 1"),
        (broken(messages=lacking("content")), '"content" is missing'),
        (broken(messages=lacking("messageId")), '"messageId" is missing'),
        (broken(messages=lacking("user")), '"user" is missing'),
        (broken(messages=many(251)), "251 messages"),
        (broken(messages=many(1) * 2), "messageId"),
        (broken(modelOutputs=[{"title": "A", "content": "x"}] * 2), "title"),
        (broken(modelOutputs=[{"title": "A"}]), '"content" is missing'),
        ({"global_key": "good", "row_data": sample("shopping")}, "another row"),
        ({"global_key": "bad", "row_data": "s3://bucket/1.json?signature=x"}, "http and https URLs are"),
        ({"global_key": "bad", "row_data": "https://e.com/1.json?signature=x"}, "host was not allowed (--allow-url)"),
        ({"global_key": "bad", "row_data": "missing.json"}, "cannot be read"),
        ({"global_key": "bad", "row_data": "../../etc/passwd"}, "lies outside"),
        ({"global_key": "bad", "row_data": "/etc/passwd"}, "lies outside"),
    ],
)
def test_a_bad_row_is_named_and_the_others_go_through(shell: Shell, row: JSON, said: str) -> None:
    good = {"global_key": "good", "row_data": sample("shopping")}
    lines = [json.dumps(good), json.dumps(row), '{"broken', json.dumps({**good, "global_key": "last"})]
    result = shell.into("\n".join(lines), name="rows.ndjson")
    assert result.exit_code == 1
    (told,) = [line for line in result.stderr.splitlines() if "line 2 is skipped" in line]
    assert said in told
    assert "signature" not in told
    assert "line 3 is skipped: it is not JSON" in result.stderr
    assert [task["data"]["labelbox"]["global_key"] for task in shell.tasks] == ["good", "last"]
    assert "2 rows became tasks" in result.stdout
    assert "2 faults in" in result.stdout


def test_250_messages_are_taken(shell: Shell) -> None:
    assert shell.into([broken(messages=many(250))]).exit_code == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"broken', "not JSON"),
        ({"name": "Tone", "answer": "x"}, "the ontology asks"),
        ({"name": "Choose the best response", "answer": {"name": "Response Z"}}, "no option"),
        ({"name": "Choose the best response", "answer": "tie"}, "is answered with"),
        ({"name": "Choose the best response", "answer": [{"name": "tie"}, {"name": "tie"}]}, "takes one option"),
        ({"name": "Choose the best response", "answer": {"name": "tie"}, "messageId": "message-1"}, "once of the row"),
        ({"name": "Message quality", "answer": {"name": "bad"}}, "of every message"),
        ({"name": "Message quality", "answer": {"name": "bad"}, "messageId": "m9"}, "does not have"),
        ({"name": "Provide a reason for your choice", "answer": 3}, "with a text"),
        ({"name": "Provide a reason for your choice", "answer": "x", "dataRow": {"globalKey": "no"}}, "no row"),
        ({"name": "Provide a reason for your choice", "answer": "x", "dataRow": {}}, "dataRow"),
        ({"name": "Product", "location": {"start": 0, "end": 1}, "messageId": "message-1"}, "no counterpart"),
    ],
)
def test_a_bad_label_is_named_and_the_others_go_through(shell: Shell, line: JSON, said: str) -> None:
    row = {"uuid": "6a1f27a4-3f0e-4a0e-9c55-1d5f0d6a0009", "dataRow": {"globalKey": "shopping"}}
    bad = line if isinstance(line, str) else json.dumps({**row, **line})
    good = PRELABELS.read_text(encoding="utf-8").splitlines()
    labels = shell.folder / "labels.ndjson"
    labels.write_text("\n".join([good[0], bad, good[2]]), encoding="utf-8")
    result = shell.into(inline("shopping"), "--ontology", str(ONTOLOGY), "--prelabels", str(labels))
    assert result.exit_code == 1
    (told,) = result.stderr.splitlines()
    assert f"{labels} line 2 is skipped" in told
    assert said in told
    assert [one["from_name"] for one in shell.tasks[0]["predictions"][0]["result"]] == [
        "choose_the_best_response",
        "problems",
    ]


def test_labels_without_an_ontology_are_refused_before_anything_is_written(shell: Shell) -> None:
    result = shell.into(inline("shopping"), "--prelabels", str(PRELABELS))
    assert (result.exit_code, "--ontology" in result.stderr) == (2, True)
    assert not shell.tasks_file.exists()


def test_a_task_that_was_no_row_is_named_on_the_way_back(shell: Shell) -> None:
    shell.into(inline("shopping"), "--ontology", str(ONTOLOGY), "--labels", str(PRELABELS))
    result = shell.back([{"id": 9, "data": {"text": "x"}, "annotations": []}, *exported(shell.tasks)])
    assert result.exit_code == 1
    assert "export.json line 1 (task 9) is skipped" in result.stderr
    assert len(shell.labels) == 4


def test_an_output_never_replaces_what_is_read(shell: Shell) -> None:
    rows = shell.folder / "tasks.json"
    assert shell.into(inline("shopping"), name="tasks.json").exit_code == 2
    assert json.loads(rows.read_text(encoding="utf-8")) == inline("shopping")


# Contents that lie elsewhere


def test_nothing_is_fetched_unless_its_host_is_allowed(shell: Shell) -> None:
    result = shell.into(sample("outer"), "--allow-url", "e.com")
    assert result.exit_code == 2
    told = [line for line in result.stderr.splitlines() if "its host was not allowed" in line]
    assert [f'"global_key_{number}"' in line for number, line in enumerate(told, 1)] == [True] * 3


def test_contents_are_read_beside_the_list_and_fetched_from_allowed_hosts(shell: Shell) -> None:
    (shell.folder / "sub").mkdir()
    (shell.folder / "sub" / "1.json").write_text(json.dumps(sample("shopping")), encoding="utf-8")
    pages = {"/1.json": json.dumps(sample("image")).encode(), "/2.json": redirect("/1.json"), "/3.json": b"<html>"}
    with serving(pages) as here:
        rows = [
            {"row_data": "sub/1.json", "global_key": "a"},
            {"row_data": f"{here.origin}/1.json", "global_key": "b"},
            {"externalId": "x", "globalKey": "c", "conversationalUrl": f"{here.origin}/1.json"},
            {"row_data": f"{here.origin}/2.json", "global_key": "d"},
            {"row_data": f"{here.origin}/3.json", "global_key": "e"},
        ]
        refused = shell.into(rows)
        assert (refused.exit_code, here.asked) == (1, [])
        result = shell.into(rows, "--allow-url", f"127.0.0.1:{here.port}")
    assert result.exit_code == 1
    assert [task["data"]["labelbox"]["global_key"] for task in shell.tasks] == ["a", "b", "c"]
    assert shell.tasks[1]["data"]["labelbox"]["outer"] == rows[1]
    assert 'global key "d"' in result.stderr
    assert 'global key "e"' in result.stderr
