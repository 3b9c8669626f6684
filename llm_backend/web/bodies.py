"""What JSON does the request hold?"""

import json
from typing import Any

from flask import request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from llm_backend.errors import RequestError


def read_body() -> Any:
    """The request's JSON, whatever its content type says.

    Raises:
        RequestError: It is not JSON.
    """
    try:
        # Not `request.get_json`, which holds on to text and JSON until a batch has been answered.
        return json.loads(request.get_data(cache=False))
    except RequestEntityTooLarge:
        raise
    except (HTTPException, ValueError, RecursionError) as exc:
        raise RequestError("The body is not JSON.") from exc
