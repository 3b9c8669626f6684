"""Tasks and annotations as Label Studio exports them, in few words."""

from typing import Any

PAIRWISE = """<View><Text name="prompt" value="$prompt"/><Pairwise name="comparison" toName="answer1,answer2"/>
<Text name="answer1" value="$answer1"/><Text name="answer2" value="$answer2"/></View>"""
PAIR = {"prompt": "Hello?", "answer1": "Hi.", "answer2": "Go away."}


def region(name: str, kind: str, value: Any, key: str = "", **others: Any) -> dict[str, Any]:
    return {"id": f"r-{name}", "from_name": name, "to_name": name, "type": kind, "value": {key or kind: value}} | others


def side(selected: str) -> dict[str, Any]:
    return region("comparison", "pairwise", selected, "selected")


def written(name: str, *texts: str) -> dict[str, Any]:
    return region(name, "textarea", list(texts), "text")


def stars(name: str, count: int) -> dict[str, Any]:
    return region(name, "rating", count)


def ranked(name: str, **lists: list[str]) -> dict[str, Any]:
    return region(name, "ranker", lists)


def annotation(ident: int, *result: dict[str, Any], by: int = 1, day: int = 1, **others: Any) -> dict[str, Any]:
    made = f"2026-11-{day:02}T10:00:00.000000Z"
    return {
        "id": ident,
        "completed_by": by,
        "result": list(result),
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": made,
        "updated_at": made,
        **others,
    }


def task(ident: int, data: dict[str, Any], *annotations: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"id": ident, "data": data, "annotations": list(annotations), "drafts": [], "predictions": [], **others}
