"""What does this XML or HTML say, as the editor renders it?"""

import re
from collections.abc import Iterator

from lxml import etree, html

from llm_backend.errors import LabelingError

Element = etree._Element

# Tags that the browser starts on a line of their own.
_BLOCKS = frozenset(
    "address article aside blockquote dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 "
    "h5 h6 header hr li main nav ol p pre section summary table tbody tfoot thead tr ul".split()
)
_UNSEEN = frozenset(("script", "style", "template", "head", "title", "noscript"))


def parse_xml(text: str) -> Element:
    """Read a labeling config as XML.

    No entity is expanded beyond XML's own five, nothing is loaded from anywhere, and a document type is refused,
    as the host itself refuses it.

    Raises:
        LabelingError: The text is not well-formed XML, or declares a document type.
    """
    if re.search(r"<!DOCTYPE|<!ENTITY", text, re.IGNORECASE):
        raise LabelingError("The labeling config declares a document type or entities; remove the <!DOCTYPE ...> part.")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8", remove_pis=True
    )
    try:
        return etree.fromstring(text.encode("utf-8", "surrogatepass"), parser)
    except (etree.XMLSyntaxError, UnicodeError, ValueError) as exc:
        detail = str(exc).removesuffix(" (<string>, line 1)").split(" (<string>")[0].rstrip(".") or "it is empty"
        raise LabelingError(f"The labeling config is not readable XML: {detail}.") from exc


def attributes(element: Element) -> dict[str, str]:
    """The attributes of a tag; names in lower case, for the editor does not tell them apart by case."""
    return {str(name).lower(): str(value) for name, value in element.attrib.items()}


def tag_of(element: Element) -> str:
    """The tag's name in lower case, or "" for comments and the like."""
    return element.tag.lower() if isinstance(element.tag, str) else ""


def inner_text(element: Element) -> str:
    """The text that stands in a tag, such as the words in `<Header>Words</Header>`."""
    return " ".join("".join(str(piece) for piece in element.itertext()).split())


def inner_xml(element: Element) -> str:
    """All that stands in a tag, as markup."""
    pieces = [element.text or ""]
    pieces += [etree.tostring(child, encoding="unicode") for child in element]
    return "".join(pieces).strip()


def readable_text(markup: str) -> str:
    """What a reader of this HTML sees: its text, lines where the browser breaks them, alternative texts of pictures."""
    if "<" not in markup and "&" not in markup:
        return markup.strip()
    try:
        root = html.fromstring(f"<div>{_without_control_signs(markup)}</div>")
    except (etree.ParserError, ValueError):
        return markup.strip()
    lines = "".join(_pieces(root)).split("\n")
    text = "\n".join(" ".join(line.split()) for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _pieces(root: Element) -> Iterator[str]:
    for event, element in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        tag = tag_of(element)
        if event == "start":
            if tag in _UNSEEN:
                continue
            if tag in _BLOCKS or tag == "br":
                yield "\n"
            elif tag in ("td", "th"):
                yield "\t"
            elif tag == "img" and element.get("alt"):
                yield f"[{element.get('alt')}]"
            if element.text and not _hidden(element):
                yield element.text
        elif event == "end":
            if tag in _BLOCKS:
                yield "\n"
            if element.tail and element is not root and not _hidden(element.getparent()):
                yield element.tail
        elif element.tail and not _hidden(element.getparent()):
            yield element.tail


def _hidden(element: Element | None) -> bool:
    while element is not None:
        if tag_of(element) in _UNSEEN:
            return True
        element = element.getparent()
    return False


def _without_control_signs(text: str) -> str:
    """The same text without the signs that XML cannot hold."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", "", text)
