"""How is a report of agreement shown in a browser? As one page that holds all it needs, also when it is sent on."""

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import jinja2

_VIEWS = {
    "all": "all answers",
    "unaccepted": "without answers left as shown",
    "blind": "people not shown the answer",
    "shown": "shown it, or may have been",
    "apart": "without tasks that nearly repeat one that was answered before",
}
_MEASURES = {"accuracy": "accuracy", "kappa": "Cohen's kappa", "alpha": "Krippendorff's alpha"}
_MATCHES = {"overlap": "F1 by overlap", "exact": "F1 of exact matches"}
_PLACES = {"places": "F1 of same places", "iou": "mean IoU of these"}
_MOST_LABELS = 20
_MOST_ROWS = 50


def page(report: Mapping[str, Any]) -> str:
    """A whole HTML page.

    Args:
        report: As `agreement.report.Report.to_json` tells it.
    """
    comparisons = [{**one, "rows": list(_rows(one)), "matrix": _matrix(one)} for one in report["comparisons"]]
    title = f"Agreement: {report['source']}"
    return _rendered("report.html", title, report=report, comparisons=comparisons, most_rows=_MOST_ROWS)


def sentence_page(sentence: str) -> str:
    """The page in the place of a report that there cannot be."""
    return _rendered("sentence.html", "Agreement", sentence=sentence)


def _rendered(name: str, title: str, **told: Any) -> str:
    folder = resources.files(__package__)
    loader = jinja2.FunctionLoader(lambda file: (folder / file).read_text(encoding="utf-8"))
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(figure=_figure, chance=_chance)
    styles = resources.files("llm_backend.web") / "page" / "status.css"
    looks = styles.read_text(encoding="utf-8") + (folder / "report.css").read_text(encoding="utf-8")
    return environment.get_template(name).render(title=title, styles=looks, **told)


def _rows(comparison: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The figures between 0 and 1 that a comparison has, view by view."""
    for view, words in _VIEWS.items():
        figures = comparison[view]
        if not figures or not figures["tasks"]:
            continue
        told = {name: figures[name] for name in _MEASURES}
        told |= {name: figures[name]["f1"] if figures[name] else None for name in _MATCHES}
        told |= _of_places(figures["places"]) if figures["places"] else {}
        names = _MEASURES | _MATCHES | _PLACES
        estimates = [{"name": names[name], **held} for name, held in told.items() if held]
        if estimates:
            yield {"view": words, "tasks": figures["tasks"], "estimates": estimates}


def _of_places(places: Mapping[str, Any]) -> dict[str, Any]:
    return {"places": places["found"]["f1"], "iou": places["iou"]}


def _matrix(comparison: Mapping[str, Any]) -> dict[str, Any] | None:
    """The confusion matrix, of the labels that are most frequent; None where there is none."""
    cells = comparison["all"]["confusion"]
    frequent = [row["label"] for row in comparison["all"]["labels"]]
    if not cells or not frequent:
        return None
    labels = frequent[:_MOST_LABELS]
    if None not in frequent and any(None in (cell["people"], cell["model"]) for cell in cells):
        labels.append(None)  # a place that only one of them marked
    counts = {(cell["people"], cell["model"]): cell["count"] for cell in cells}
    rows = [[counts.get((person, model), 0) for model in labels] for person in labels]
    totals = [sum(row) for row in rows]
    shares = [[count / total if total else 0 for count in row] for row, total in zip(rows, totals, strict=True)]
    return {"labels": labels, "rows": rows, "shares": shares, "left": max(0, len(frequent) - _MOST_LABELS)}


def _chance(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _figure(value: float | None, digits: int = 2) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
