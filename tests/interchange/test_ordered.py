"""Lines come out in the order of their tasks."""

import io

import pytest

from llm_backend.core.wire import TaskId
from llm_backend.interchange.ordered import Frame, Ordered


def written(*tasks: TaskId | None, frame: Frame) -> str:
    stream = io.BytesIO()
    ordered = Ordered(stream, frame)
    for place, task in enumerate(tasks):
        ordered.write(task, [f"{task} at {place}\n", f"é {place}\n"])
    ordered.finish()
    return stream.getvalue().decode()


@pytest.mark.parametrize(
    ("tasks", "order"),
    [
        ((1, 2, 3), (0, 1, 2)),
        ((3, 1, 2), (1, 2, 0)),
        ((2, 1, 2, 1), (1, 3, 0, 2)),
        ((5, None, 1, "x"), (2, 3, 0, 1)),
        ((2**70, -1, 1), (0, 1, 2)),
        ((), ()),
    ],
)
@pytest.mark.parametrize("frame", [Frame(), Frame("a,b\n"), Frame("[\n", ", é", "]\n")])
def test_tasks_are_ordered_by_number_and_all_else_stays_where_it_was(
    tasks: tuple[TaskId | None, ...], order: tuple[int, ...], frame: Frame
) -> None:
    told = frame.between.join(f"{tasks[at]} at {at}\né {at}\n" for at in order)
    assert written(*tasks, frame=frame) == frame.header + told + frame.footer


def test_half_a_character_does_not_spoil_the_file() -> None:
    stream = io.BytesIO()
    Ordered(stream).write(1, ["a\ud800b\n"])
    assert stream.getvalue() == b"a?b\n"
