"""How sure the model is decides which task a real Label Studio offers next, if its manager wants that."""

import json
import urllib.request

from llm_backend.core.wire import JSON
from tests.support.lab import Lab
from tests.support.stub_model import Reply, says, user_text

CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="tone" toName="text"><Choice value="Happy"/><Choice value="Unhappy"/></Choices>
</View>"""
SAMPLES = 5
# How many of five samples say the same.
AGREED = {"sun": 5, "fog": 3, "rain": 4}


def wavers(request: JSON, n_th: int) -> Reply:
    agreed = next(count for word, count in AGREED.items() if word in user_text(request))
    told = ["Happy"] * agreed + ["Unhappy"] * (SAMPLES - agreed)
    return says(*(json.dumps({"tone": tone}) for tone in told[: request.get("n") or 1]))


def offered(lab: Lab, project: int) -> str:
    task: str = lab.api.call("GET", f"/api/projects/{project}/next/")["data"]["text"]
    return task


def calibrate(lab: Lab, project: int) -> None:
    """Tell the backend that the more its model is sure, the less it says."""
    with urllib.request.urlopen(f"{lab.backend}/projects") as answer:
        keys = [one["key"] for one in json.load(answer)["projects"]]
    (key,) = (key for key in keys if key.startswith(f"{project}."))
    table = json.dumps({"knots": [[0.6, 0.2], [0.8, 0.35], [1.0, 0.5]]}).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{lab.backend}/projects/{key}/calibration", table, headers)).close()


def test_uncertainty_sampling_offers_what_the_model_is_least_sure_of(lab: Lab) -> None:
    lab.stub.responder = wavers
    rows = [{"text": f"There was {word}."} for word in AGREED]
    project, tasks = lab.project("Uncertainty", CONFIG, rows, extra_params={"score": SAMPLES})
    calibrate(lab, project)
    lab.api.retrieve_predictions(project)
    stored = {one["task"]: one for one in lab.api.predictions(project)}
    assert [round(stored[task]["score"], 2) for task in tasks] == [0.5, 0.2, 0.35]

    version = stored[tasks[0]]["model_version"]
    lab.api.call("PATCH", f"/api/projects/{project}/", {"sampling": "Uncertainty sampling", "model_version": version})
    seen = []
    for _ in rows:
        text = offered(lab, project)
        seen.append(text)
        lab.api.annotate(tasks[[row["text"] for row in rows].index(text)], stored[tasks[0]]["result"])
    assert seen == ["There was fog.", "There was rain.", "There was sun."]
