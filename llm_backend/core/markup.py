"""What does this XML or HTML say, as the editor renders it?"""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
_UNSEEN = frozenset(("script", "style", "template", "title", "noscript", "iframe"))
_NOT_HELD = frozenset(("script", "template", "iframe"))
# What a page may begin with before its body does. A <body> and the whole get names that are ours.
_BODY_HERE, _ALL = "editor-body", "editor-page"
_BEFORE_BODY = frozenset(
    ("", "html", "head", "title", "base", "link", "meta", "style", "script", "noscript", "template", "body", _ALL)
)
_BODY = re.compile(r"<(/?)body\b", re.IGNORECASE)
_LINE_ENDS = re.compile("\r\n?")
_FIRST_LINE_END = re.compile(r"(<(?:pre|textarea)\b[^<>]*>)\n", re.IGNORECASE)  # which the browser passes over
_BLANKS = " \t\n\f"

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


def repeated(element: Element, flag: str, index: int | str) -> Iterator[Element]:
    """The tags within an element as one entry of a list shows them: `flag` in their attributes becomes its number.

    As in the editor: once in each attribute, twice in those of the tags right within (so that a Pairwise there can name
    both of its sides), and not in the text between tags.
    """
    for child in copy.deepcopy(element):
        for part in child.iter(etree.Element):
            for name, value in part.attrib.items():
                part.set(name, str(value).replace(flag, str(index), 2 if part is child else 1))
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


@dataclass(frozen=True, slots=True)
class Page:
    """What a piece of HTML shows.

    Attributes:
        text: What a reader sees: lines where the browser breaks them, alternative texts of pictures, a table's cells
            parted by tabs.
        held: The text that the editor counts in, which is that of all text nodes of the page one after the other:
            white space as it is written, a newline for each <br>, no break between paragraphs; styles count as text.
        offsets: For each character of `text` where it stands in `held`; -1 for one that does not stand there.
    """

    text: str
    held: str
    offsets: Sequence[int]


def readable_text(markup: str) -> str:
    """What a reader of this HTML sees, as `Page.text`."""
    return rendered(markup).text


def rendered(markup: str, *, inline: bool = False) -> Page:
    """Read HTML as the editor renders it.

    Args:
        inline: Whether it stands amid the editor's own page. Otherwise it is a page by itself, of which only the body
            counts, without the white space that it begins with.
    """
    markup = _LINE_ENDS.sub("\n", markup)
    if "<" in markup or "&" in markup:
        return _Rendering(markup, inline).page()
    held = markup if inline else markup.lstrip(_BLANKS)
    text = held.strip()
    start = held.find(text)
    return Page(text, held, range(start, start + len(text)))


def picture_urls(markup: str) -> tuple[str, ...]:
    """Where the pictures of this HTML lie, in order: the `src` of each <img> that a reader sees."""
    return tuple(url for tag, url in media_urls(markup) if tag == "img")


def media_urls(markup: str) -> tuple[tuple[str, str], ...]:
    """What this HTML shows and plays, in order: `img`, `video` or `audio`, and where it lies.

    Of several sources of a video or sound, the first counts. Angle brackets around an address, as Markdown has them,
    are no part of it.
    """
    if "<" not in markup:
        return ()
    walk = etree.iterwalk(_parse_html(markup), events=("start",))
    found = []
    for _, element in walk:
        tag = tag_of(element)
        if tag in _UNSEEN:
            walk.skip_subtree()
        elif tag in ("img", "video", "audio"):
            sources = (part for part in element.iter("source")) if tag != "img" else ()
            held = (str(part.get("src") or "").strip().strip("<>").strip() for part in (element, *sources))
            if url := next(filter(None, held), ""):
                found.append((tag, url))
    return tuple(found)


def _parse_html(markup: str) -> Element:
    # `huge_tree` lifts the limit on depth, past which text would be lost without a word.
    parser = etree.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True, encoding="utf-8")
    # The parser drops a <body> that stands within something.
    markup = _BODY.sub(rf"<\1{_BODY_HERE}", _FIRST_LINE_END.sub(r"\1", markup.translate(_CONTROL_SIGNS)))
    return etree.fromstring(f"<{_ALL}>{markup}</{_ALL}>".encode(), parser)


class _Rendering:
    """One walk through a page: what is seen, what is held, and where the signs of the one stand in the other."""

    def __init__(self, markup: str, inline: bool) -> None:
        self._root = _parse_html(markup)
        self._begun = inline
        self._signs: list[str] = []
        self._places: list[int] = []
        self._held: list[str] = []
        self._length = 0

    def page(self) -> Page:
        """The page, with what a reader sees of white space and breaks in a row."""
        self._walk()
        signs = "".join(self._signs)
        text: list[str] = []
        offsets: list[int] = []
        done = 0
        for gap in _GAP.finditer(signs):
            text.append(signs[done : gap.start()])
            offsets += self._places[done : gap.start()]
            done = gap.end()
            if offsets and done < len(signs):
                text.append(_gap(gap.group()))
                offsets += [max(self._places[gap.start() : done])] * len(text[-1])
        text.append(signs[done:])
        offsets += self._places[done:]
        return Page("".join(text).translate(_GIVEN_BACK), "".join(self._held), offsets)

    def _walk(self) -> None:
        walk = etree.iterwalk(self._root, events=("start", "end"))
        preformatted = 0
        for event, element in walk:
            tag = tag_of(element)
            starts = event == "start"
            self._begun = self._begun or tag not in _BEFORE_BODY
            if tag == "pre":
                preformatted += 1 if starts else -1
            if tag in _PARAGRAPHS or tag in _LINES:
                self._see(_PARAGRAPH if tag in _PARAGRAPHS else _LINE)
            if starts and tag in _UNSEEN:
                if self._begun and tag not in _NOT_HELD:
                    self._hold("".join(map(str, element.itertext())))
                walk.skip_subtree()
                continue
            if starts:
                self._stand_in(tag, element)
            self._read((element.text if starts else element.tail) or "", _KEPT if preformatted else _FLAT)

    def _stand_in(self, tag: str, element: Element) -> None:
        """What stands for a tag by itself: a picture's words, the end of a line, the space between cells."""
        if tag == "br":
            self._see("\n", self._hold("\n"))
        elif tag in _CELLS:
            self._see("\t")
        elif tag == "img" and (alt := element.get("alt")):
            self._see(f"[{alt}]".translate(_FLAT))

    def _read(self, words: str, spacing: Mapping[int, int | None]) -> None:
        if not self._begun:
            words = words.lstrip(_BLANKS)
            self._begun = bool(words)
        kept = words.translate(spacing)
        if len(kept) == len(words):
            self._see(kept, self._hold(words))
            return
        for sign in words:
            self._see(sign.translate(spacing), self._hold(sign))

    def _see(self, signs: str, at: int = -1) -> None:
        self._signs.append(signs)
        self._places += range(at, at + len(signs)) if at >= 0 else [-1] * len(signs)

    def _hold(self, words: str) -> int:
        """Count some words; returns where they begin."""
        at = self._length
        self._held.append(words.replace("\r", "\n"))
        self._length += len(words)
        return at


def _gap(gap: str) -> str:
    """What a reader sees of white space and breaks in a row: the strongest of them, lines at most one blank apart."""
    if _PARAGRAPH in gap:
        return "\n\n"
    if "\n" in gap:
        return "\n\n" if gap.count("\n") > 1 else "\n"
    if _LINE in gap:
        return "\n"
    return "\t" * gap.count("\t") or " "
