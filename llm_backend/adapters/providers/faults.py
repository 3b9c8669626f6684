"""What went wrong between us and the provider, and what follows from it?

The library's errors are translated here and nowhere else. What a provider says in its errors may quote the key or the
task, so none of it is shown: sentences are ours, with at most the status and an error code in them.
"""

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp
import httpx2
from openai import APIConnectionError, APIResponseValidationError, APIStatusError, OpenAIError

from llm_backend.adapters.addresses import AddressRefused
from llm_backend.adapters.providers.dialect import Refusal
from llm_backend.adapters.providers.endpoint import Endpoint
from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError, Busy, KeyRefused, ProviderRefused, RateLimited, Unreachable

LIBRARY_ERRORS = (OpenAIError, httpx2.HTTPError, aiohttp.ClientError, OSError, AddressRefused)
"""What the library and its transport raise for anything that is not our own bug."""

_PAID_OUT = ("insufficient_quota", "billing_not_active", "billing_hard_limit_reached")
_NO_MODEL = ("model_not_found", "deploymentnotfound", "invalid_model")
_FILTERED = ("content_filter", "content_policy_violation", "invalid_prompt", "responsibleaipolicyviolation")
_TOO_LONG = ("context_length_exceeded", "string_above_max_length")
_SAYS_KEY = re.compile(r"(incorrect|invalid) api key|api key (is )?(not valid|invalid)")
_SAYS_NO_MODEL = re.compile(r"\bmodel\b.{0,80}(not exist|not found)|not a valid model|invalid model")
_SAYS_TOO_LONG = re.compile(r"context (length|window|size)|maximum context|too many tokens|prompt is too long")
_SAYS_TOO_BIG = re.compile(r"request too large")
_SAYS_PICTURE = re.compile(r"\bimages?\b|image_url|\bvision\b|multi-?modal")
# Not all servers answer 400 to a kind of content that they do not know.
_SAYS_CONTENT = re.compile(
    r"unsupported content|content\[\d*\]\.type|"
    r"(no endpoints|not?|n't)\b.{0,40}support.{0,30}\b(images?|audio|files?|pdf)"
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class Transient(Exception):
    """A fault that may pass.

    Attributes:
        lasted: What to raise if it has not passed when patience ends.
        wait: Seconds that the provider asks to wait, None if it does not say.
        again: False if the provider says that asking again is in vain.
    """

    def __init__(self, lasted: BackendError, wait: float | None = None, again: bool = True) -> None:
        super().__init__(str(lasted))
        self.lasted = lasted
        self.wait = wait
        self.again = again


class Declined(Exception):
    """A request that the server did not take as it was put.

    Attributes:
        final: What to raise if it cannot be put in another way.
    """

    def __init__(self, refusal: Refusal, final: BackendError) -> None:
        super().__init__(str(final))
        self.refusal = refusal
        self.final = final


def fault_of(error: Exception, endpoint: Endpoint, model: str) -> Exception:
    """Translate one of `LIBRARY_ERRORS` into a `Transient`, a `Declined`, or the error that a person reads."""
    who = f"{model} at {endpoint.host}"
    if isinstance(error, APIStatusError):
        return _of_status(_Reply.of(error, endpoint), endpoint, who)
    if isinstance(error, AddressRefused):
        return KeyRefused(f"{who}: this project's own provider must have a public address. {error}")
    if isinstance(error, APIResponseValidationError):
        return unreadable(who, "it is not what the API promises")
    # The transport calls nearly all of these "time-outs", a refused connection too: it is no use to tell them apart.
    if isinstance(error, APIConnectionError | httpx2.HTTPError | aiohttp.ClientError | OSError):
        return Transient(
            Unreachable(f"{who}: no connection. Is the server running, and {endpoint.address_setting} right?")
        )
    return KeyRefused(f"{who}: the client could not make the request ({type(error).__name__}). Check the settings.")


def unreadable(who: str, why: str) -> Transient:
    """A reply with status 200 that is no chat completion."""
    return Transient(Unreachable(f"{who}: the server's reply cannot be used: {why}. Is it a chat completions server?"))


@dataclass(frozen=True, slots=True)
class _Reply:
    """An error reply, as far as we look at it; `told` and `kinds` are in lower case."""

    status: int
    headers: Mapping[str, str]
    told: str
    kinds: frozenset[str]
    code: str
    param: str
    moderated: bool

    @classmethod
    def of(cls, error: APIStatusError, endpoint: Endpoint) -> "_Reply":
        body = error.body if isinstance(error.body, Mapping) else {}
        inner = body.get("innererror")
        kinds = [body.get("code"), body.get("type"), inner.get("code") if isinstance(inner, Mapping) else None]
        metadata = body.get("metadata")
        return cls(
            status=error.status_code,
            headers=error.response.headers,
            told=_told(error.body)[:20_000].lower(),
            kinds=frozenset(kind.lower() for kind in kinds if isinstance(kind, str)),
            code=_shown(body.get("code"), endpoint) or _shown(body.get("type"), endpoint),
            param=_shown(body.get("param"), endpoint),
            moderated=isinstance(metadata, Mapping) and "flagged_input" in metadata,
        )

    def is_any(self, kinds: tuple[str, ...]) -> bool:
        return not self.kinds.isdisjoint(kinds)

    @property
    def cause(self) -> str:
        """Such as `HTTP 400, unsupported_value: temperature`."""
        code = f", {self.code}" if self.code else ""
        return f"HTTP {self.status}{code}" + (f": {self.param}" if self.param else "")


def _of_status(reply: _Reply, endpoint: Endpoint, who: str) -> Exception:
    if reply.is_any(_PAID_OUT) or reply.status == 402:
        return KeyRefused(f"{who}: the account's quota is used up ({reply.cause}). Check its plan and billing.")
    if reply.status == 429:
        return _limited(reply, who)
    told = " | ".join((reply.told, *sorted(reply.kinds)))
    if reply.status in (404, 500, 501) and _SAYS_CONTENT.search(reply.told):
        return Declined(Refusal(told, reply.param), _not_taken(reply, who))
    if reply.status in (408, 409) or reply.status >= 500:
        return _failing(reply, who)
    if reply.moderated or reply.is_any(_FILTERED):
        return ProviderRefused(f"{who}: the provider's content filter stopped this question ({reply.cause}).")
    if (refused := _key_or_model(reply, endpoint, who)) is not None:
        return refused
    if reply.status == 413 or reply.is_any(_TOO_LONG) or _SAYS_TOO_LONG.search(reply.told):
        return ProviderRefused(f"{who}: this question is too long for the model ({reply.cause}). Shorten the text.")
    return Declined(Refusal(told, reply.param), _not_taken(reply, who))


def _limited(reply: _Reply, who: str) -> Exception:
    if _SAYS_TOO_BIG.search(reply.told):
        return ProviderRefused(
            f"{who}: this question alone is over the provider's tokens per minute. Shorten the text."
        )
    wait = _asked_wait(reply.headers)
    hint = f"It asks to wait {math.ceil(wait)} s." if wait else "Try again in a minute."
    limited = RateLimited(f"{who}: rate limit reached ({reply.cause}). {hint}")
    return Transient(limited, wait, _may_retry(reply.headers))


def _failing(reply: _Reply, who: str) -> Exception:
    overloaded = reply.status in (503, 529)
    lasted = (
        Busy(f"{who}: the server is overloaded ({reply.cause}). Try again in a minute.")
        if overloaded
        else Unreachable(f"{who}: the server fails ({reply.cause}). Try again later.")
    )
    return Transient(lasted, _asked_wait(reply.headers), _may_retry(reply.headers))


def _key_or_model(reply: _Reply, endpoint: Endpoint, who: str) -> KeyRefused | None:
    """What no call would survive."""
    if reply.status == 401 or (reply.status == 400 and _SAYS_KEY.search(reply.told)):
        return KeyRefused(f"{who}: the API key was refused ({reply.cause}). Check {endpoint.key_setting}.")
    if reply.status == 403:
        return KeyRefused(f"{who}: the API key may not use this model ({reply.cause}). Check its rights and region.")
    model_named = reply.is_any(_NO_MODEL) or _SAYS_NO_MODEL.search(reply.told)
    if model_named and reply.status in (400, 404):
        return KeyRefused(f"{who}: there is no such model ({reply.cause}). {_which_model(endpoint)}")
    if reply.status not in (400, 413, 422):
        return KeyRefused(
            f"{who}: no chat completions at this address ({reply.cause}). Check {endpoint.address_setting}."
        )
    return None


def _not_taken(reply: _Reply, who: str) -> ProviderRefused:
    if _SAYS_PICTURE.search(reply.told):
        return ProviderRefused(
            f"{who}: the model did not take the picture ({reply.cause}). Does it see pictures at all?"
        )
    return ProviderRefused(f"{who}: the server refused the request ({reply.cause}).")


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds until the provider wants to be asked again, from `retry-after-ms` or `Retry-After`."""
    if (wait := _seconds(headers.get("retry-after-ms", ""))) is not None:
        return wait / 1000
    told = headers.get("retry-after", "")
    return _seconds(told) if _seconds(told) is not None else _until(told, headers.get("date", ""))


def _seconds(told: str) -> float | None:
    try:
        wait = float(told)
    except ValueError:
        return None
    return wait if math.isfinite(wait) and wait >= 0 else None


def _until(told: str, sent: str) -> float | None:
    """Seconds until a date, by the provider's own clock where it tells it."""
    try:
        until = parsedate_to_datetime(told).timestamp()
    except ValueError:
        return None
    try:
        now = parsedate_to_datetime(sent).timestamp()
    except ValueError:
        now = time.time()
    return max(0.0, until - now)


def _may_retry(headers: Mapping[str, str]) -> bool:
    return headers.get("x-should-retry", "").strip().lower() != "false"


def _told(body: object) -> str:
    """All that a reply says: its message, or the whole where it has none in OpenAI's form."""
    if isinstance(body, Mapping) and isinstance(body.get("message"), str):
        return str(body["message"])
    return body if isinstance(body, str) else json.dumps(body, default=str)


def _shown(value: JSON, endpoint: Endpoint) -> str:
    """A code or a parameter's name, if it is one: short, a single word, and not the key."""
    named = value if isinstance(value, str) and _NAME.fullmatch(value) else ""
    return "" if endpoint.api_key and endpoint.api_key in named else named


def _which_model(endpoint: Endpoint) -> str:
    if endpoint.provider == "ollama":
        return f'Load it with "ollama pull {endpoint.model}", or check OPENAI_MODEL.'
    return "Check AZURE_DEPLOYMENT_NAME." if endpoint.provider == "azure" else "Check OPENAI_MODEL."
