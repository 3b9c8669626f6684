"""Datasets over HTTP: uploaded, labelled as a job, downloaded with their labels, removed."""

import asyncio
import csv
import io
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from llm_backend.core.chat import Call
from llm_backend.errors import KeyRefused, ProviderRefused
from tests.support.redis_server import redis_url
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serve import until
from tests.support.serving import Caller, serving
from tests.support.stub_model import StubModel, says
from tests.support.worker import worker

__all__ = ["redis_url"]  # a fixture

POLITE = {"prompt_template": "Is {reply} polite?"}
GOOD = {"explanation": "x", "label": "0"}
TABLE = "n,reply\n1,please\n2,no\n3,please do\n"


def polite(call: Call) -> Reply:
    text = [message.text for message in call.messages if message.role == "user"][-1]
    if "poison" in text:
        return ProviderRefused("m: the model declined.")
    return {"explanation": "So it seems.", "label": str(int("please" in text))}


def upload(host: Caller, held: str | bytes = TABLE, name: str = "replies.csv", **more: str) -> Any:
    response = host.http.post("/datasets", data=held, query_string={"name": name, **more})
    assert response.status_code == 201, response.get_json()
    return response.get_json()


def label(host: Caller, ident: str, **body: Any) -> str:
    response = host.http.post(f"/datasets/{ident}/label", json=body)
    assert response.status_code == 202, response.get_json()
    return str(response.get_json()["job_id"])


def job(host: Caller, job_id: str) -> Any:
    return host.http.get(f"/jobs/{job_id}").get_json()


def wait(host: Caller, job_id: str) -> Any:
    until(lambda: job(host, job_id)["state"] not in ("queued", "running"), 30.0)
    return job(host, job_id)


def download(host: Caller, ident: str) -> list[dict[str, str]]:
    response = host.http.get(f"/datasets/{ident}", query_string={"format": "csv"})
    assert response.status_code == 200, response.get_json()
    return list(csv.DictReader(io.StringIO(response.get_data(as_text=True), newline="")))


async def set_now(event: asyncio.Event) -> None:
    event.set()


def refused(response: Any) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def test_a_dataset_is_uploaded_labelled_and_downloaded(tmp_path: Path) -> None:
    with serving(ScriptedLLM(polite), tmp_path) as host:
        told = upload(host, description="What people wrote")
        assert {name: told[name] for name in ("name", "description", "columns", "rows", "skipped", "job")} == {
            "name": "replies.csv",
            "description": "What people wrote",
            "columns": ["n", "reply"],
            "rows": 3,
            "skipped": 0,
            "job": None,
        }
        assert download(host, told["id"]) == list(csv.DictReader(io.StringIO(TABLE)))
        done = wait(host, label(host, told["id"], **POLITE))
        assert (done["state"], done["done"], done["source"], done["project"]) == (
            *("completed", 3, "label", f"dataset.{told['id']}"),
        )
        rows = download(host, told["id"])
        assert list(rows[0]) == ["n", "reply", "label", "label_source", "explanation", "score"]
        assert [(row["n"], row["label"], row["label_source"]) for row in rows] == [
            *(("1", "1", "llm"), ("2", "0", "llm"), ("3", "1", "llm"))
        ]
        shown = host.http.get(f"/datasets/{told['id']}").get_json()
        assert (shown["job"]["state"], shown["prompt_template"]) == ("completed", "Is {reply} polite?")
        lines = host.http.get(f"/datasets/{told['id']}", query_string={"format": "jsonl"}).get_data(as_text=True)
        assert [json.loads(line)["label"] for line in lines.splitlines()] == [1, 0, 1]


def test_labelling_the_same_again_asks_nothing_and_other_words_ask_anew(tmp_path: Path) -> None:
    llm = ScriptedLLM(polite)
    with serving(llm, tmp_path) as host:
        ident = upload(host)["id"]
        wait(host, label(host, ident, **POLITE))
        again = wait(host, label(host, ident, **POLITE))
        assert (again["state"], again["done"], len(llm.calls)) == ("completed", 3, 3)
        wait(host, label(host, ident, prompt_template="Is {reply} kind?"))
        assert len(llm.calls) == 6


def test_people_and_examples_of_another_dataset_go_along(tmp_path: Path) -> None:
    llm = ScriptedLLM(polite)
    with serving(llm, tmp_path) as host:
        shots = upload(host, '{"reply": "thanks", "label": 1}\n', "shots.jsonl")["id"]
        ident = upload(host, "reply,label\nno,\nkind,0\n")["id"]
        wait(host, label(host, ident, **POLITE, few_shot_dataset_id=shots))
        rows = download(host, ident)
    assert [(row["label"], row["label_source"]) for row in rows] == [("0", "llm"), ("0", "human")]
    asked = {call.messages[-1].text: {turn.text for turn in call.messages[1:-1:2]} for call in llm.calls}
    assert asked == {
        "Is no polite?": {"Is kind polite?", "Is thanks polite?"},
        "Is kind polite?": {"Is thanks polite?"},
    }


def test_a_metric_of_ours_is_known_by_its_name(tmp_path: Path) -> None:
    with serving(ScriptedLLM({"explanation": "x", "label": "0"}), tmp_path) as host:
        ident = upload(host, "question,answer\na,b\n")["id"]
        wait(host, label(host, ident, metric="relevance"))
        assert download(host, ident)[0]["label"] == "0"
        shown = host.http.get(f"/datasets/{ident}").get_json()
        assert (shown["metric"], shown["pass_when"], shown["labels"]) == ("Relevance", "1", ["0", "1"])
        status, sentence = refused(host.http.post(f"/datasets/{ident}/label", json={"metric": "faithfulness"}))
        assert status == 400
        assert "uses {ground_truth} (or context, retrieval_context" in sentence


def test_a_failed_row_tells_why_and_is_retried_as_a_job(tmp_path: Path) -> None:
    healed: list[bool] = []
    with serving(ScriptedLLM(lambda call: GOOD if healed else polite(call)), tmp_path) as host:
        ident = upload(host, "reply\nplease\npoison\n")["id"]
        job_id = label(host, ident, **POLITE)
        assert wait(host, job_id)["failed"] == 1
        rows = download(host, ident)
        assert [(row["label"], row["error"]) for row in rows] == [("1", ""), ("", "m: the model declined.")]
        healed.append(True)
        assert host.http.post(f"/jobs/{job_id}/retry").status_code == 200
        assert wait(host, job_id)["failed"] == 0
        assert [row["label"] for row in download(host, ident)] == ["1", "0"]


def test_what_a_cancelled_job_has_done_is_kept(tmp_path: Path) -> None:
    stuck = asyncio.Event()

    async def slow(call: Call) -> Reply:
        if "no" in call.messages[-1].text.split():
            await stuck.wait()
        return polite(call)

    with serving(ScriptedLLM(slow), tmp_path) as host:
        ident = upload(host)["id"]
        job_id = label(host, ident, **POLITE)
        assert label(host, ident, **POLITE) == job_id
        until(lambda: job(host, job_id)["done"] == 2, 30.0)
        assert [row["label"] for row in download(host, ident)] == ["1", "", "1"]
        assert host.http.post(f"/jobs/{job_id}/cancel").status_code == 200
        assert [row["label"] for row in download(host, ident)] == ["1", "", "1"]
        other = label(host, ident, **POLITE)
        assert other != job_id
        host.http.post(f"/jobs/{other}/cancel")
        host.services.loop.run(set_now(stuck))


def test_a_refused_key_pauses_the_job_and_asking_again_goes_on(tmp_path: Path) -> None:
    replies: list[Any] = [KeyRefused("m: the key is refused.")]
    with serving(ScriptedLLM(lambda call: replies[0] if replies else polite(call)), tmp_path) as host:
        ident = upload(host)["id"]
        job_id = label(host, ident, **POLITE)
        paused = wait(host, job_id)
        assert (paused["state"], paused["reason"]) == ("paused", "m: the key is refused.")
        replies.clear()
        assert label(host, ident, **POLITE) == job_id
        assert wait(host, job_id)["state"] == "completed"


def test_a_removed_dataset_leaves_nothing(tmp_path: Path) -> None:
    with serving(ScriptedLLM(polite), tmp_path) as host:
        ident = upload(host, "reply,label\nsecret,1\n")["id"]
        wait(host, label(host, ident, **POLITE))
        assert host.services.store.corrections(f"dataset.{ident}")
        assert host.http.delete(f"/datasets/{ident}").get_json() == {"removed": ident}
        assert not host.services.store.corrections(f"dataset.{ident}")
        assert list((tmp_path / "datasets").iterdir()) == []
        assert host.http.get("/datasets").get_json() == {"datasets": []}
        assert refused(host.http.get(f"/datasets/{ident}")) == (404, f"There is no dataset {ident}.")


@pytest.mark.parametrize(
    ("held", "name", "sentence"),
    [
        ("", "a.csv", "a.csv holds no rows: there is nothing to label."),
        ("[1]\n", "a.jsonl", "a.jsonl holds no row that can be used. Line 1: it is no object"),
        (b"reply\n\xff\xfe\n", "a.csv", "a.csv line 2 is not UTF-8 text"),
        ("a,a\n1,2\n", "a.csv", 'a.csv: the header names "a" more than once'),
        ("x", "a.xlsx", 'A dataset\'s name ends in .csv, .tsv, .jsonl, .ndjson, .json; found "a.xlsx".'),
        ("x", "", "POST /datasets?name=answers.csv"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_not_kept(
    tmp_path: Path, held: str | bytes, name: str, sentence: str
) -> None:
    with serving(ScriptedLLM(polite), tmp_path) as host:
        status, told = refused(host.http.post("/datasets", data=held, query_string={"name": name}))
        assert status == 400
        assert sentence in told
        assert str(tmp_path) not in told
        assert not list(tmp_path.glob("datasets/*"))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "Send {"),
        ({"metric": "relevance", **POLITE}, "Send {"),
        ({"metric": "../form"}, 'There is no metric "../form"'),
        ({"prompt_template": "Is {text} polite?"}, "uses {text}, which no column fills"),
        ({**POLITE, "labels": "0,1"}, '"labels" is a list'),
        ({**POLITE, "labels": ["good"]}, "two labels or more"),
        ({**POLITE, "fewshot": "x"}, '"fewshot" is not known here'),
        ({**POLITE, "label_column": 3}, '"label_column" is a text.'),
        ({**POLITE, "few_shot_dataset_id": "../../x"}, "There is no dataset ../../x."),
        ({**POLITE, "label_column": "n"}, 'replies.csv line 3: "2" is none of the labels 0, 1 (2 rows have'),
    ],
)
def test_labelling_that_cannot_be_done_is_refused(tmp_path: Path, body: Any, sentence: str) -> None:
    llm = ScriptedLLM(polite)
    with serving(llm, tmp_path) as host:
        ident = upload(host)["id"]
        status, told = refused(host.http.post(f"/datasets/{ident}/label", json=body))
        assert status in (400, 404)
        assert sentence in told
        assert llm.calls == []


def test_datasets_are_behind_the_credentials_and_the_limit_of_bodies(tmp_path: Path) -> None:
    guarded = {"basic_auth_user": "ann", "basic_auth_pass": "secret", "url_secret": "hidden", "max_body_mb": 0.001}
    with serving(ScriptedLLM(polite), tmp_path, **guarded) as host:
        shown = {"Authorization": "Basic " + b64encode(b"ann:secret").decode()}
        assert host.http.get("/hidden/datasets").status_code == 401
        assert host.http.get("/datasets", headers=shown).status_code == 404
        assert host.http.get("/hidden/datasets", headers=shown).get_json() == {"datasets": []}
        large = host.http.post("/hidden/datasets?name=a.csv", data="reply\n" + "x" * 2000, headers=shown)
        assert refused(large) == (413, "The body is larger than 0.001 MB, the limit set by MAX_BODY_MB.")
        assert not list(tmp_path.glob("datasets/*"))


def test_workers_judge_an_uploaded_dataset_by_peoples_labels(redis_url: str, tmp_path: Path) -> None:
    def respond(request: Any, n_th: int) -> Any:
        return says(json.dumps(GOOD))

    with StubModel(respond) as model:
        told = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "test-key"}
        with (
            worker(tmp_path, **told),
            serving(None, tmp_path, redis_url=redis_url, base_url=model.base_url) as host,
        ):
            ident = upload(host, "reply,label\nno,\nkind,1\n")["id"]
            done = wait(host, label(host, ident, **POLITE))
            assert (done["state"], done["done"]) == ("completed", 2)
            assert [row["label"] for row in download(host, ident)] == ["0", "1"]
            lengths = {
                request.json["messages"][-1]["content"]: len(request.json["messages"]) for request in model.asked
            }
            assert lengths == {"Is no polite?": 4, "Is kind polite?": 2}


def test_people_and_the_judge_of_a_dataset_are_compared(tmp_path: Path) -> None:
    with serving(ScriptedLLM(polite), tmp_path) as host:
        told = upload(host, "reply,label\nplease,1\nno,1\nplease do,\n")
        wait(host, label(host, told["id"], **POLITE))
        report = host.http.get(f"/projects/{told['project']}/agreement").get_json()
    (found,) = [one for one in report["comparisons"] if one["control"] == "label"]
    assert (found["all"]["tasks"], found["all"]["accuracy"]["value"]) == (2, 0.5)
    assert [(one["people"], one["model"], one["link"]) for one in found["disagreements"]] == [("1", "0", "")]
    assert told["id"] in report["source"]
