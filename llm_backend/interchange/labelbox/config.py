"""Which labeling config asks in Label Studio what an ontology asks in Labelbox?"""

import re
from collections.abc import Iterable, Iterator
from html import escape
from xml.sax.saxutils import quoteattr

from llm_backend.interchange.labelbox.ontology import Feature, Ontology, Option

DIALOGUE = "dialogue"
MESSAGE = "message"
"""The control that marks a whole message, and its only label: what is asked of messages hangs on such regions."""

_REFERENCE = re.compile(r"\$(?=\w)")


def config_of(ontology: Ontology, *, media: bool = False, outputs: bool = True) -> str:
    """The labeling config, as XML.

    Args:
        media: Whether messages hold pictures, videos or sounds, which a dialogue does not show.
        outputs: Whether there are outputs of models.
    """
    return "\n".join(["<View>", *(f"  {line}" for line in _body(ontology, media, outputs)), "</View>", ""])


def _body(ontology: Ontology, media: bool, outputs: bool) -> Iterator[str]:
    yield f'<Paragraphs name="{DIALOGUE}" value="$messages" layout="dialogue" nameKey="author" textKey="text"/>'
    if media:
        yield '<List name="media" value="$media" title="Media"/>'
    if outputs:
        yield "<Style>.htx-ranker-item { white-space: pre-line; }</Style>"  # a List runs lines together
        yield '<List name="responses" value="$items" title="Responses"/>'
    for feature in ontology.features:
        if not feature.per_message:
            yield from _asked(feature, "")
    of_messages = [feature for feature in ontology.features if feature.per_message]
    if of_messages:
        yield f'<ParagraphLabels name="{MESSAGE}" toName="{DIALOGUE}" granularity="paragraph">'
        yield f'  <Label value="{MESSAGE}"/>'
        yield "</ParagraphLabels>"
        yield f'<View visibleWhen="region-selected" whenTagName="{MESSAGE}">'
        for feature in of_messages:
            yield from _indented(_asked(feature, ""))
        yield "</View>"


def _asked(feature: Feature, condition: str) -> Iterator[str]:
    """A question with its heading, and what hangs on its options."""
    yield f"<Header value={_words(feature.heading)}/>"
    more = ' perRegion="true"' if feature.per_message else ""
    more += ' required="true"' if feature.required else ""
    named = f'name="{feature.control}" toName="{DIALOGUE}"'
    if feature.kind == "text":
        yield f'<TextArea {named} maxSubmissions="1" rows="4" editable="true"{more}{condition}/>'
        return
    choice = "multiple" if feature.kind == "checklist" else "single"
    yield f'<Choices {named} choice="{choice}"{more}{condition}>'
    yield from _indented(_choice(option) for option in feature.options)
    yield "</Choices>"
    for option in feature.options:
        if option.features:
            when = _when(feature, option)
            # On the view for its headings' sake; on the control, since that is where the editor drops its result.
            yield f"<View{when}>"
            for below in option.features:
                yield from _indented(_asked(below, when))
            yield "</View>"


def _choice(option: Option) -> str:
    label = "" if option.label == option.value else f" html={quoteattr(escape(option.label))}"
    return f"<Choice value={quoteattr(option.value)}{label}/>"


def _when(feature: Feature, option: Option) -> str:
    """When the option is chosen; a value with a comma cannot be named in a condition: then, when any is."""
    value = "" if "," in option.value else f" whenChoiceValue={quoteattr(option.value)}"
    return f' visibleWhen="choice-selected" whenTagName="{feature.control}"{value}'


def _words(heading: str) -> str:
    """A heading as it is: `$name` in it would stand for a field of the task."""
    return quoteattr(_REFERENCE.sub("$\u2060", " ".join(heading.split())))


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
