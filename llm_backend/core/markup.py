"""What does this XML or HTML say, as the editor renders it?"""

import copy
import re
from collections.abc import Iterator
from html import escape

from lxml import etree

from llm_backend.errors import LabelingError

Element = etree._Element

# What may hold the words "<!DOCTYPE" without declaring one; left to right, as a parser meets them.
_ASIDE = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)", re.DOTALL)
_DECLARES = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)

# Tags that the browser starts on a line of their own, and those that it keeps a margin around.
_LINES = frozenset(
    (
        *("address", "article", "aside", "dd", "details", "dialog", "div", "dl", "dt", "fieldset", "figcaption"),
        *("figure", "footer", "form", "header", "hr", "li", "main", "nav", "ol", "section", "summary", "table"),
        *("tbody", "tfoot", "thead", "tr", "ul"),
    )
)
_PARAGRAPHS = frozenset(("blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "p", "pre"))
_CELLS = frozenset(("td", "th"))
_UNSEEN = frozenset(("script", "style", "template", "head", "title", "noscript"))

# Signs that XML cannot hold.
_CONTROL_SIGNS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000)))
# They are free for our own use while a text is put together.
_LINE, _PARAGRAPH = "\x01", "\x02"
_GAP = re.compile(r"[\s\x01\x02]+")
# White space as written does not break lines, and is kept in <pre> alone.
_FLAT = _CONTROL_SIGNS | str.maketrans("\t\n\r", "   ")
_KEPT = _CONTROL_SIGNS | str.maketrans("\t\n ", "\x03\x04\x05", "\r")
_GIVEN_BACK = str.maketrans("\x03\x04\x05", "\t\n ")


def parse_xml(text: str) -> Element:
    """Read a labeling config as XML.

    No entity is expanded beyond XML's own five, nothing is loaded from anywhere, and a document type is refused,
    as the host itself refuses it.

    Raises:
        LabelingError: The text is not well-formed XML, or declares a document type.
    """
    if _DECLARES.search(_ASIDE.sub("", text)):
        raise LabelingError("The labeling config declares a document type or entities; remove the <!DOCTYPE ...> part.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, encoding="utf-8", remove_pis=True)
    try:
        return etree.fromstring(text.strip().encode("utf-8", "surrogatepass"), parser)
    except etree.XMLSyntaxError as exc:
        detail = " ".join((exc.msg or "it is empty").split())
        cure = _WRITING_SIGNS if "Entity" in detail else ""
        raise LabelingError(f"The labeling config is not readable XML: {detail}{cure}.") from exc


_WRITING_SIGNS = "; write & as &amp;, and other signs by number, such as &#160; for a space that does not break"


def attributes(element: Element) -> dict[str, str]:
    """The attributes of a tag; names in lower case, for the editor does not tell them apart by case."""
    return {str(name).lower(): str(value) for name, value in element.attrib.items()}


def tag_of(element: Element) -> str:
    """The tag's name in lower case, or "" for comments and the like."""
    return element.tag.lower() if isinstance(element.tag, str) else ""


def repeated(element: Element, flag: str, index: int) -> Iterator[Element]:
    """The tags within an element as one entry of a list shows them: `flag` in their attributes becomes its number.

    As in the editor, once in each attribute, and not in the text between tags.
    """
    for child in copy.deepcopy(element):
        for part in child.iter(etree.Element):
            for name, value in part.attrib.items():
                part.set(name, str(value).replace(flag, str(index), 1))
        yield child


def inner_text(element: Element) -> str:
    """All text that stands in a tag, such as the words in `<Header>Read <b>this</b></Header>`."""
    return " ".join("".join(str(piece) for piece in element.itertext()).split())


def own_text(element: Element) -> str:
    """The text that stands in a tag itself, not in the tags within."""
    return " ".join("".join([element.text or "", *(child.tail or "" for child in element)]).split())


def inner_xml(element: Element) -> str:
    """All that stands in a tag, as markup."""
    inner = [etree.tostring(child, encoding="unicode") for child in element]
    return "".join([escape(element.text or "", quote=False), *inner]).strip()


def readable_text(markup: str) -> str:
    """What a reader of this HTML sees: its text, lines where the browser breaks them, alternative texts of pictures.

    Cells of a table's row are parted by tabs.
    """
    if "<" not in markup and "&" not in markup:
        return markup.strip()
    return _GAP.sub(_gap, "".join(_pieces(_parse_html(markup)))).strip().translate(_GIVEN_BACK)


def picture_urls(markup: str) -> tuple[str, ...]:
    """Where the pictures of this HTML lie, in order: the `src` of each <img> that a reader sees."""
    if "<" not in markup:
        return ()
    walk = etree.iterwalk(_parse_html(markup), events=("start",))
    found = []
    for _, element in walk:
        if tag_of(element) in _UNSEEN:
            walk.skip_subtree()
        elif tag_of(element) == "img" and (element.get("src") or "").strip():
            found.append(str(element.get("src")).strip())
    return tuple(found)


def _parse_html(markup: str) -> Element:
    # `huge_tree` lifts the limit on depth, past which text would be lost without a word.
    parser = etree.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True, encoding="utf-8")
    return etree.fromstring(f"<div>{markup.translate(_CONTROL_SIGNS)}</div>".encode(), parser)


def _pieces(root: Element) -> Iterator[str]:
    """The text of a tree in order; `_LINE` and `_PARAGRAPH` where it breaks, a newline for each <br>."""
    walk = etree.iterwalk(root, events=("start", "end"))
    preformatted = 0
    for event, element in walk:
        tag = tag_of(element)
        starts = event == "start"
        if tag == "pre":
            preformatted += 1 if starts else -1
        if tag in _PARAGRAPHS:
            yield _PARAGRAPH
        elif tag in _LINES:
            yield _LINE
        if starts and tag in _UNSEEN:
            walk.skip_subtree()
            continue
        if starts:
            yield _sign_of(tag)
        words = (_alternative(element) if tag == "img" else element.text) if starts else element.tail
        if words:
            yield words.translate(_KEPT if preformatted else _FLAT)


def _sign_of(tag: str) -> str:
    """What parts the start of a tag from what is before it."""
    if tag == "br":
        return "\n"
    return "\t" if tag in _CELLS else ""


def _alternative(picture: Element) -> str:
    alt = picture.get("alt")
    return f"[{alt}]" if alt else ""


def _gap(found: re.Match[str]) -> str:
    """What a reader sees of white space and breaks in a row: the strongest of them, lines at most one blank apart."""
    gap = found.group()
    if _PARAGRAPH in gap:
        return "\n\n"
    if "\n" in gap:
        return "\n\n" if gap.count("\n") > 1 else "\n"
    if _LINE in gap:
        return "\n"
    return "\t" * gap.count("\t") or " "
