"""Are the provider's headers about its limits understood?"""

import pytest

from llm_backend.adapters.limits.headers import Allowed, allowed_rate, seconds


def told(**headers: str) -> dict[str, str]:
    return {f"x-ratelimit-{name.replace('_', '-')}": value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1s", 1.0),
        ("120ms", 0.12),
        ("6m0s", 360.0),
        ("1m12.5s", 72.5),
        ("1h2m3s", 3723.0),
        ("2d", 172800.0),
        ("0s", 0.0),
        (" 30 ", 30.0),
        ("0.25", 0.25),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1s later", None),
        ("nan", None),
        ("1e9", None),
        ("2026-11-21T00:00:00Z", None),
    ],
)
def test_times_are_read(text: str, value: float | None) -> None:
    assert seconds(text) == (pytest.approx(value) if value is not None else None)


@pytest.mark.parametrize(
    ("headers", "rate"),
    [
        pytest.param(told(remaining_requests="30", reset_requests="60s"), Allowed(0.5, 60), id="what is left, evenly"),
        pytest.param(
            told(limit_requests="480", remaining_requests="0", reset_requests="60s"), Allowed(1.0, 60), id="empty"
        ),
        pytest.param(told(remaining_requests="0", reset_requests="10s"), Allowed(0.1, 10), id="empty, of unknown size"),
        pytest.param(
            told(remaining_requests="900", reset_requests="1s", remaining_tokens="5000", reset_tokens="50s"),
            Allowed(0.2, 50),
            id="tokens are the lower one",
        ),
        pytest.param(told(remaining_tokens="10", reset_tokens="50s"), Allowed(0.02, 50), id="less than one call's"),
    ],
)
def test_the_rate_is_what_is_left_over_the_time_until_it_is_full(headers: dict[str, str], rate: Allowed) -> None:
    allowed = allowed_rate(headers, 500.0)
    assert allowed == Allowed(pytest.approx(rate.per_second), pytest.approx(rate.seconds))


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param(told(remaining_requests="5"), id="no time"),
        pytest.param(told(reset_requests="5s"), id="nothing left is not told"),
        pytest.param(told(remaining_requests="5", reset_requests="0s"), id="full"),
        pytest.param(told(remaining_requests="5", reset_requests="1790000000"), id="a date in seconds"),
        pytest.param(told(remaining_requests="100", reset_requests="7h12m"), id="a day's allowance"),
        pytest.param(told(remaining_requests="many", reset_requests="5s"), id="a word"),
        pytest.param(told(remaining_requests="-1", reset_requests="5s"), id="negative"),
        pytest.param(told(remaining_requests="9" * 400, reset_requests="5s"), id="endless"),
        pytest.param(told(remaining_requests="٣", reset_requests="5s"), id="other digits"),
    ],
)
def test_what_tells_no_rate_is_ignored(headers: dict[str, str]) -> None:
    assert allowed_rate(headers, 0.0) is None


def test_tokens_say_nothing_while_nobody_knows_what_a_call_takes() -> None:
    assert allowed_rate(told(remaining_tokens="10", reset_tokens="50s"), 0.0) is None
