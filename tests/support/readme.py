"""What must the README's tables say? `python -m tests.support.readme` writes them into it."""

import re
from dataclasses import fields
from pathlib import Path

from llm_backend.core.controls import Control
from llm_backend.core.inputs import READABLE
from llm_backend.settings import Settings

README = Path(__file__).parents[2] / "README.md"
_HOW_READ = {
    "Text": "as it is; `encoding` base64 too; a list line by line",
    "HyperText": "as the reader sees it",
    "Header": 'those that show a field, such as `value="$title"`',
    "Paragraphs": "turn by turn, `nameKey` and `textKey`",
    "Chat": "turn by turn (Enterprise's tag; nothing is written into it)",
    "List": "item by item, with ids; the `<img>` of an item's `html` as pictures",
    "Table": "row by row; JSON, or CSV with `valueType`",
    "TimeSeries": "a table of its channels, CSV or JSON; a long one thinned to 400 even steps, which the model is told",
    "Image": "by the model's eyes, or by OCR with `IMAGE_MODE=ocr`; several with `valueList`",
    "Pdf": "as a file where the model takes files; else its text, and pictures of pages that have none (extra `pdf`)",
    "Audio": "as a sound where the model hears; else its transcript",
    "AudioPlus": "the same",
    "Video": "12 frames, evenly spread, with their times (extra `video`)",
}
_HOW_FILLED = {
    "TextArea": "a text; up to `NUM_RESPONSES` different ones, within `maxSubmissions`",
    "Choices": '`single`, `single-radio`, `multiple`; `alias`, dynamic `value="$options"`, `allowNested`',
    "Taxonomy": "full paths; `leafsOnly`, `maxUsages`, aliases, dynamic options",
    "Rating": "1 to `maxRating`",
    "Number": "`min`, `max`, `step`",
    "DateTime": "`only`, `format`, `min`, `max`",
    "Pairwise": "left or right, the same in both orders (below); null is undecided",
    "Ranker": "all items of a `List`, best first, or sorted into `Bucket`s; in both orders. Items need own ids",
    "Labels": "pieces of a `Text`, `HyperText` or `Paragraphs`, by quote; beside bare shapes, their labels; with "
    "`FILL_GEOMETRY=1` stretches of an `Audio`, in seconds",
    "HyperTextLabels": "pieces of a `HyperText`, by quote",
    "ParagraphLabels": "pieces of `Paragraphs`, by quote, within a turn or on into the next",
    "Relations": "links between the regions that were made, and their labels",
    **{
        tag: f"with `FILL_GEOMETRY=1`: {shape} of an `Image`, in percent; pages of a `valueList`"
        for tag, shape in {
            **dict.fromkeys(("Rectangle", "RectangleLabels"), "boxes"),
            **dict.fromkeys(("Ellipse", "EllipseLabels"), "ellipses"),
            **dict.fromkeys(("Polygon", "PolygonLabels"), "polygons"),
            **dict.fromkeys(("KeyPoint", "KeyPointLabels"), "points"),
        }.items()
    },
    "TimelineLabels": "with `FILL_GEOMETRY=1`: stretches of a `Video`, by its `frameRate`",
    "TimeSeriesLabels": "with `FILL_GEOMETRY=1`: ranges of a `TimeSeries`, between moments that it has",
}
TEMPLATES = {"0": ("41 of 69", "80 of 131"), "1": ("62 of 69", "114 of 131")}
"""By FILL_GEOMETRY: how many of the templates that Label Studio ships are wholly filled, and of their controls."""


def tables() -> dict[str, str]:
    """Each table, by the name of its place."""
    return {"tags": _tags(), "templates": _templates(), "settings": _settings()}


def held(name: str) -> str:
    """What stands in a place now."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README.read_text(encoding="utf-8"), re.DOTALL)
    return found.group(1).strip() if found else ""


def _tags() -> str:
    read = [f"| `{tag}` | {_HOW_READ[tag]} |" for tag in _HOW_READ if tag in READABLE]
    filled = [f"| `{tag}` | {_HOW_FILLED[tag]} |" for tag in _HOW_FILLED if tag in Control.by_tag]
    missing = (READABLE - set(_HOW_READ)) | (set(Control.by_tag) - set(_HOW_FILLED))
    if missing:
        raise KeyError(f"say in tests/support/readme.py how {sorted(missing)} are read or filled")
    return "\n".join(["| Read | |", "|---|---|", *read, "", "| Filled | |", "|---|---|", *filled])


def _templates() -> str:
    lines = ["| Of Label Studio's own templates | wholly filled | controls filled |", "|---|---|---|"]
    for told, (wholly, of_controls) in TEMPLATES.items():
        how = "with `FILL_GEOMETRY=1`" if told == "1" else "as they are"
        lines.append(f"| {how} | {wholly} | {of_controls} |")
    return "\n".join(lines)


def _settings() -> str:
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for item in fields(Settings):
        shown = item.metadata["shown"] or _spelt(item.default)
        lines.append(f"| `{item.metadata['name']}` | {shown} | {item.metadata['meaning']} |")
    return "\n".join(lines)


def _spelt(default: object) -> str:
    if isinstance(default, bool):
        return str(int(default))
    if isinstance(default, float):
        return f"{default:g}"
    if default in ("", ()):
        return "none"
    return "`" + str(default).replace("\n", "\\n") + "`"


def write() -> None:
    text = README.read_text(encoding="utf-8")
    for name, table in tables().items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = place.sub(lambda found, table=table: f"{found.group(1)}\n{table}\n\n{found.group(2)}", text)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
