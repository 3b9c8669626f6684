"""What does a line of an import file, or of an export, say: which row, where is its content, what labels are there?"""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_backend.core.controls.base import listed, shown
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.labelbox.conversation import mapping_at
from llm_backend.interchange.labelbox.documents import CONVERSATIONAL

_CONTENTS = ("row_data", "conversationalUrl", "conversationalData")


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was imported or exported.

    Attributes:
        line: Where it begins in the file, counted from 1.
        key: Its global key, "" where it has none.
        ident: Its id in Labelbox, "" where it is not told.
        outer: All that was said of it, but for a content that stands within: in its place is None. Where the line is
            nothing but a content, None.
        content: The content that stands within, if it does.
        address: Where else it lies: a URL, or a path.
        labels: What people made of it, as an export tells it.
    """

    line: int
    key: str
    ident: str
    outer: Mapping[str, JSON] | None
    content: JSON = None
    address: str = ""
    labels: tuple[Mapping[str, JSON], ...] = ()


def read_row(line: int, raw: Mapping[str, JSON]) -> Row:
    """Read a row in any of the forms: current, legacy, exported, or a content by itself.

    Raises:
        RequestError: It is none of these.
    """
    if "data_row" in raw:
        return _exported(line, raw)
    if "row_data" in raw:
        content, address = _where(raw["row_data"], "row_data")
        outer = raw if address else {**raw, "row_data": None}
        return Row(line, key_of(raw), _text(raw.get("id")), outer, content, address)
    if "conversationalUrl" in raw:
        _, address = _where(raw["conversationalUrl"], "conversationalUrl")
        return Row(line, key_of(raw), "", raw, None, address)
    if "conversationalData" in raw:
        told = {"type": raw.get("type", CONVERSATIONAL), "version": raw.get("version", 1)}
        content = {**told, "messages": raw["conversationalData"]}
        return Row(line, key_of(raw), "", {**raw, "conversationalData": None}, content)
    if "messages" in raw:
        return Row(line, "", "", None, raw)
    has = listed([f'"{name}"' for name in raw]).replace(" or ", " and ") or "nothing"
    raise RequestError(f"it has none of {listed(_CONTENTS)}, by which a row tells its content; there is {has}.")


def restored(outer: Mapping[str, JSON] | None, content: JSON) -> JSON:
    """A row as it was, of what `Row.outer` and its content say."""
    if outer is None:
        return content
    if "data_row" in outer:
        inner = outer["data_row"]
        return {**outer, "data_row": restored(inner, content)} if isinstance(inner, Mapping) else outer
    if "row_data" in outer and outer["row_data"] is None:
        return {**outer, "row_data": content}
    if "conversationalData" in outer and outer["conversationalData"] is None and isinstance(content, Mapping):
        return {**outer, "conversationalData": content.get("messages")}
    return outer


def key_of(raw: Mapping[str, JSON]) -> str:
    """The global key, in either spelling; "" where there is none."""
    return _text(raw.get("global_key") or raw.get("globalKey"))


def _exported(line: int, raw: Mapping[str, JSON]) -> Row:
    inner = mapping_at(raw, "data_row", "")
    if "row_data" not in inner:
        raise RequestError('data_row: "row_data" is missing, which tells its content.')
    content, address = _where(inner["row_data"], "row_data")
    outer = raw if address else {**raw, "data_row": {**inner, "row_data": None}}
    projects = raw.get("projects")
    told = [
        label
        for project in (projects.values() if isinstance(projects, Mapping) else ())
        if isinstance(project, Mapping) and isinstance(project.get("labels"), list)
        for label in project["labels"]
        if isinstance(label, Mapping)
    ]
    return Row(line, key_of(inner), _text(inner.get("id")), outer, content, address, tuple(told))


def _where(raw: JSON, key: str) -> tuple[JSON, str]:
    """A content that stands here, or where it lies."""
    if isinstance(raw, str) and raw.strip():
        return None, raw.strip()
    if isinstance(raw, Mapping) and raw:
        return raw, ""
    raise RequestError(f'"{key}" must be a URL, a path or an object; found {shown(raw)}.')


def _text(raw: JSON) -> str:
    return raw if isinstance(raw, str) else ""
