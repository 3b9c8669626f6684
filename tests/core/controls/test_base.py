"""What all controls share."""

import re

from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.controls.base import keys_for


def test_a_name_that_every_server_takes_is_its_own_key() -> None:
    assert keys_for(["tone", "reason_2"]) == {"tone": "tone", "reason_2": "reason_2"}


def test_other_names_get_keys_that_no_name_has() -> None:
    assert keys_for(["c2_", "שם", "a b", "a-b", "2"]) == {
        "c2_": "c2_",
        "שם": "c3_",
        "a b": "a_b",
        "a-b": "c4_",
        "2": "c5_",
    }


@given(st.lists(st.text(max_size=70) | st.sampled_from(["c1_", "c2_", "c3_", "é", "a" * 70, "a" * 71]), unique=True))
def test_keys_are_safe_and_no_two_are_alike(names: list[str]) -> None:
    keys = keys_for(names)
    assert list(keys) == names
    assert len(set(keys.values())) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", key) for key in keys.values())
