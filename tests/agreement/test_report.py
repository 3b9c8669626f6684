"""What did people say of each task, what the model, and what does the report make of it?"""

import json
from typing import Any

import pytest

from llm_backend.agreement.report import MOST_TOLD, latest_calibration
from llm_backend.errors import RequestError
from tests.support.exports import annotation, prediction, said, task
from tests.support.reports import fields, only, report

JSON = Any


def test_people_and_a_version_are_laid_side_by_side() -> None:
    found = report(
        task(1, [annotation(said("good"))], [prediction(said("good"))]),
        task(2, [annotation(said("bad"), by=2)], [prediction(said("good"))]),
        url="http://studio:8080/",
    )
    one = only(found)
    assert (one.control, one.kind, one.version, one.people) == ("tone", "labels", "m-1", 2)
    assert (one.all.tasks, one.agreements, one.accepted, one.differing) == (2, 1, 0, 1)
    assert one.all.accuracy is not None
    assert one.all.accuracy.value == 0.5
    (told,) = one.disagreements
    assert (told.task, told.people, told.model) == (2, "bad", "good")
    assert told.link == "http://studio:8080/projects/7/data?task=2"
    assert (found.tasks, found.annotated, found.people, found.versions) == (2, 2, 2, ("m-1",))


def test_without_an_address_there_is_no_link() -> None:
    found = report(task(1, [annotation(said("bad"))], [prediction(said("good"))]))
    assert only(found).disagreements[0].link == ""


def test_an_answer_that_was_shown_and_left_as_it_was_is_told_apart() -> None:
    untouched = annotation(said("good", origin="prediction"), parent_prediction=1)
    corrected = annotation(said("bad", origin="prediction-changed"), parent_prediction=1)
    own = annotation(said("good"))
    found = report(*(task(n, [made], [prediction(said("good"))]) for n, made in enumerate((untouched, corrected, own))))
    one = only(found)
    assert (one.agreements, one.accepted) == (2, 1)
    assert (one.all.tasks, one.unaccepted.tasks) == (3, 2)


def test_an_answer_made_from_another_versions_prediction_is_evidence_for_this_one() -> None:
    made = annotation(said("good", origin="prediction"), parent_prediction=1)
    both = [prediction(said("good"), version="old", ident=1), prediction(said("good"), version="new", ident=2, at=600)]
    found = report(task(1, [made], both))
    assert {one.version: one.accepted for one in found.comparisons} == {"old": 1, "new": 0}


def test_what_people_answered_before_the_model_did_is_set_beside_the_rest() -> None:
    found = report(
        task(1, [annotation(said("good"), at=100)], [prediction(said("good"), at=500)]),
        task(2, [annotation(said("good"), at=900)], [prediction(said("good"), at=500)]),
        task(3, [annotation(said("good", origin="prediction"), at=100)], [prediction(said("good"), at=500)]),
    )
    one = only(found)
    assert (one.blind.tasks, one.shown.tasks) == (1, 2)


def test_where_the_answer_is_kept_back_people_are_blind_to_it_unless_they_asked_for_it_themselves() -> None:
    model = [prediction(said("good"), at=100)]
    rows = [
        task(1, [annotation(said("good"))], model),
        task(2, [annotation(said("bad", origin="prediction-changed"))], model),
        task(3, [annotation(said("good"))], model),
    ]
    one = only(report(*rows, blind=frozenset((1, 2))))
    assert (one.blind.tasks, one.shown.tasks) == (1, 2)


def test_of_several_people_most_decide_and_a_tie_is_not_compared() -> None:
    def people(*words: str) -> list[JSON]:
        return [annotation(said(word), by=by) for by, word in enumerate(words)]

    found = report(
        task(1, people("good", "good", "bad"), [prediction(said("good"))]),
        task(2, people("good", "bad"), [prediction(said("good"))]),
    )
    one = only(found)
    assert (one.people, one.all.tasks, one.all.undecided, one.differing) == (3, 1, 1, 0)
    assert one.all.people_alpha is not None
    assert one.all.people_alpha.value is not None


def test_a_ground_truth_decides_against_the_others() -> None:
    people = [annotation(said("good"), by=by) for by in (1, 2)]
    truth = annotation(said("bad"), by=3, ground_truth=True)
    assert only(report(task(1, [*people, truth], [prediction(said("good"))]))).differing == 1


def test_the_latest_prediction_of_a_version_counts() -> None:
    both = [prediction(said("good"), ident=2, at=700), prediction(said("bad"), ident=1, at=500)]
    assert only(report(task(1, [annotation(said("good"))], both))).differing == 0


def test_what_cannot_be_compared_is_left_out_and_counted() -> None:
    good = [prediction(said("good"))]
    found = report(
        task(1, [annotation(said("good"))], good),
        task(2, [annotation(said("gone from the config"))], good),
        task(3, [annotation(was_cancelled=True)], good),
        task(4, [annotation(said("good"))], []),
        task(5, [], good),
    )
    assert only(found).all.tasks == 1
    assert found.outside == {"tone": 1}
    assert (found.skipped, found.unpredicted, found.annotated) == (1, 1, 3)


def test_a_field_that_one_side_left_empty_is_a_difference_and_one_that_both_did_is_nothing() -> None:
    config = fields(
        '<Choices name="tone" toName="text"><Choice value="good"/></Choices><Rating name="stars" toName="text"/>'
    )
    four = said(4, "stars", "rating")
    found = report(
        task(1, [annotation(four)], [prediction(four)]),
        task(2, [annotation(four)], [prediction(four, said("good"))]),
        config=config,
    )
    tone, stars = found.comparisons
    assert (tone.all.tasks, tone.differing, tone.disagreements[0].people) == (1, 1, "")
    assert (stars.all.tasks, stars.differing) == (2, 0)


def test_aliases_and_the_order_of_choices_make_no_difference() -> None:
    config = fields(
        '<Choices name="tone" toName="text" choice="multiple"><Choice value="Good" alias="g"/><Choice value="b"/>'
        "</Choices>"
    )
    people, model = (said({"choices": names}) for names in (["g", "b"], ["b", "g"]))
    one = only(report(task(1, [annotation(people)], [prediction(model)]), config=config))
    assert one.differing == 0
    assert {row.label for row in one.all.labels} == {"Good", "b"}
    assert one.all.confusion == ()


def test_stars_are_measured_as_labels_and_by_their_error() -> None:
    config = fields('<Rating name="stars" toName="text"/>')
    rated = [(5, 4), (1, 1), (3, 5), (2, 2)]
    found = report(
        *(
            task(n, [annotation(said(people, "stars", "rating"))], [prediction(said(model, "stars", "rating"))])
            for n, (people, model) in enumerate(rated)
        ),
        config=config,
    )
    figures = only(found).all
    assert figures.error is not None
    assert (figures.error.absolute.value, figures.error.signed.value) == (0.75, 0.25)
    assert figures.accuracy is not None
    assert figures.accuracy.value == 0.5
    assert figures.kappa is not None
    assert figures.kappa.value == pytest.approx(1 - 1.25 / 4.75)


def test_numbers_are_measured_by_their_error_and_people_by_their_median() -> None:
    config = fields('<Number name="amount" toName="text"/>')
    people = [annotation(said(value, "amount", "number"), by=value) for value in (1, 2, 30)]
    model = prediction(said(5, "amount", "number"))
    one = only(report(task(1, people, [model]), task(2, people[:1], [prediction()]), config=config))
    assert one.all.error is not None
    assert one.all.error.absolute.value == 3.0
    assert (one.all.tasks, one.all.empty) == (1, 1)
    assert one.disagreements[0].people == "2"


def test_stretches_are_measured_by_overlap_and_exactly() -> None:
    config = fields('<Labels name="ner" toName="text"><Label value="PER"/><Label value="ORG"/></Labels>')

    def span(start: int, end: int, label: str = "PER") -> JSON:
        return said({"start": start, "end": end, "labels": [label]}, "ner", "labels", id=f"{start}")

    found = report(
        task(1, [annotation(span(0, 10))], [prediction(span(0, 5))], text="Ann Smith of Acme"),
        task(2, [annotation(span(0, 4), span(8, 10, "ORG"))], [prediction(span(0, 4))], text="Ann Smith of Acme"),
        task(3, [annotation()], [prediction()], text="nobody here"),
        config=config,
    )
    one = only(found)
    assert one.kind == "spans"
    assert one.all.overlap is not None
    assert one.all.exact is not None
    assert one.all.overlap.precision.value == 1.0
    assert one.all.overlap.recall.value == pytest.approx(9 / 16)
    assert one.all.exact.recall.value == pytest.approx(1 / 3)
    assert one.all.accuracy is not None
    assert one.all.accuracy.value == pytest.approx(1 / 3)
    assert one.disagreements[0].people == "PER 0-10"


def test_texts_are_not_scored_but_counted() -> None:
    config = fields('<TextArea name="summary" toName="text"/>')

    def text(words: str, **more: JSON) -> JSON:
        return said({"text": [words]}, "summary", "textarea", **more)

    model = [prediction(text("A review."))]
    found = report(
        task(1, [annotation(text("A review.", origin="prediction"), parent_prediction=1)], model),
        task(2, [annotation(text("A bad review.", origin="prediction-changed"), parent_prediction=1)], model),
        task(3, [annotation(text("My own words."))], model),
        config=config,
    )
    texts = only(found).all.texts
    assert texts is not None
    assert (texts.untouched, texts.edited, texts.own) == (1, 1, 1)
    assert only(found).differing == 0


def test_what_people_paint_is_said_not_to_be_compared() -> None:
    config = (
        '<View><Text name="text" value="$text"/><Image name="image" value="$image"/>'
        '<BrushLabels name="mask" toName="image"><Label value="x"/></BrushLabels>'
        '<Brush name="unused" toName="image"/>'
        '<Choices name="tone" toName="text"><Choice value="good"/></Choices></View>'
    )
    data = {"text": "t", "image": "http://example.org/a.png"}
    mask = said({"format": "rle", "rle": [1, 2], "brushlabels": ["x"]}, "mask", "brushlabels", to="image")
    found = report(task(1, [annotation(said("good"), mask)], [prediction(said("good"))], **data), config=config)
    (sentence,) = found.unmeasured
    assert sentence.startswith('BrushLabels "mask" paints single pixels')
    assert sentence.endswith(". It is not compared.")


def test_tasks_without_an_id_are_told_apart_by_their_lines() -> None:
    rows = [task(n, [annotation(said("good"))], [prediction(said(word))]) for n, word in enumerate(("good", "bad"))]
    found = report(*({name: held for name, held in row.items() if name != "id"} for row in rows))
    assert [told.task for told in only(found).disagreements] == ["line 2"]


def test_two_versions_are_compared_on_the_tasks_that_both_answered() -> None:
    def both(n: int, old: str, new: str) -> JSON:
        told = [prediction(said(old), version="old"), prediction(said(new), version="new", at=600, ident=2)]
        return task(n, [annotation(said("good"))], told)

    rows = [both(n, "bad", "good") for n in range(10)] + [both(n, "good", "good") for n in range(10, 20)]
    (change,) = report(*rows, task(99, [annotation(said("bad"))], [prediction(said("good"), version="old")])).changes
    assert (change.old, change.new, change.tasks) == ("old", "new", 20)
    assert (change.old_value, change.new_value, change.difference.value) == (0.5, 1.0, 0.5)
    assert change.difference.low is not None
    assert change.difference.low > 0.2
    assert change.p is not None
    assert change.p < 0.01


def test_a_judge_of_pairs_is_tested_for_biases() -> None:
    config = (
        '<View><Text name="q" value="$q"/><Text name="a" value="$a"/><Text name="b" value="$b"/>'
        '<Pairwise name="better" toName="a,b"/></View>'
    )

    def pair(n: int, left: str, right: str, model: str) -> JSON:
        people, judge = (said({"selected": side}, "better", "pairwise", to="a") for side in ("right", model))
        return task(n, [annotation(people)], [prediction(judge)], q=f"Question {n // 2}?", a=left, b=right)

    rows = []
    for n in range(0, 24, 2):
        rows += [pair(n, f"first {n}", f"second one {n}", "left"), pair(n + 1, f"second one {n}", f"first {n}", "left")]
    (biases,) = report(*rows, config=config).biases
    assert biases.position is not None
    assert (biases.position.pairs, biases.position.towards, biases.position.away) == (12, 12, 0)
    assert biases.position.biased
    assert (biases.side.towards, biases.side.biased) == (24, True)
    assert (biases.length.towards, biases.length.away, biases.length.biased) == (12, 12, False)


def test_scores_are_held_against_what_people_say() -> None:
    rows = [
        task(n, [annotation(said("good"))], [prediction(said("good" if n % 4 else "bad"), score=0.95)])
        for n in range(80)
    ]
    (sureness,) = report(*rows).certainties
    assert sureness.certainty.before.ece == pytest.approx(0.2)
    assert sureness.certainty.after is not None
    assert sureness.certainty.after.ece < 0.05
    assert sureness.certainty.calibration is not None
    assert sureness.certainty.calibration(0.95) == pytest.approx(0.75, abs=0.02)


def test_scores_are_recalibrated_by_what_people_were_not_shown_where_that_is_enough() -> None:
    """Shown the model's answer, people take it three times of four; asked before it, they differ half of the times."""

    def rows(blind: int) -> list[JSON]:
        model = [prediction(said("good"), score=0.95)]
        shown = [annotation(said("good" if n % 4 else "bad"), at=900) for n in range(80)]
        before = [annotation(said("good" if n % 2 else "bad"), at=100) for n in range(blind)]
        return [task(n, [made], model) for n, made in enumerate((*shown, *before))]

    found = report(*rows(60))
    (sureness,) = found.certainties
    assert sureness.certainty.before.count == 140
    assert sureness.blind is not None
    assert sureness.blind.before.bins[0].right.value == 0.5
    calibration = latest_calibration(found)
    assert calibration is not None
    assert calibration.calibration is not None
    assert calibration.calibration(0.95) == pytest.approx(0.5, abs=0.02)
    few = latest_calibration(report(*rows(20)))
    assert few is not None
    assert few.calibration is not None
    assert few.calibration(0.95) == pytest.approx(70 / 100, abs=0.02)


def test_where_a_label_is_all_there_is_the_figures_are_undefined_and_json_holds_no_nan() -> None:
    found = report(*(task(n, [annotation(said("good"))], [prediction(said("good"))]) for n in range(3)))
    figures = only(found).all
    assert figures.kappa is not None
    assert figures.kappa.value is None
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["comparisons"][0]["all"]["kappa"] == {"value": None, "low": None, "high": None}
    assert told["comparisons"][0]["all"]["accuracy"]["value"] == 1.0


def test_long_lists_of_disagreements_are_cut_and_counted() -> None:
    found = report(
        *(task(n, [annotation(said("good"))], [prediction(said("bad"))]) for n in range(MOST_TOLD + 5)),
    )
    assert only(found).differing == MOST_TOLD + 5
    assert len(only(found).disagreements) == MOST_TOLD


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([], "holds no tasks"),
        ([task(1, [], [prediction(said("good"))])], "nobody to agree with"),
        ([task(1, [annotation(was_cancelled=True)], [prediction(said("good"))])], "nobody to agree with"),
        ([task(1, [annotation(said("good"))], [5, 6])], "2 predictions by their ids only"),
        ([task(1, [annotation(said("good"))], [])], "none has a prediction that can be compared"),
        ([task(1, [annotation(said("x", "other"))], [prediction(said("y", "other"))])], "can be compared"),
    ],
    ids=["no tasks", "no annotations", "all skipped", "ids only", "no predictions", "another labeling config"],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(tasks: list[JSON], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        report(*tasks)
