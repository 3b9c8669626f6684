"""What is said of regions and items, where shapes lie, and what is linked, as the report compares it."""

import random
from typing import Any

import pytest

from llm_backend.agreement.figures import Figures
from llm_backend.agreement.report import Comparison, Report
from llm_backend.agreement.trial import trial
from tests.support.exports import annotation, prediction, said, task
from tests.support.reports import material, only, report

JSON = Any
PAGE = {"page": "http://example.org/a.png"}
LABELS = '<Label value="Cat"/><Label value="Dog"/>'


def on_page(tags: str) -> str:
    return f'<View><Image name="page" value="$page"/>{tags}</View>'


def shape(kind: str, ident: str, value: JSON, label: str = "Cat", **more: JSON) -> JSON:
    return said({**value, kind: [label]}, "mark", kind, to="page", **{"id": ident, **more})


def box(x: float, y: float, width: float = 20, height: float = 20, label: str = "Cat", **more: JSON) -> JSON:
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": more.pop("rotation", 0)}
    return shape("rectanglelabels", f"{label} {x} {y}", value, label, **more)


def marked(kind: str, people: list[JSON], model: list[JSON]) -> Comparison:
    tags = f'<{kind} name="mark" toName="page">{LABELS}</{kind}>'
    return only(report(task(1, [annotation(*people)], [prediction(*model)], **PAGE), config=on_page(tags)))


def counts(figures: Figures) -> tuple[int, int, int]:
    assert figures.places is not None
    return figures.places.people, figures.places.model, figures.places.matched


def test_boxes_are_matched_by_what_they_share() -> None:
    found = marked("RectangleLabels", [box(0, 0), box(50, 50), box(80, 0)], [box(0, 5), box(54, 50), box(0, 60)])
    assert found.kind == "shapes"
    assert counts(found.all) == (3, 3, 2)
    assert found.all.places is not None
    assert found.all.places.iou is not None
    assert found.all.places.iou.value == pytest.approx((15 / 25 + 16 / 24) / 2)
    assert found.all.places.found.precision.value == pytest.approx(2 / 3)
    (told,) = found.disagreements
    assert told.people == "Cat 0-20 x 0-20, Cat 50-70 x 50-70, Cat 80-100 x 0-20"


def test_a_box_that_a_person_turned_is_turned_in_its_picture() -> None:
    # The box of 20 x 20 % turned right about its corner covers what one of 10 x 40 % to its left does, on 2 : 1.
    picture = {"original_width": 200, "original_height": 100}
    turned = [box(50, 50, rotation=90, **picture)]
    assert counts(marked("RectangleLabels", turned, [box(40, 50, 10, 40)]).all) == (1, 1, 1)
    assert counts(marked("RectangleLabels", turned, [box(30, 50)]).all) == (1, 1, 0)


def test_polygons_and_ellipses_are_matched_by_what_they_share() -> None:
    def polygon(*points: list[float]) -> JSON:
        return shape("polygonlabels", "p", {"points": list(points), "closed": True})

    triangles = polygon([0, 0], [40, 0], [0, 40]), polygon([0, 0], [40, 0], [0, 30])
    found = marked("PolygonLabels", [triangles[0]], [triangles[1]])
    assert found.all.places is not None
    assert found.all.places.iou is not None
    assert found.all.places.iou.value == pytest.approx(0.75)

    def oval(radius: float) -> JSON:
        return shape("ellipselabels", "o", {"x": 50, "y": 50, "radiusX": radius, "radiusY": radius})

    found = marked("EllipseLabels", [oval(20)], [oval(16)])
    assert found.all.places is not None
    assert found.all.places.iou is not None
    assert found.all.places.iou.value == pytest.approx(0.64)


def test_points_are_matched_by_their_distance() -> None:
    def dot(x: float, y: float) -> JSON:
        return shape("keypointlabels", f"{x}", {"x": x, "y": y, "width": 2})

    found = marked("KeyPointLabels", [dot(10, 10), dot(60, 60)], [dot(13, 14), dot(70, 60)])
    assert found.kind == "points"
    assert counts(found.all) == (2, 2, 1)
    assert found.all.places is not None
    assert (found.all.places.iou, found.all.places.distance and found.all.places.distance.value) == (None, 5.0)


def test_what_was_taken_for_what_is_told_and_a_place_of_one_side_alone() -> None:
    found = marked("RectangleLabels", [box(0, 0), box(50, 50)], [box(0, 0, label="Dog")]).all
    told = {(cell.people, cell.model): cell.count for cell in found.confusion}
    assert told == {("Cat", "Dog"): 1, ("Cat", None): 1}
    assert [(row.label, row.people, row.model, row.recall) for row in found.labels] == [
        ("Cat", 2, 0, 0.0),
        ("Dog", 0, 1, None),
    ]


def test_a_shape_lies_on_its_page() -> None:
    tags = (
        f'<Image name="page" valueList="$page"/><RectangleLabels name="mark" toName="page">{LABELS}</RectangleLabels>'
    )
    data = {"page": ["http://example.org/a.png", "http://example.org/b.png"]}
    people, model = box(0, 0, item_index=0), box(0, 0, item_index=1)
    found = report(task(1, [annotation(people)], [prediction(model)], **data), config=f"<View>{tags}</View>")
    assert counts(only(found).all) == (1, 1, 0)


def test_stretches_of_time_are_matched_by_what_they_share_and_so_is_a_task_right() -> None:
    config = f'<View><Audio name="sound" value="$sound"/><Labels name="kind" toName="sound">{LABELS}</Labels></View>'

    def stretch(start: float, end: float, label: str = "Cat") -> JSON:
        return said({"start": start, "end": end, "labels": [label]}, "kind", "labels", to="sound", id=f"{start}")

    found = only(
        report(
            task(1, [annotation(stretch(0.5, 2.5))], [prediction(stretch(0.51, 2.5))], sound="a.wav"),
            task(2, [annotation(stretch(0, 4))], [prediction(stretch(0, 2), stretch(8, 9))], sound="b.wav"),
            config=config,
        )
    )
    assert found.kind == "segments"
    assert counts(found.all) == (2, 3, 2)
    assert found.all.places is not None
    assert found.all.places.iou is not None
    assert found.all.places.iou.value == pytest.approx((1.99 / 2 + 2 / 4) / 2)
    assert found.all.accuracy is not None
    assert found.all.accuracy.value == 0.5
    assert found.all.overlap is not None
    assert found.all.overlap.recall.value == pytest.approx(3.99 / 6)
    assert [told.task for told in found.disagreements] == [2]


SPANS = f"""<View><Text name="text" value="$text"/>
<Labels name="ner" toName="text"><Label value="PER"/><Label value="ORG"/></Labels>
<Choices name="mood" toName="text" perRegion="true"><Choice value="calm"/><Choice value="cross"/></Choices>
<Rating name="sure" toName="text" perRegion="true"/>
<TextArea name="note" toName="text" perRegion="true"/>
<Relations>{'<Relation value="knows"/><Relation value="owns"/>'}</Relations></View>"""


def span(ident: str, start: int, end: int, label: str = "PER", **hung: JSON) -> list[JSON]:
    """A span, and what hangs on it."""
    place = {"start": start, "end": end, "text": "x"}
    kinds = {"mood": ("choices", list), "sure": ("rating", None), "note": ("textarea", list)}
    made = [said({**place, "labels": [label]}, "ner", "labels", id=ident)]
    for name, value in hung.items():
        kind, wrapped = kinds[name]
        key = "text" if kind == "textarea" else kind
        made.append(said({**place, key: [value] if wrapped else value}, name, kind, id=ident))
    return made


def link(first: str, second: str, label: str = "knows", direction: str = "right") -> JSON:
    return {"type": "relation", "from_id": first, "to_id": second, "direction": direction, "labels": [label]}


def compared(*tasks: JSON) -> dict[str, Comparison]:
    return {one.control: one for one in report(*tasks, config=SPANS).comparisons}


def test_what_hangs_on_regions_is_compared_on_those_that_match() -> None:
    people = [
        *span("a", 0, 10, mood="calm", sure=5, note="x"),
        *span("b", 20, 30, mood="cross", sure=3),
        *span("c", 40, 50, mood="calm"),
    ]
    model = [
        *span("1", 0, 9, mood="calm", sure=4, note="y"),
        *span("2", 20, 30, mood="calm", sure=3),
        *span("3", 40, 50, "ORG", mood="calm"),
        *span("4", 60, 70, mood="calm"),
    ]
    found = compared(task(1, [annotation(*people)], [prediction(*model)]))
    mood = found["mood"]
    assert (mood.kind, mood.unit, mood.all.tasks) == ("labels", "region", 2)
    assert mood.all.accuracy is not None
    assert mood.all.accuracy.value == 0.5
    assert mood.unmatched is not None
    assert (mood.unmatched.people, mood.unmatched.model) == (1, 2)
    (told,) = mood.disagreements
    assert (told.part, told.people, told.model) == ("PER 20-30", "cross", "calm")
    assert found["sure"].all.error is not None
    assert found["sure"].all.error.absolute.value == 0.5
    assert found["note"].all.texts is not None
    assert (found["note"].all.texts.own, found["ner"].unmatched) == (1, None)


def test_labels_beside_bare_shapes_are_compared_on_the_same_shapes() -> None:
    config = on_page(f'<Labels name="kind" toName="page">{LABELS}</Labels><Rectangle name="mark" toName="page"/>')

    def labelled(ident: str, x: float, label: str) -> list[JSON]:
        place = {"x": x, "y": 0, "width": 20, "height": 20, "rotation": 0}
        kind = said({**place, "labels": [label]}, "kind", "labels", to="page", id=ident)
        return [said(place, "mark", "rectangle", to="page", id=ident), kind]

    people, model = (
        [*labelled("a", 0, "Cat"), *labelled("b", 50, "Dog")],
        [*labelled("1", 2, "Cat"), *labelled("2", 50, "Cat")],
    )
    found = report(task(1, [annotation(*people)], [prediction(*model)], **PAGE), config=config)
    shapes, kind = {one.control: one for one in found.comparisons}["mark"], found.comparisons[-1]
    assert counts(shapes.all) == (2, 2, 2)
    assert (kind.control, kind.unit, kind.all.tasks) == ("kind", "region", 2)
    assert {(cell.people, cell.model) for cell in kind.all.confusion} == {("Cat", "Cat"), ("Dog", "Cat")}


def test_links_are_the_same_between_the_same_regions_whatever_their_ids_and_order() -> None:
    people = [*span("x", 20, 30), *span("y", 0, 10), link("y", "x"), link("x", "y", "owns")]
    same = [*span("1", 0, 9), *span("2", 20, 30), link("1", "2"), link("1", "2", "owns", "left")]
    other = [*span("1", 0, 10), *span("2", 20, 30), *span("3", 40, 50), link("2", "1"), link("1", "3")]
    found = compared(
        task(1, [annotation(*people)], [prediction(*same)]),
        task(2, [annotation(*people)], [prediction(*other)]),
        task(3, [annotation(*span("x", 0, 5))], [prediction(*span("1", 0, 5))]),
    )["relations"]
    assert (found.kind, found.all.tasks) == ("links", 2)
    assert found.all.exact is not None
    assert (found.all.exact.precision.value, found.all.exact.recall.value) == (0.5, 0.5)
    (told,) = found.disagreements
    assert told.people == "PER 0-10 -> PER 20-30 (knows), PER 20-30 -> PER 0-10 (owns)"
    assert told.model == "PER 0-10 -> PER 40-50 (knows), PER 20-30 -> PER 0-10 (knows)"


def test_a_link_both_ways_has_no_first_end() -> None:
    people, model = ([*span("b", 20, 30), *span("a", 0, 10), link(*ends, direction="bi")] for ends in ("ab", "ba"))
    assert compared(task(1, [annotation(*people)], [prediction(*model)]))["relations"].differing == 0
    one_way = [*span("b", 20, 30), *span("a", 0, 10), link("a", "b")]
    assert compared(task(1, [annotation(*people)], [prediction(*one_way)]))["relations"].differing == 1


def test_a_link_to_a_region_that_the_model_does_not_have_differs() -> None:
    people = [*span("a", 0, 10), *span("b", 20, 30), link("a", "b")]
    found = compared(task(1, [annotation(*people)], [prediction(*span("1", 0, 10))]))["relations"]
    assert (found.differing, found.disagreements[0].people) == (1, "PER 0-10 -> PER 20-30 (knows)")


def test_what_is_answered_for_each_item_is_compared_item_by_item() -> None:
    config = (
        '<View><Image name="pages" valueList="$pages"/>'
        '<Choices name="kind" toName="pages" perItem="true"><Choice value="Bill"/><Choice value="Letter"/></Choices>'
        "</View>"
    )

    def each(*kinds: str | None) -> list[JSON]:
        told = ((place, kind) for place, kind in enumerate(kinds) if kind)
        return [said(kind, "kind", to="pages", id=f"{place}", item_index=place) for place, kind in told]

    pages = [f"http://example.org/{n}.png" for n in range(4)]
    made = task(
        1, [annotation(*each("Bill", "Letter", "Bill"))], [prediction(*each("Bill", "Bill", None))], pages=pages
    )
    found = only(report(made, config=config))
    assert (found.kind, found.unit, found.all.tasks) == ("labels", "item", 3)
    assert {(told.part, told.people, told.model) for told in found.disagreements} == {
        ("item 2", "Letter", "Bill"),
        ("item 3", "Bill", ""),
    }


def test_what_was_shown_and_left_as_it_was_is_told_apart_region_by_region() -> None:
    model = [*span("1", 0, 10, mood="calm"), *span("2", 20, 30, mood="calm")]
    people = [*span("1", 0, 10, mood="calm"), *span("2", 20, 30, mood="cross")]
    mood = compared(task(1, [annotation(*people, parent_prediction=1)], [prediction(*model)]))["mood"]
    assert (mood.agreements, mood.accepted, mood.unaccepted.tasks) == (1, 1, 1)


def test_a_label_that_is_no_more_on_a_region_is_left_out_and_counted() -> None:
    people, model = span("a", 0, 10, mood="gone"), span("1", 0, 10, mood="calm")
    found = report(task(1, [annotation(*people)], [prediction(*model)]), config=SPANS)
    assert "mood" not in {one.control for one in found.comparisons}
    assert found.outside == {"mood": 1}


def test_a_region_without_a_place_that_can_be_told_is_left_out_and_counted() -> None:
    nowhere = said({"labels": ["PER"]}, "ner", "labels", id="a")
    rows = [
        task(n, [annotation(region)], [prediction(*span("1", 0, 10))])
        for n, region in enumerate([nowhere, span("a", 0, 10)[0]])
    ]
    found = report(*rows, config=SPANS)
    assert (only(found).all.tasks, found.outside) == (1, {"ner": 1})


def test_regions_of_a_task_are_not_taken_for_so_many_tasks() -> None:
    """Ten regions of a task that are all alike tell as much as one: the interval is that of the tasks."""

    def made(regions: int) -> Report:
        dice = random.Random(3)
        rows = []
        for n in range(40):
            word = "calm" if dice.random() < 0.7 else "cross"
            places = [(f"{at}", 20 * at, 20 * at + 10) for at in range(regions)]
            people, model = ([part for place in places for part in span(*place, mood=mood)] for mood in (word, "calm"))
            rows.append(task(n, [annotation(*people)], [prediction(*model)]))
        return report(*rows, config=SPANS)

    def width(found: Report) -> float:
        accuracy = {one.control: one for one in found.comparisons}["mood"].all.accuracy
        assert accuracy is not None
        assert accuracy.low is not None
        assert accuracy.high is not None
        return accuracy.high - accuracy.low

    assert width(made(10)) == pytest.approx(width(made(1)), rel=0.2)


def test_two_versions_are_compared_by_the_tasks_mean_over_regions() -> None:
    def version(name: str, ident: int, *moods: str) -> JSON:
        parts = [part for at, mood in enumerate(moods) for part in span(f"{at}", 20 * at, 20 * at + 10, mood=mood)]
        return prediction(*parts, version=name, ident=ident, at=500 + ident)

    people = [part for at in range(2) for part in span(f"p{at}", 20 * at, 20 * at + 10, mood="calm")]
    rows = [
        task(n, [annotation(*people)], [version("old", 1, "cross", "calm"), version("new", 2, "calm", "calm")])
        for n in range(3)
    ]
    change = {one.control: one for one in report(*rows, config=SPANS).changes}["mood"]
    assert (change.old_value, change.new_value, change.tasks) == (0.5, 1.0, 3)
    found = trial(material(*rows, config=SPANS), "old", "new")
    assert (found.old.value, found.new.value) == (pytest.approx((1 + 0.5) / 2), 1.0)  # places, and what hangs on them
