"""What does Label Studio send? The bodies of its calls, with all that it puts into them."""

import json
from typing import Any

PROJECT = "1.1795217550"
CONFIG = """<View>
  <Style>
    .lsf-main-content.lsf-requesting .prompt::before { content: ' loading...'; color: #808080; }
  </Style>
  <Text name="text" value="$text"/>
  <Header value="Your prompt"/>
  <View className="prompt">
    <TextArea name="prompt" toName="text" editable="true" rows="2" maxSubmissions="1" showSubmitButton="false"/>
  </View>
  <TextArea name="response" toName="text" smart="false" editable="true"/>
  <View style="box-shadow: 2px 2px 5px #999; padding: 20px; margin-top: 2em; border-radius: 5px;">
    <Header value="Is it meant sarcastically?"/>
    <Choices name="sentiment" toName="text" choice="single" showInLine="true" required="true">
      <Choice value="Sarcastic"/>
      <Choice value="Not Sarcastic"/>
    </Choices>
    <Header value="How strong is the feeling?"/>
    <Rating name="strength" toName="text" maxRating="5"/>
  </View>
</View>"""
_PROMPT = "Is this meant sarcastically? Say why in one sentence, and rate how strong the feeling is."


def setup() -> bytes:
    """Connecting the backend to the project."""
    body = {"project": PROJECT, "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": "0" * 40}
    return _bytes({**body, "extra_params": None})


def shift_enter(number: int) -> bytes:
    """A prompt sent from the editor of task `number`; every task has a text of its own."""
    typed = {"value": {"text": [_PROMPT]}, "id": "7cdtbrorcS", "from_name": "prompt", "to_name": "text"}
    context = {"result": [{**typed, "type": "textarea", "origin": "manual"}]}
    return _bytes(_predict([{**_task(number), "drafts": []}], context))


def batch(first: int, count: int) -> bytes:
    """Retrieve Predictions on `count` tasks."""
    extra = {"is_labeled": False, "overlap": 1, "file_upload": None}
    return _bytes(_predict([{**_task(number), **extra} for number in range(first, first + count)], None))


def _predict(tasks: list[dict[str, Any]], context: Any) -> dict[str, Any]:
    params = {"login": None, "password": None, "context": context}
    return {"tasks": tasks, "project": PROJECT, "label_config": CONFIG, "params": params}


def _task(number: int) -> dict[str, Any]:
    text = (
        f"Ticket {number}: I love it when my computer crashes right before a deadline. It did so twice this morning, "
        "and the second time it took the backup along, which the manual calls a feature. The colleague at the help "
        "desk was kind about it and found most of the files again."
    )
    return {
        "id": number,
        "data": {"text": text},
        "meta": {},
        "annotations": [],
        "predictions": [],
        "project": 1,
        "inner_id": number,
        "allow_skip": True,
        "total_annotations": 0,
        "total_predictions": 0,
        "updated_by": 1,
        "created_at": "2026-11-20T23:32:30.227997Z",
    }


def _bytes(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
