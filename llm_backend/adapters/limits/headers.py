"""What do a reply's headers say about the provider's limits? (`x-ratelimit-*`, as OpenAI and many others send them)"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# A bucket that takes longer to fill is a day's allowance: whoever has one wants it used now, not spread over the day.
_LONGEST_RESET = 120.0
# Of a bucket that is nearly empty: a bucket that fills all the time gives more than what is left in it.
_LEAST_PART = 1 / 8
_STEP = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(ms|s|m|h|d)")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Allowed:
    """A rate at which a bucket empties evenly, and for how many seconds that holds."""

    per_second: float
    seconds: float


def allowed_rate(headers: Mapping[str, str], tokens_per_call: float) -> Allowed | None:
    """The lower of the rates that the buckets of requests and of tokens allow; None if nothing is told.

    What is left, spread over the time until the bucket is full again: in a bucket that fills all the time that settles
    at half full and the rate of its filling; in one that is filled once a minute it lasts until then.

    Args:
        tokens_per_call: Mean tokens of a call; 0 where they are not known.
    """
    requests = _bucket(headers, "requests", 1.0)
    tokens = _bucket(headers, "tokens", tokens_per_call) if tokens_per_call else None
    told = [allowed for allowed in (requests, tokens) if allowed is not None]
    return min(told, key=lambda allowed: allowed.per_second, default=None)


def _bucket(headers: Mapping[str, str], name: str, weight: float) -> Allowed | None:
    left = _count(headers.get(f"x-ratelimit-remaining-{name}"))
    if left is None:
        return None
    reset = seconds(headers.get(f"x-ratelimit-reset-{name}", ""))
    if reset is None or not 0 < reset <= _LONGEST_RESET:
        return None
    most = _count(headers.get(f"x-ratelimit-limit-{name}")) or 0.0
    return Allowed(max(left, most * _LEAST_PART, weight) / weight / reset, reset)


def seconds(told: str) -> float | None:
    """Read `1s`, `6m0s`, `120ms`, or a bare number of seconds."""
    told = told.strip()
    steps = _STEP.findall(told)
    if steps and "".join(number + unit for number, unit in steps) == told:
        return sum(float(number) * _UNITS[unit] for number, unit in steps)
    return _count(told)


def _count(told: str | None) -> float | None:
    return float(told) if told is not None and _NUMBER.fullmatch(told) else None
