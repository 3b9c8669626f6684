"""A labeling config is read as the editor reads it: what it shows, what it asks, in which words."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_backend.core.labeling import Choice, Condition, LabelingConfig, Output, parse, references
from llm_backend.errors import LabelingError

CONFIGS = Path(__file__).parents[1] / "data" / "configs"
TEXT = '<Text name="text" value="$text"/>'
MOOD = '<Choices name="mood" toName="text"><Choice value="Good"/><Choice value="Bad"/></Choices>'


def read(name: str, prompt_prefix: str = "prompt") -> LabelingConfig:
    return parse((CONFIGS / name).read_text(encoding="utf-8"), prompt_prefix)


def view(*parts: str) -> LabelingConfig:
    return parse(f"<View>{''.join(parts)}</View>")


def output(config: LabelingConfig, name: str) -> Output:
    return next(output for output in config.outputs if output.name == name)


def paths(choices: tuple[Choice, ...], above: str = "") -> Iterator[str]:
    for choice in choices:
        yield above + choice.value
        yield from paths(choice.children, f"{above}{choice.value}/")


def test_a_whole_config_is_read() -> None:
    config = read("review.xml")
    assert config.prompt == "prompt"
    assert [(o.name, o.tag, o.to_names) for o in config.outputs] == [
        ("response", "TextArea", ("review",)),
        ("tone", "Choices", ("review",)),
        ("fault", "Taxonomy", ("review",)),
        ("stars", "Rating", ("review",)),
    ]
    assert [(s.name, s.tag, s.value) for s in config.sources] == [
        ("", "Header", "$title"),
        ("review", "Text", "$review"),
    ]
    assert config.objects == {"review": "Text"}
    assert config.notes == (
        "Read the review",
        "What would you answer the customer?",
        "How does it sound?",
        "What is wrong?",
    )


def test_a_config_of_nested_views_is_read() -> None:
    config = read("inbox.xml")
    assert config.prompt is None
    assert list(paths(output(config, "team").choices)) == ["Billing", "Repairs", "Repairs/Warranty", "$product"]
    assert output(config, "suggested").attrs["value"] == "$suggestions"
    assert [o.name for o in config.outputs] == ["team", "suggested", "urgency", "due", "people"]
    assert [s.name for s in config.sources] == ["thread"]
    assert config.objects == {"thread": "Paragraphs", "page": "HyperText"}
    assert config.notes == ("Answer within a day.",)


@pytest.mark.parametrize("xml", ["", "  \n", "<View/>", "<View></View>", "<View><!-- nothing yet --></View>"])
def test_the_config_of_a_new_project_is_empty_and_fine(xml: str) -> None:
    assert parse(xml).empty


def test_a_config_that_shows_something_is_not_empty() -> None:
    assert not view(TEXT).empty


def test_unreadable_xml_is_refused() -> None:
    with pytest.raises(LabelingError, match="not readable XML"):
        parse("<View><Text</View>")


def test_names_of_tags_and_attributes_count_in_any_case() -> None:
    spelled = view(TEXT, '<Choices name="c" toName="text" maxUsages="2" required="True"><Choice value="A"/></Choices>')
    shouted = parse(
        '<view><TEXT NAME="text" Value="$text"/>'
        '<cHOICES Name="c" TONAME="text" MaxUsages="2" REQUIRED="True"><CHOICE VALUE="A"/></cHOICES></view>'
    )
    assert shouted == spelled
    assert output(shouted, "c").required
    assert output(shouted, "c").tag == "Choices"
    assert output(shouted, "c").type == "choices"


def test_comments_are_not_part_of_the_form() -> None:
    sample = '<!-- {"data": {"text": "sample"}, "x": "<Choices name=\'no\'/>"} -->'
    assert view(sample, TEXT, sample, MOOD.replace("><Choice", f">{sample}<Choice", 1)) == view(TEXT, MOOD)


def test_five_thousand_choices_are_read_quickly() -> None:
    choices = "".join(f'<Choice value="label {n}" alias="l{n}" hint="the {n}th"/>' for n in range(5000))
    started = time.perf_counter()
    config = view(TEXT, f'<Choices name="c" toName="text">{choices}</Choices>')
    assert len(config.digest) == 64
    assert time.perf_counter() - started < 2
    assert len(output(config, "c").choices) == 5000


@pytest.mark.parametrize(
    ("inner", "choice"),
    [
        pytest.param('<Choice value="A"/>', Choice("A"), id="value"),
        pytest.param('<Choice value="A" alias="a"/>', Choice("A", alias="a"), id="alias"),
        pytest.param('<Choice value="A" alias=""/>', Choice("A", alias=""), id="empty alias"),
        pytest.param('<Choice value="A" hint=" why "/>', Choice("A", hint="why"), id="hint"),
        pytest.param("<Choice> A\n b </Choice>", Choice("A b"), id="text content"),
        pytest.param('<Choice value="A">b</Choice>', Choice("A"), id="value before text content"),
        pytest.param('<Choice html="&lt;b&gt;A&lt;/b&gt; b"/>', Choice("A b"), id="html alone"),
        pytest.param('<Choice value="A" html="&lt;i&gt;long&lt;/i&gt;"/>', Choice("A", hint="long"), id="html as hint"),
        pytest.param('<Choice value="A" hint="h" html="w"/>', Choice("A", hint="h; w"), id="hint and html"),
        pytest.param("<Choice>A<Choice>B</Choice></Choice>", Choice("A", children=(Choice("B"),)), id="both as text"),
        pytest.param(
            '<Choice value="A"><View><Choice value="B"/></View></Choice>',
            Choice("A", children=(Choice("B"),)),
            id="child in a view",
        ),
        pytest.param('<View><View><Choice value="ש 🫖"/></View></View>', Choice("ש 🫖"), id="in views, any script"),
        pytest.param('<Choice value="0"/>', Choice("0"), id="zero is a label"),
    ],
)
def test_an_option_is_read(inner: str, choice: Choice) -> None:
    config = view(TEXT, f'<Choices name="c" toName="text">{inner}</Choices>')
    assert output(config, "c").choices == (choice,)


def test_an_option_without_words_is_none() -> None:
    assert (
        output(view(TEXT, '<Choices name="c" toName="text"><Choice/><Choice value=""/></Choices>'), "c").choices == ()
    )


def test_results_spell_an_option_by_its_alias() -> None:
    assert (Choice("A", alias="a").result, Choice("A").result) == ("a", "A")


@pytest.mark.parametrize(
    ("attrs", "conditions"),
    [
        pytest.param("", (), id="none"),
        pytest.param(
            'visibleWhen="choice-selected" whenTagName="mood" whenChoiceValue="Good,Bad"',
            (Condition("choice-selected", "mood", ("Good", "Bad")),),
            id="one of several",
        ),
        pytest.param('visiblewhen="choice-unselected"', (Condition("choice-unselected"),), id="any case, any choice"),
        pytest.param('visibleWhen="region-selected"', (Condition("region-selected"),), id="region"),
        pytest.param(
            'whenTagName="mood" whenChoiceValue="Good, really"',
            (Condition("choice-selected", "mood", ("Good, really",)),),
            id="no visibleWhen: the whole attribute",
        ),
        pytest.param('visibleWhen="full-moon"', (), id="unknown"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["on the control", "on a view around it"])
def test_when_a_control_is_shown(attrs: str, conditions: tuple[Condition, ...], wrapped: bool) -> None:
    rating = '<Rating name="r" toName="text" {}/>'
    shown = f"<View {attrs}><View>{rating.format('')}</View></View>" if wrapped else rating.format(attrs)
    config = view(TEXT, MOOD, shown, '<Rating name="after" toName="text"/>')
    assert output(config, "r").conditions == conditions
    assert output(config, "after").conditions == ()


def test_conditions_of_views_around_each_other_all_hold() -> None:
    inner = (
        '<View visibleWhen="region-selected"><Rating name="r" toName="text" visibleWhen="choice-unselected"/></View>'
    )
    config = view(TEXT, f'<View visibleWhen="choice-selected" whenTagName="mood">{inner}</View>')
    assert [condition.when for condition in output(config, "r").conditions] == [
        "choice-selected",
        "region-selected",
        "choice-unselected",
    ]


@pytest.mark.parametrize(
    ("objects", "to_name", "to_names"),
    [
        pytest.param(TEXT, 'toName="text"', ("text",), id="named"),
        pytest.param(TEXT, "", ("text",), id="left out, one object"),
        pytest.param(TEXT, 'toName=" "', ("text",), id="blank, one object"),
        pytest.param(TEXT + '<Image name="i" value="$i"/>', "", (), id="left out, two objects"),
        pytest.param("", "", (), id="left out, no object"),
        pytest.param(TEXT, 'toName="a, b"', ("a", "b"), id="several"),
    ],
)
def test_what_a_control_labels(objects: str, to_name: str, to_names: tuple[str, ...]) -> None:
    assert output(view(objects, f'<Rating name="r" {to_name}/>'), "r").to_names == to_names


@pytest.mark.parametrize(
    ("above", "heading"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param('<Header value="How  was\nit?"/>', "How was it?", id="header"),
        pytest.param("<Header>How <i>was</i> it?</Header>", "How was it?", id="words in the tag"),
        pytest.param('<HEADER Value="Mood"/>', "Mood", id="any case"),
        pytest.param('<View><Header value="Part 1"/></View><Header value="Mood"/>', "Part 1 Mood", id="two"),
        pytest.param('<Text name="hint" value="Be kind."/>', "Be kind.", id="literal text"),
        pytest.param('<HyperText name="hint" value="&lt;b&gt;Be&lt;/b&gt; kind."/>', "Be kind.", id="literal HTML"),
        pytest.param('<Header value="Mood"/><Text name="more" value="$more"/>', "", id="data in between"),
        pytest.param('<Header value="First"/><Rating name="r" toName="text"/>', "", id="another control in between"),
        pytest.param('<Header value="Costs $5 or more"/>', "Costs $5 or more", id="money"),
        pytest.param('<Header value="  "/>', "", id="blank"),
    ],
)
def test_words_right_above_a_control_are_its_heading(above: str, heading: str) -> None:
    assert output(view(TEXT, above, MOOD), "mood").heading == heading


@pytest.mark.parametrize("value", ["$title", "Title: $title", "$a.b[0]", "$price $ in all", "$Ünïcode"])
def test_a_header_that_shows_data_is_a_source_and_no_note(value: str) -> None:
    config = view(f'<Header value="{value}"/>', TEXT)
    header = config.sources[0]
    assert (header.name, header.tag, header.value) == ("", "Header", value)
    assert config.notes == ()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("$name", ("$name",)),
        ("$2020", ("$2020",)),
        ("$a.b[0].c", ("$a.b[0].c",)),
        ("Title: $title.", ("$title",)),
        ("$a-$b", ("$a", "$b")),
        ("($a) [$b] {$c}", ("$a", "$b", "$c")),
        ("costs $100, $ 5 or US$", ()),
        ("", ()),
    ],
)
def test_references_are_told_from_money_and_punctuation(value: str, found: tuple[str, ...]) -> None:
    assert references(value) == found


def test_a_literal_picture_is_shown_as_a_picture() -> None:
    config = view('<Image name="chart" value="https://labels.example/chart.png"/>', TEXT)
    assert [source.tag for source in config.sources] == ["Image", "Text"]
    assert config.notes == ()


def test_an_image_may_name_a_list() -> None:
    assert view('<Image name="i" valueList="$pages"/>').sources[0].value == "$pages"


@pytest.mark.parametrize(
    ("names", "prefix", "prompt"),
    [
        pytest.param(["response", "prompt"], "prompt", "prompt", id="exact"),
        pytest.param(["prompt2", "prompt"], "prompt", "prompt", id="exact before an earlier beginning"),
        pytest.param(["response", "prompt-box", "prompts"], "prompt", "prompt-box", id="first that begins so"),
        pytest.param(["prompt", "my-prompt"], "my-prompt", "my-prompt", id="as told"),
        pytest.param(["prompt"], "my-prompt", None, id="another name"),
        pytest.param(["Prompt"], "prompt", None, id="names count in their case"),
        pytest.param(["the_prompt"], "prompt", None, id="not in the middle"),
        pytest.param([], "prompt", None, id="no text area"),
    ],
)
def test_the_prompt_box_is_found_by_its_name(names: list[str], prefix: str, prompt: str | None) -> None:
    boxes = "".join(f'<TextArea name="{name}" toName="text"/>' for name in names)
    config = parse(f"<View>{TEXT}{boxes}</View>", prefix)
    assert config.prompt == prompt
    assert [o.name for o in config.outputs] == [name for name in names if name != prompt]


@pytest.mark.parametrize("scope", ["perRegion", "perItem"])
def test_a_text_area_of_regions_is_no_prompt_box(scope: str) -> None:
    assert view(TEXT, f'<TextArea name="prompt" toName="text" {scope}="true"/>').prompt is None


def test_only_a_text_area_is_a_prompt_box() -> None:
    assert (
        view('<Text name="prompt" value="$prompt"/>', '<Rating name="prompt_rating" toName="prompt"/>').prompt is None
    )


WHOLE = (
    '<View><Header value="Mood"/><Text name="text" value="$text"/>'
    '<TextArea name="prompt" toName="text"/>'
    '<Choices name="mood" toName="text" choice="single"><Choice value="Good" alias="g" hint="fine"/></Choices>'
    '<View visibleWhen="choice-selected" whenTagName="mood"><Rating name="r" toName="text" maxRating="5"/></View>'
    "</View>"
)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        pytest.param("<View><Header", "<View style='color: red' className='a'><Style>.a{}</Style><Header", id="style"),
        pytest.param('value="Mood"', 'size="2" value="Mood"', id="size of a header"),
        pytest.param("/><Text", "/>\n\n   <Text", id="white space between tags"),
        pytest.param('value="Mood"', 'value=" Mood&#10;"', id="white space in words"),
        pytest.param('choice="single"', 'layout="select" showInLine="true" choice="single"', id="layout"),
        pytest.param('maxRating="5"', 'icon="heart" size="large" maxRating="5"', id="icon"),
        pytest.param('name="text" value="$text"', 'value="$text" name="text"', id="order of attributes"),
        pytest.param("<Choices", "<!-- a comment --><choices", id="comments and case"),
        pytest.param('name="prompt"', 'placeholder="Ask" rows="9" name="prompt"', id="placeholder"),
    ],
)
def test_style_and_layout_do_not_move_the_digest(was: str, becomes: str) -> None:
    changed = WHOLE.replace(was, becomes)
    if becomes.endswith("<choices"):
        changed = changed.replace("</Choices>", "</choices>")
    assert changed != WHOLE
    assert parse(changed).digest == parse(WHOLE).digest


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        pytest.param('value="Good"', 'value="Fine"', id="label"),
        pytest.param('alias="g"', 'alias="h"', id="alias"),
        pytest.param('hint="fine"', 'hint="well"', id="hint"),
        pytest.param("</Choices>", '<Choice value="Bad"/></Choices>', id="one more label"),
        pytest.param('value="Mood"', 'value="Tone"', id="heading"),
        pytest.param('value="$text"', 'value="$title"', id="what is shown"),
        pytest.param('choice="single"', 'choice="multiple"', id="how many"),
        pytest.param('maxRating="5"', 'maxRating="7"', id="range"),
        pytest.param('maxRating="5"', 'maxRating="5" required="true"', id="required"),
        pytest.param('whenTagName="mood"', 'whenTagName="mood" whenChoiceValue="Good"', id="condition"),
        pytest.param('name="prompt"', 'name="prompt2"', id="prompt box"),
        pytest.param('name="r"', 'name="s"', id="name of a control"),
    ],
)
def test_what_is_shown_or_asked_moves_the_digest(was: str, becomes: str) -> None:
    changed = WHOLE.replace(was, becomes)
    assert changed != WHOLE
    assert parse(changed).digest != parse(WHOLE).digest


@pytest.mark.parametrize(
    ("told", "whole", "number"),
    [
        ("5", 5, 5.0),
        (" -2 ", -2, -2.0),
        ("0.5", None, 0.5),
        ("", None, None),
        ("five", None, None),
        ("nan", None, None),
        ("inf", None, None),
    ],
)
def test_a_numeric_attribute_is_a_number_or_nothing(told: str, whole: int | None, number: float | None) -> None:
    rating = output(view(TEXT, f'<Number name="n" toName="text" min="{told}"/>'), "n")
    assert (rating.whole("min"), rating.number("min")) == (whole, number)
    assert (rating.whole("max"), rating.number("max")) == (None, None)


def test_a_control_that_is_not_known_here_is_still_an_output() -> None:
    assert output(view(TEXT, '<HoloLabels name="h" toName="text"/>'), "h").tag == "HoloLabels"
