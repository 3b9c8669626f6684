"""How does a report of agreement read in a terminal?"""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from llm_backend.agreement.biases import Lean
from llm_backend.agreement.calibration import Bin, Certainty
from llm_backend.agreement.figures import Figures
from llm_backend.agreement.matching import Places
from llm_backend.agreement.report import Comparison, Report
from llm_backend.agreement.resampling import Estimate
from llm_backend.cli.wording import counted, plain

_VIEWS = {
    "all": "all answers",
    "unaccepted": "without those left as shown",
    "blind": "people not shown it",
    "shown": "shown, or may have been",
    "apart": "without near-repeats",
}
_DISAGREEMENTS = 10
_LABELS = 30


def tables(report: Report) -> Iterator[Table | str]:
    """What is printed, part by part."""
    yield f"{_safe(report.source)}: {counted(report.tasks, 'task')}, {report.annotated:,} annotated, by " + _people(
        report.people
    )
    yield from (f"Left out: {line}" for line in _left_out(report))
    for one in report.comparisons:
        yield ""
        yield _comparison(one)
        yield from _more(one)
    if report.changes:
        yield ""
        yield _changes(report)
    if report.biases:
        yield ""
        yield _biases(report)
    for sureness in report.certainties:
        yield ""
        yield _certainty(_safe(sureness.version), sureness.certainty)
        if sureness.blind:
            yield ""
            yield _certainty(f"{_safe(sureness.version)}, {_VIEWS['blind']},", sureness.blind)


def _left_out(report: Report) -> Iterator[str]:
    if report.unpredicted:
        yield f"{counted(report.unpredicted, 'annotated task')} without a prediction."
    if report.skipped:
        yield f"{counted(report.skipped, 'annotation')} by which a task was skipped."
    if report.unread:
        yield f"{counted(report.unread, 'task')} that the labeling config cannot show."
    for name, count in report.outside.items():
        yield f'{counted(count, "answer")} of "{_safe(name)}" that the labeling config does not offer.'
    yield from map(_safe, report.unmeasured)


def _comparison(one: Comparison) -> Table:
    title = f"{_safe(one.control)} ({one.kind}), {_safe(one.version)}, {_people(one.people)}"
    views = {words: getattr(one, view) for view, words in _VIEWS.items()}
    told = {words: figures for words, figures in views.items() if figures and figures.tasks}
    table = Table("", *told, title=title, title_justify="left", title_style="bold")
    table.columns[0].no_wrap = True
    table.add_row(f"{one.unit}s", *(f"{figures.tasks:,}" for figures in told.values()))
    names = dict.fromkeys(name for figures in told.values() for name in _figures(figures))
    for name in names:
        table.add_row(name, *(_within(_figures(figures).get(name)) for figures in told.values()))
    return table


def _figures(figures: Figures) -> dict[str, Estimate]:
    found = {
        "accuracy": figures.accuracy,
        "Cohen's kappa": figures.kappa,
        "Krippendorff's alpha": figures.alpha,
        "alpha among people": figures.people_alpha,
        "mean absolute error": figures.error.absolute if figures.error else None,
        "model less people": figures.error.signed if figures.error else None,
        "F1 by overlap": figures.overlap.f1 if figures.overlap else None,
        "precision by overlap": figures.overlap.precision if figures.overlap else None,
        "recall by overlap": figures.overlap.recall if figures.overlap else None,
        "F1 of exact matches": figures.exact.f1 if figures.exact else None,
        **(_places(figures.places) if figures.places else {}),
    }
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _places(told: Places) -> dict[str, Estimate | None]:
    return {
        "F1 of same places": told.found.f1,
        "precision of places": told.found.precision,
        "recall of places": told.found.recall,
        "mean IoU of these": told.iou,
        "mean distance, %": told.distance,
    }


def _more(one: Comparison) -> Iterator[Table | str]:
    yield (
        f"Of {counted(one.agreements, 'answer')} that are the model's, {one.accepted:,} were shown and left as they "
        "were: no evidence that they are right."
    )
    if (places := one.all.places) is not None:
        yield f"Places: people marked {places.people:,}, the model {places.model:,}, {places.matched:,} are the same."
    if (alone := one.unmatched) is not None and (alone.people or alone.model):
        yield f"Not compared, for they have no match: regions of people {alone.people:,}, of the model {alone.model:,}."
    if one.all.undecided:
        yield f"{counted(one.all.undecided, one.unit)} not compared: people are evenly split."
    if (texts := one.all.texts) is not None:
        yield f"Not scored: {texts.untouched:,} left as they were, {texts.edited:,} edited, {texts.own:,} written anew."
    if one.all.labels:
        table = Table("label", "precision", "recall", "F1", "people", "model", box=None)
        for row in one.all.labels[:_LABELS]:
            shares = (_share(value) for value in (row.precision, row.recall, row.f1))
            table.add_row(_label(row.label), *shares, f"{row.people:,}", f"{row.model:,}")
        yield table
    differing = [cell for cell in one.all.confusion if cell.people != cell.model]
    for cell in differing[:_DISAGREEMENTS]:
        sides = (_nothing(one) if told is None else _label(told) for told in (cell.people, cell.model))
        yield "  people {}, model {}: {:,}".format(*sides, cell.count)
    if one.disagreements:
        yield _differing(one)


def _differing(one: Comparison) -> str:
    """The first tasks on which people and the model differ, as links where the terminal knows any."""
    shown = one.disagreements[:_DISAGREEMENTS]
    named = (_safe(f"{told.task}, {told.part}" if told.part else str(told.task)) for told in shown)
    linked = (
        f"[link={told.link}]{name}[/link]" if told.link else name for told, name in zip(shown, named, strict=True)
    )
    more = f" and {one.differing - len(shown):,} more" if one.differing > len(shown) else ""
    first = f" ({_safe(shown[0].link)} ...)" if shown[0].link else ""
    return f"They differ on {counted(one.differing, one.unit)}: {_joint(one).join(linked)}{more}{first}"


def _changes(report: Report) -> Table:
    table = Table(
        "control", "measure", "old", "new", "tasks", "difference", "chance", title="Versions on the same tasks"
    )
    for one in report.changes:
        values = f"{one.old_value:.2f} to {one.new_value:.2f}: {_within(one.difference)}"
        p = "" if one.p is None else _chance(one.p)
        table.add_row(*map(_safe, (one.control, one.measure, one.old, one.new)), f"{one.tasks:,}", values, p)
    return table


def _biases(report: Report) -> Table:
    table = Table("control", "version", "towards", "pairs", "split", "", title="Bias of the judge of pairs")
    for one in report.biases:
        leans = {"first place (swapped)": one.position, "left": one.side, "the longer": one.length}
        for towards, lean in leans.items():
            table.add_row(_safe(one.control), _safe(one.version), towards, *_lean(lean))
    return table


def _lean(lean: Lean | None) -> tuple[str, str, str]:
    if lean is None:
        return "", "", "no pair stands here in both orders"
    verdict = "biased" if lean.biased else "no bias seen"
    return f"{lean.pairs:,}", f"{lean.towards:,} to {lean.away:,}", f"{verdict} ({_chance(lean.p)})"


def _certainty(version: str, told: Certainty) -> Table:
    table = Table("", "as it is", "recalibrated", title=f"What the scores of {version} are worth")
    after = told.after
    table.add_row("ECE", f"{told.before.ece:.3f}", f"{after.ece:.3f}" if after else "too few answers")
    table.add_row("Brier score", f"{told.before.brier:.3f}", f"{after.brier:.3f}" if after else "")
    for bin_ in told.before.bins:
        table.add_row(f"score {bin_.low:.1f} to {bin_.high:.1f}", _right(bin_), "")
    for bin_ in after.bins if after else ():
        table.add_row(f"score {bin_.low:.1f} to {bin_.high:.1f}", "", _right(bin_))
    return table


def _right(held: Bin) -> str:
    return f"{_within(held.right)} right of {held.count:,}"


def _chance(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _within(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} \\[{estimate.low:.2f}, {estimate.high:.2f}]"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _joint(one: Comparison) -> str:
    """What stands between tasks, and between parts of tasks, which have commas of their own."""
    return ", " if one.unit == "task" else "; "


def _nothing(one: Comparison) -> str:
    """An answer left empty, or a place where nothing was marked."""
    return "(nothing there)" if one.all.places else "(empty)"


def _label(label: str | int | None) -> str:
    return "(empty)" if label is None else _safe(str(label))


def _safe(text: str) -> str:
    return escape(plain(text))


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"
