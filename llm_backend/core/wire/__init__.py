"""What does Label Studio say to us, and we to it, in JSON?

`regions` holds what results are made of, `tasks` what they are of and what people made of it, and `requests` what the
host asks; `values` reads single values.
"""

from llm_backend.core.wire.regions import RELATION, Prediction, Region, marked
from llm_backend.core.wire.requests import (
    NOTHING,
    PredictRequest,
    SetupRequest,
    WebhookEvent,
    extra_params,
    project_key,
    reply,
)
from llm_backend.core.wire.tasks import Annotation, Task, TaskId, annotations_of
from llm_backend.core.wire.values import JSON

__all__ = [
    "JSON",
    "NOTHING",
    "RELATION",
    "Annotation",
    "PredictRequest",
    "Prediction",
    "Region",
    "SetupRequest",
    "Task",
    "TaskId",
    "WebhookEvent",
    "annotations_of",
    "extra_params",
    "marked",
    "project_key",
    "reply",
]
