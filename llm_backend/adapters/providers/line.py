"""How does a request go out?"""

import json
from collections.abc import Mapping

import httpx2
from openai import APIStatusError, AsyncOpenAI

from llm_backend.adapters.providers.connections import Connections, Reply
from llm_backend.core.wire import JSON

_PATH = "/chat/completions"
_OF_ONE_BODY = ("content-length", "cookie")
_OF_THE_WIRE = ("content-length", "content-encoding", "transfer-encoding")


class Line:
    """The way to one model: the library makes the first request, and those after it are made like it.

    Where a request goes and what it carries (Azure's address for a deployment, keys, headers of the environment) is the
    library's to know, and the same for each. To make each anew, and to send it through the library's layers, would be a
    third of all the CPU that a worker takes for a task.
    """

    def __init__(self, client: AsyncOpenAI, connections: Connections) -> None:
        """
        Args:
            connections: What the client sends with.
        """
        self._client = client
        self._connections = connections
        self._form: tuple[str, dict[str, str]] | None = None

    async def post(self, body: Mapping[str, JSON]) -> Reply:
        """Send a question; its reply, with a status of success.

        Raises:
            APIStatusError: The reply has another status.
            OpenAIError, HTTPError, ClientError, OSError: There is no reply.
        """
        if self._form is not None:
            return await self._post_like(*self._form, body)
        # Not `chat.completions.create`: it types every part of request and reply anew, which costs as much CPU
        # as all the rest, and what compatible servers send must be checked by hand all the same.
        reply: httpx2.Response = await self._client.post(_PATH, cast_to=httpx2.Response, body=body)
        self._form = (str(reply.request.url), _kept(reply.request.headers))
        return Reply(reply.status_code, reply.headers, reply.content)

    async def _post_like(self, url: str, headers: dict[str, str], body: Mapping[str, JSON]) -> Reply:
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        reply = await self._connections.post(url, headers, content)
        if 200 <= reply.status < 300:
            return reply
        told = [(name, value) for name, value in reply.headers.items() if name.lower() not in _OF_THE_WIRE]
        request = httpx2.Request("POST", url)
        response = httpx2.Response(reply.status, headers=told, content=reply.content, request=request)
        raise APIStatusError(f"Error code: {reply.status}", response=response, body=_told(response))


def _kept(headers: httpx2.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_ONE_BODY}


def _told(reply: httpx2.Response) -> object:
    """What the library would call the body of the error: its `error` where it has one."""
    try:
        said = json.loads(reply.text)
    except (ValueError, RecursionError):
        return reply.text.strip()
    return said.get("error", said) if isinstance(said, Mapping) else said
