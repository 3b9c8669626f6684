"""What would a model's server answer? A stub of OpenAI's chat completions on loopback, scriptable and cheap.

In a test:

    with StubModel(script(rate_limited(retry_after="1"), says("hello"))) as stub:
        ...  # ask stub.base_url
        assert stub.asked[0].json["model"] == "m"

Without a script it answers from the content of the question: with a JSON schema a valid object, else a short text.
"""

import asyncio
import itertools
import json
import math
import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from aiohttp import web

JSON = Any


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        connection: The peer's address and port: equal for requests over the same connection.
        headers: Names in lower case.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    json: JSON
    connection: str
    at: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What the stub does with a request.

    Attributes:
        body: JSON, or raw bytes.
        delay: Seconds, on top of the stub's latency.
        drop_connection: Reset the connection instead of answering.
        hang: Never answer.
    """

    status: int = 200
    body: JSON = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop_connection: bool = False
    hang: bool = False


Responder = Callable[[JSON, int], Reply]
"""Gets the request's JSON and how many requests came before it."""


def answers(request: JSON, n_th: int = 0) -> Reply:
    """The default responder: answers from the question's content."""
    question = user_text(request)
    schema = _schema(request)
    wanted = int(request.get("n") or 1)
    if schema is not None:
        texts = [json.dumps(example(schema, question, variant), ensure_ascii=False) for variant in range(wanted)]
    else:
        texts = [_sentence(question, variant) for variant in range(wanted)]
    return says(*texts, prompt_tokens=len(question) // 4 + 1)


def script(*replies: Reply, then: Responder = answers) -> Responder:
    """Give these replies in order, then go on with another responder."""

    def respond(request: JSON, n_th: int) -> Reply:
        return replies[n_th] if n_th < len(replies) else then(request, n_th)

    return respond


def uneven(mean: float, sigma: float, then: Responder = answers, seed: int = 7) -> Responder:
    """Let every reply take a time of its own: lognormal, `mean` seconds on average."""
    chance = random.Random(seed)

    def respond(request: JSON, n_th: int) -> Reply:
        delay = chance.lognormvariate(math.log(mean) - sigma**2 / 2, sigma)
        return replace(then(request, n_th), delay=delay)

    return respond


def always(reply: Reply) -> Responder:
    return lambda request, n_th: reply


# Good replies


def says(*texts: str | None, finish_reason: str = "stop", prompt_tokens: int = 10, **message: JSON) -> Reply:
    """A completion with one choice per text; `message` adds fields such as `refusal`."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None, **message},
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        for index, text in enumerate(texts)
    ]
    tokens = sum(len(text or "") // 4 + 1 for text in texts)
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": prompt_tokens + tokens,
    }
    body = {"id": "chatcmpl-stub", "object": "chat.completion", "created": 0, "model": "stub", "choices": choices}
    return Reply(body={**body, "usage": usage}, headers={"x-request-id": "req_stub"})


def refuses(words: str = "I can't help with that.") -> Reply:
    return says(None, refusal=words)


def filtered_output(text: str | None = None) -> Reply:
    return says(text, finish_reason="content_filter")


def cut_off(text: str | None) -> Reply:
    return says(text, finish_reason="length")


def ignores_n(request: JSON, n_th: int) -> Reply:
    """A responder that knows nothing of `n`, as Ollama."""
    return answers({**request, "n": 1}, n_th)


# Faults (the bodies that OpenAI, Azure and compatible servers send)


def fails(
    status: int, message: str = "", code: JSON = None, kind: JSON = None, param: JSON = None, **headers: str
) -> Reply:
    """An error in OpenAI's form; underscores in `headers` stand for hyphens."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Reply(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


def rate_limited(**headers: str) -> Reply:
    """429; give `retry_after="2"`, `retry_after_ms="500"`, `x_should_retry="false"` ..."""
    return fails(429, "Rate limit reached for requests", "rate_limit_exceeded", "requests", **headers)


def out_of_quota() -> Reply:
    return fails(429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota")


def wrong_key(key: str = "sk-...") -> Reply:
    """401; the real message echoes the key, so this one does too."""
    return fails(401, f"Incorrect API key provided: {key}.", "invalid_api_key", "invalid_request_error")


def no_rights() -> Reply:
    return fails(403, "Country, region, or territory not supported", "unsupported_country_region_territory")


def no_such_model(code: str = "model_not_found") -> Reply:
    return fails(404, "The model `m` does not exist or you do not have access to it.", code, "invalid_request_error")


def unsupported_value(param: str) -> Reply:
    told = (
        f"Unsupported value: '{param}' does not support 0.2 with this model. Only the default (1) value is supported."
    )
    return fails(400, told, "unsupported_value", "invalid_request_error", param)


def unsupported_parameter(param: str) -> Reply:
    told = f"Unsupported parameter: '{param}' is not supported with this model."
    return fails(400, told, "unsupported_parameter", "invalid_request_error", param)


def no_response_format(kind: str = "json_schema") -> Reply:
    told = f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this model."
    return fails(400, told, None, "invalid_request_error")


def bad_schema() -> Reply:
    told = "Invalid schema for response_format 'answer': In context=(), the schema is too large."
    return fails(400, told, None, "invalid_request_error", "response_format")


def too_long() -> Reply:
    told = "This model's maximum context length is 8192 tokens."
    return fails(400, told, "context_length_exceeded", "invalid_request_error", "messages")


def azure_filtered() -> Reply:
    error = {
        "message": "The response was filtered due to the prompt triggering the content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}},
    }
    return Reply(400, {"error": error})


def server_error(status: int = 500, **headers: str) -> Reply:
    return fails(status, "The server had an error.", None, "server_error", **headers)


def reset() -> Reply:
    return Reply(drop_connection=True)


def hangs() -> Reply:
    return Reply(hang=True)


def malformed() -> Reply:
    return Reply(body=b'{"choices": [{"mess')


def no_choices() -> Reply:
    return Reply(body={"id": "chatcmpl-stub", "choices": [], "usage": None})


class Bucket:
    """A responder with a rate limit: a bucket of so many requests that is filled all the time; honest about it.

    Attributes:
        taken, refused: Requests that were answered, and turned away.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        then: Responder = answers,
        whole_seconds: bool = False,
        tells: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            whole_seconds: Round Retry-After up, as most servers do; else it is exact.
            tells: Say in every reply how full the bucket is (`x-ratelimit-*`).
        """
        self.per_second = per_second
        self.burst = burst
        self.taken = self.refused = 0
        self._then = then
        self._whole_seconds = whole_seconds
        self._tells = tells
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    def __call__(self, request: JSON, n_th: int) -> Reply:
        now = self._clock()
        self._left = min(self.burst, self._left + (now - self._at) * self.per_second)
        self._at = now
        if self._left < 1:
            self.refused += 1
            wait = (1 - self._left) / self.per_second
            return self._telling(rate_limited(retry_after=f"{math.ceil(wait) if self._whole_seconds else wait:.3f}"))
        self.taken += 1
        self._left -= 1
        return self._telling(self._then(request, n_th))

    def _telling(self, reply: Reply) -> Reply:
        if not self._tells:
            return reply
        told = {
            "x-ratelimit-limit-requests": str(self.burst),
            "x-ratelimit-remaining-requests": str(int(self._left)),
            "x-ratelimit-reset-requests": f"{(self.burst - self._left) / self.per_second * 1000:.0f}ms",
        }
        return replace(reply, headers={**reply.headers, **told})


# Answers from the question


def user_text(request: JSON) -> str:
    """The last user message in words."""
    said = [message for message in request.get("messages", ()) if message.get("role") == "user"]
    content = said[-1].get("content") if said else ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or () if part.get("type") == "text")


def example(schema: JSON, question: str, variant: int = 0) -> JSON:
    """A value that the schema allows, made of the question's words where it can be."""
    return _value(schema, _Question(question, variant, schema), "")


@dataclass(slots=True)
class _Question:
    text: str
    variant: int
    root: JSON
    _counts: dict[str, int] | None = None

    @property
    def longer(self) -> str:
        """The side with more to say, if two objects are shown: the last ones; `left` if not."""
        shown = self.text.rpartition("\n\nTask Directive:")[0] or self.text
        bodies = [body.strip() for body in re.split(r"(?m)^\S+:\n", shown)[1:]]
        left, right = bodies[-2:] if len(bodies) > 1 else ("", "")
        return "left" if (len(left), left) >= (len(right), right) else "right"

    def count(self, words: str) -> int:
        """How often the rarest of these words stands in the question."""
        if self._counts is None:
            self._counts = {}
            for word in re.findall(r"\w+", self.text.casefold()):
                self._counts[word] = self._counts.get(word, 0) + 1
        found = re.findall(r"\w+", words.casefold())
        return min((self._counts.get(word, 0) for word in found), default=0)


def _by_count(options: Sequence[JSON], question: _Question) -> list[JSON]:
    """The options that are told of most come first, in whatever order they are offered."""
    return sorted(options, key=lambda option: (-question.count(str(option)), str(option)))


def _value(schema: JSON, question: _Question, key: str) -> JSON:
    if "$ref" in schema:
        target = question.root
        for step in schema["$ref"].removeprefix("#").strip("/").split("/"):
            target = target[step] if step else target
        return _value(target, question, key)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return _option(schema["enum"], question)
    if "anyOf" in schema:
        return _value(next(part for part in schema["anyOf"] if part.get("type") != "null"), question, key)
    kinds = schema.get("type", "object")
    kind = next((kind for kind in kinds if kind != "null"), "null") if isinstance(kinds, list) else kinds
    return _MAKERS[kind](schema, question, key)


def _option(options: Sequence[JSON], question: _Question) -> JSON:
    real = [option for option in options if option is not None] or list(options)
    if set(real) == {"left", "right"}:
        return question.longer
    return max(real, key=lambda option: question.count(str(option)))


def _object(schema: JSON, question: _Question, key: str) -> JSON:
    parts = schema.get("properties", {})
    buckets = [part["items"]["enum"] for part in parts.values() if "enum" in part.get("items", ())]
    if len(buckets) > 1 and len(buckets) == len(parts) and buckets.count(buckets[0]) == len(buckets):
        items = _by_count(buckets[0], question)
        return {name: items[place :: len(parts)] for place, name in enumerate(parts)}  # each item once
    return {name: _value(part, question, name) for name, part in parts.items()}


def _array(schema: JSON, question: _Question, key: str) -> JSON:
    count = max(int(schema.get("minItems", 0)), min(1, int(schema.get("maxItems", 1))))
    item = schema.get("items", {"type": "string"})
    if "enum" in item:  # distinct ones, the best first
        return _by_count(item["enum"], question)[:count]
    return [_value(item, question, key) for _ in range(count)]


def _string(schema: JSON, question: _Question, key: str) -> str:
    moments = {"date": "2024-05-01", "time": "12:00:00", "date-time": "2024-05-01T12:00:00Z"}
    if schema.get("format") in moments:
        return moments[schema["format"]]
    if "quote" in key.lower():
        return " ".join(max(question.text.splitlines() or [""], key=len).split(" ")[:4])
    return _sentence(question.text, question.variant)


def _number(schema: JSON, question: _Question, key: str) -> JSON:
    least, most = schema.get("minimum"), schema.get("maximum")
    least = least if least is not None else min(1, most) if most is not None else 1
    middle = least if most is None else (least + most) / 2
    step = schema.get("multipleOf")
    if step:
        middle = least + (middle - least) // step * step
    return int(middle) if schema.get("type") == "integer" or middle == int(middle) else middle


def _sentence(question: str, variant: int) -> str:
    words = " ".join(question.split()[:8])
    return f'You wrote "{words}".' + (f" ({variant + 1})" if variant else "")


_MAKERS: Mapping[str, Callable[[JSON, _Question, str], JSON]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _number,
    "number": _number,
    "boolean": lambda schema, question, key: True,
    "null": lambda schema, question, key: None,
}


def _schema(request: JSON) -> JSON | None:
    form = request.get("response_format") or {}
    return form["json_schema"]["schema"] if form.get("type") == "json_schema" else None


# The server

_COMPLETIONS = re.compile(r"(/[^?]*)?/chat/completions")


class StubModel:
    """The stub in a thread of its own; a context manager.

    Attributes:
        responder: May be changed at any time.
        latency: Seconds before every reply.
        asked: All requests in order of arrival, the last `keep` of them.
        in_flight, most_in_flight: Requests being answered now; the most there ever were.
    """

    def __init__(
        self, responder: Responder = answers, latency: float = 0.0, port: int = 0, keep: int | None = None
    ) -> None:
        self.responder = responder
        self.latency = latency
        self.port = port
        self.asked: deque[Asked] = deque(maxlen=keep)
        self.in_flight = 0
        self.most_in_flight = 0
        self._count = itertools.count()
        self._arrived = threading.Event()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stub-model", daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def bodies(self) -> list[JSON]:
        return [request.json for request in self.asked]

    def until_asked(self) -> None:
        """Wait for the first request."""
        assert self._arrived.wait(10), "nobody asked the stub model"

    def start(self) -> "StubModel":
        self._thread.start()
        self._ready.wait(10)
        if self._failed is not None:
            raise self._failed
        return self

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def __enter__(self) -> "StubModel":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def serve(self) -> None:
        """Serve until stopped, in the running loop."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.05)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024).start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stop.wait()
        finally:
            await runner.cleanup()

    def _run(self) -> None:
        try:
            asyncio.run(self.serve())
        except OSError as exc:  # the port is taken
            self._failed = exc
            self._ready.set()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET":
            return self._shown(request.path)
        if not _COMPLETIONS.fullmatch(request.path):
            return web.json_response({"detail": "Not Found"}, status=404)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._completion(request)
        finally:
            self.in_flight -= 1

    async def _completion(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = await self._recorded(request)
        reply = self.responder(asked.json, next(self._count))
        if self.latency or reply.delay:
            await asyncio.sleep(self.latency + reply.delay)
        if reply.hang and self._stop is not None:
            await self._stop.wait()
        if (reply.drop_connection or reply.hang) and request.transport is not None:
            request.transport.abort()
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        return web.Response(
            status=reply.status, body=body, headers=reply.headers, content_type="application/json", charset="utf-8"
        )

    async def _recorded(self, request: web.BaseRequest) -> Asked:
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        asked = Asked(
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            json=json.loads(await request.read()),
            connection=f"{peer[0]}:{peer[1]}" if peer else "",
            at=time.monotonic(),
        )
        self.asked.append(asked)
        self._arrived.set()
        return asked

    def _shown(self, path: str) -> web.Response:
        """What a test in another process can ask: `/asked` lists the requests."""
        if path == "/asked":
            return web.json_response([{"path": asked.path, "json": asked.json} for asked in self.asked])
        if path.endswith("/models"):
            return web.json_response({"object": "list", "data": [{"id": "stub", "object": "model"}]})
        seen = {"in_flight": self.in_flight, "most_in_flight": self.most_in_flight}
        if isinstance(self.responder, Bucket):
            seen |= {"taken": self.responder.taken, "refused": self.responder.refused}
        return web.json_response(seen)
