"""Is a request's JSON read as json.loads reads it, its tasks one by one?"""

import json
from typing import Any

import pytest
from flask import Flask

from llm_backend.errors import RequestError
from llm_backend.web.bodies import Entries, read_tasks

BODIES = {
    "tasks": b'{"tasks": [{"id": 1, "data": {"a": "b"}}, null, "text", 4, [5]], "project": "1.2"}',
    "tasks last, spaces everywhere": b' \r\n{ "a" : 1 , "tasks"\t: [ 1 , {"tasks": [2]} ] } \n',
    "no tasks": b'{"project": "1.2", "params": {"context": null}}',
    "tasks that are no list": b'{"tasks": {"id": 1}}',
    "empty list": b'{"tasks": [ ]}',
    "empty object": b"{ }",
    "named twice: the last counts": b'{"tasks": [1], "tasks": [2, 3]}',
    "a list": b"[1, 2]",
    "a number": b"12",
    "brackets in texts": b'{"tasks": ["]", "}", "\\"", ","], "b": "\\u00fc"}',
    "another encoding": '{"tasks": ["ü", "👍"]}'.encode("utf-16"),
    "half a character": b'{"tasks": ["\\ud83d", "\xed\xa0\xbd"]}',
    "a byte order mark": b'\xef\xbb\xbf{"tasks": [1]}',
    "numbers that JSON does not know": b'{"tasks": [NaN, Infinity]}',
}
BROKEN = {
    "nothing": b"",
    "cut in a task": b'{"tasks": [1, {"id": ',
    "cut in the list": b'{"tasks": [1, 2',
    "cut after the list": b'{"tasks": [1]',
    "cut after a name": b'{"tasks"',
    "a comma too many in the list": b'{"tasks": [1, 2, ]}',
    "a comma too many": b'{"tasks": [1], }',
    "a comma too few in the list": b'{"tasks": [1 2]}',
    "a comma too few": b'{"tasks": [1] "a": 2}',
    "a leading comma": b'{"tasks": [, 1]}',
    "no colon": b'{"tasks" [1]}',
    "a name that is no text": b"{1: 2}",
    "the wrong end": b'{"tasks": [1}]',
    "more after the end": b'{"tasks": [1]} {}',
    "too deep": b'{"tasks": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    "no text": b'{"tasks": ["\xff"]}',
}


SMALL_OR_LARGE = pytest.mark.parametrize("at_once", [2**20, 0], ids=["small", "large"])


def read(body: bytes, at_once: int) -> Any:
    with Flask("test").test_request_context("/", method="POST", data=body):
        return read_tasks(at_once)


def plain(found: Any) -> Any:
    return {key: list(value) if isinstance(value, Entries) else value for key, value in found.items()}


@SMALL_OR_LARGE
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_json_is_read_as_it_is(body: bytes, at_once: int) -> None:
    found = read(body, at_once)
    assert repr(plain(found) if isinstance(found, dict) else found) == repr(json.loads(body))


@SMALL_OR_LARGE
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_json_is_refused(body: bytes, at_once: int) -> None:
    with pytest.raises((ValueError, RecursionError)):
        json.loads(body)
    with pytest.raises(RequestError, match="not JSON"):
        read(body, at_once)


def test_entries_are_looked_at_in_any_order() -> None:
    tasks = read(b'{"tasks": [{"id": 1}, {"id": 2}, {"id": 3}]}', 0)["tasks"]
    assert isinstance(tasks, Entries)
    assert len(tasks) == 3
    assert (tasks[2], tasks[-1], tasks[0]) == ({"id": 3}, {"id": 3}, {"id": 1})
    assert tasks[1:] == [{"id": 2}, {"id": 3}]
    with pytest.raises(IndexError):
        tasks[3]
