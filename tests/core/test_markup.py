"""Configs and HTML are read as the editor reads them, and nothing in them reaches out."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.markup import (
    attributes,
    inner_text,
    inner_xml,
    own_text,
    parse_xml,
    readable_text,
    rendered,
    tag_of,
)
from llm_backend.errors import LabelingError

EMOJI_RTL = "שלום 👩‍👩‍👧 \u200fعالم"
LONG = 200_000
PIECES = ["<p>", "</p>", "<br>", "<b>", "</b>", " ", "\n ", "word", "é😀", "&amp;", "&nbsp;", "<td>", "<pre>", "</pre>"]
PIECES += [
    "<style>x</style>",
    "<script>x</script>",
    "<img alt='pic'>",
    "<body>",
    "<title>t</title>",
    "<ul><li>",
    "&#1;",
]


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        pytest.param("", "empty", id="nothing"),
        pytest.param("words alone", "'<' not found", id="no markup"),
        pytest.param("<View>", "tag View", id="never closed"),
        pytest.param("<View></view>", "mismatch: View line 1 and view", id="closed in another case"),
        pytest.param('<View name="a" name="b"/>', "name redefined", id="attribute twice"),
        pytest.param("<View/><View/>", "Extra content", id="two roots"),
        pytest.param("<View>\n\n<Text</View>", "line 3", id="says the line"),
        pytest.param("<View>\x00</View>", "Invalid character", id="null byte"),
        pytest.param("<View>\ud83d</View>", "Invalid bytes", id="half a character"),
        pytest.param("<View>" * 300 + "</View>" * 300, "depth", id="300 deep"),
        pytest.param("<View><a:b/></View>", "prefix a", id="unknown namespace"),
    ],
)
def test_what_is_not_xml_is_refused_in_one_line(xml: str, told: str) -> None:
    with pytest.raises(LabelingError) as raised:
        parse_xml(xml)
    sentence = raised.value.sentence
    assert sentence.startswith("The labeling config is not readable XML: ")
    assert told in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "xml",
    ["<View>&nbsp;</View>", '<View value="&eacute;"/>', '<View value="Q & A"/>', '<View value="a&b"/>'],
    ids=["named entity", "in an attribute", "bare ampersand", "ampersand in a word"],
)
def test_a_sign_that_xml_has_no_name_for_is_refused_with_its_cure(xml: str) -> None:
    with pytest.raises(LabelingError, match="write & as &amp;, and other signs by number, such as &#160;"):
        parse_xml(xml)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "xml",
    [
        pytest.param("<!DOCTYPE html><View/>", id="plain"),
        pytest.param('<?xml version="1.0"?>\n<!-- a --><!doctype View><View/>', id="lower case, after a comment"),
        pytest.param(f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><View>&l9;</View>', id="billion laughs"),
        pytest.param('<!DOCTYPE x SYSTEM "file:///etc/passwd"><View/>', id="external subset"),
        pytest.param('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><View>&e;</View>', id="external entity"),
        pytest.param('<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]><View/>', id="parameter entity"),
        pytest.param('<!DOCTYPE x [<!ENTITY e "y">]><View a="&e;"/>', id="in an attribute"),
        pytest.param("<?a <!-- ?><!DOCTYPE x><?b --> ?><View/>", id="between things that look like a comment"),
        pytest.param("\ufeff <!DOCTYPE x><View/>", id="after a byte order mark"),
    ],
)
def test_a_document_type_is_refused(xml: str) -> None:
    with pytest.raises(LabelingError):
        parse_xml(xml)


@pytest.mark.parametrize(
    "xml",
    [
        pytest.param("<!-- <!DOCTYPE html> --><View/>", id="in a comment before"),
        pytest.param("<View><!-- {'html': '<!DOCTYPE html><p>'} --></View>", id="in a sample task"),
        pytest.param("<View><![CDATA[<!DOCTYPE html>]]></View>", id="in CDATA"),
    ],
)
def test_words_that_only_look_like_a_document_type_are_let_through(xml: str) -> None:
    assert tag_of(parse_xml(xml)) == "view"


def test_nothing_outside_the_config_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    secret.write_text("<Text>the secret</Text>")
    root = parse_xml(
        f'<?xml-stylesheet href="{secret.as_uri()}"?>'
        f'<View xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{secret.as_uri()}"/></View>'
    )
    assert "secret" not in inner_text(root)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-16", "iso-8859-1", "windows-1252", "no-such-thing"])
def test_a_declared_encoding_does_not_matter_since_the_text_is_decoded_already(encoding: str) -> None:
    root = parse_xml(f'<?xml version="1.0" encoding="{encoding}"?><View value="Grüße 🫖"/>')
    assert attributes(root)["value"] == "Grüße 🫖"


@pytest.mark.parametrize("before", ["\n  ", "\ufeff"], ids=["blank line", "byte order mark"])
def test_a_declaration_may_follow_what_pasting_leaves_behind(before: str) -> None:
    assert tag_of(parse_xml(f'{before}<?xml version="1.0"?><View/>')) == "view"


def test_attribute_and_tag_names_are_read_in_any_case() -> None:
    root = parse_xml('<VIEW ClassName="A" VALUE="B"/>')
    assert (tag_of(root), attributes(root)) == ("view", {"classname": "A", "value": "B"})


def test_a_comment_is_no_tag() -> None:
    root = parse_xml("<View><!-- x --><Text/></View>")
    assert [tag_of(child) for child in root] == ["", "text"]


def test_text_of_a_tag_is_all_of_it_or_its_own() -> None:
    root = parse_xml("<Choice>\n Top <Choice>Leaf</Choice><!-- not this --> <b>most</b> </Choice>")
    assert inner_text(root) == "Top Leaf most"
    assert own_text(root) == "Top"


def test_inner_markup_keeps_its_escapes() -> None:
    root = parse_xml("<HyperText>1 &lt; 2 &amp; <b>3 &lt; 4</b> &lt;i></HyperText>")
    assert inner_xml(root) == "1 &lt; 2 &amp; <b>3 &lt; 4</b> &lt;i&gt;"
    assert readable_text(inner_xml(root)) == "1 < 2 & 3 < 4 <i>"


@pytest.mark.parametrize("xml", ["<!--" * 50_000, "<!DOCTYP" * 50_000, "<?x " * 50_000, "<![CDATA[" * 50_000])
def test_nonsense_is_refused_quickly(xml: str) -> None:
    def refuse() -> None:
        with pytest.raises(LabelingError):
            parse_xml(xml)

    assert seconds(refuse) < 2


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        pytest.param("plain", "plain", id="no markup"),
        pytest.param("one\n\ntwo", "one\n\ntwo", id="lines without markup"),
        pytest.param("a<br>b<br/>c", "a\nb\nc", id="br"),
        pytest.param("a<br><br><br><br>b", "a\n\nb", id="many br"),
        pytest.param("<p>one\n  line</p>\n<p>two</p>", "one line\n\ntwo", id="paragraphs, wrapped in the source"),
        pytest.param("<div>a<div>b</div></div>c", "a\nb\nc", id="blocks"),
        pytest.param("<ul><li>one</li>\n<li>two<li>three</ul>", "one\ntwo\nthree", id="list"),
        pytest.param("<h1>Title</h1>words<blockquote>said</blockquote>", "Title\n\nwords\n\nsaid", id="headline"),
        pytest.param("in<b>li</b>ne <i>words</i>", "inline words", id="inline"),
        pytest.param("<pre>def f():\n    return 1</pre>", "def f():\n    return 1", id="preformatted"),
        pytest.param("<pre>a\r\nb</pre> c\n d", "a\nb\n\nc d", id="white space after preformatted"),
        pytest.param("x<script>alert(1)</script>y<style>p{}</style>z", "xyz", id="script and style"),
        pytest.param("<script><b>no</b></script><template><p>no</p></template>yes", "yes", id="nothing from within"),
        pytest.param(
            "<!DOCTYPE html><html><head><title>T</title><style>s</style></head><body><p>hi</p></body></html>",
            "hi",
            id="whole page",
        ),
        pytest.param("<?xml version='1.0' encoding='utf-16'?><p>é</p>", "é", id="XML declaration"),
        pytest.param("a<!-- no -->b<!-- <p> -->c", "abc", id="comments"),
        pytest.param("&lt;b&gt; &amp; &eacute; &#128512; &hearts;", "<b> & é 😀 ♥", id="entities"),
        pytest.param("a&nbsp;&nbsp;b", "a b", id="spaces that do not break"),
        pytest.param("Q&A, AT&T, &bogus;", "Q&A, AT&T, &bogus;", id="bare ampersands"),
        pytest.param("1 < 2 > 0", "1 < 2 > 0", id="bare angle brackets"),
        pytest.param('<img src="x" alt="a cat"> and <img src="y">', "[a cat] and", id="alternative texts"),
        pytest.param(
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td></td><td>3</td></tr></table>",
            "a\tb\n1\t\t3",
            id="table",
        ),
        pytest.param(
            "<table><tr><td>1<table><tr><td>in</td></tr></table></td><td>2</td></tr></table>", "1\nin\n2", id="nested"
        ),
        pytest.param("<div>a</div></div></p>b<p>c", "a\nb\n\nc", id="closed too often"),
        pytest.param("<b>a<i>b</b>c</i>d", "abcd", id="crossed"),
        pytest.param("<p", "", id="half a tag"),
        pytest.param("<>", "<>", id="no tag"),
        pytest.param("", "", id="empty"),
        pytest.param("<p> </p><br>", "", id="blank"),
        pytest.param(f"<p>{EMOJI_RTL}</p>", EMOJI_RTL, id="emoji and right-to-left"),
        pytest.param("<b>a\x00b\x07</b>\x00", "ab", id="null bytes"),
        pytest.param("<b>a\ud83db</b>", "ab", id="half a character"),
        pytest.param("<b>\x01\x02\x03\x04\x05</b>c", "c", id="signs that are ours within"),
        pytest.param("&#1;&#2;a&#3;&#x4;b", "ab", id="signs that are ours, by number"),
    ],
)
def test_html_reads_as_a_browser_shows_it(markup: str, text: str) -> None:
    assert readable_text(markup) == text


@pytest.mark.parametrize(
    ("markup", "held", "amid"),
    [
        pytest.param("  a < b & c\r\nd ", "a < b & c\nd ", "  a < b & c\nd ", id="signs that are no markup"),
        pytest.param(" \n plain ", "plain ", " \n plain ", id="plain"),
        pytest.param(
            "<p>One <b>bold</b> &amp; two</p><p>Next</p>\n<p>x</p>", "One bold & twoNext\nx", None, id="blocks"
        ),
        pytest.param("a<br>b<br/>\nc 😀", "a\nb\n\nc 😀", None, id="a place for each br"),
        pytest.param(" <ul>\n <li>a</li>\n</ul> ", "\n a\n ", " \n a\n ", id="white space as written"),
        pytest.param("a<script>s</script><iframe>f</iframe><template>t</template>b", "ab", None, id="taken out"),
        pytest.param("a<style>s</style><noscript>n</noscript>b", "asnb", None, id="held but not seen"),
        pytest.param("a<!-- c --><![CDATA[ d ]]>b <img alt='pic'>", "ab ", None, id="no text at all"),
        pytest.param("<pre>\n a\n  b</pre>", " a\n  b", None, id="preformatted"),
        pytest.param("a&nbsp;&#128512;&lt;b&gt;&#13;c", "a\xa0😀<b>\nc", None, id="entities"),
        pytest.param("<table><tr><td>a</td><td> b</td></tr></table>", "a b", None, id="cells"),
        pytest.param(
            "<!DOCTYPE html>\n<html>\n<head>\n<title>T</title><style>s</style>\n</head>\n"
            "<body>\n<p>x</p>\n</body>\n</html>\n",
            "\nx\n\n\n",
            "\n\n\nTs\n\n\nx\n\n\n",
            id="whole page",
        ),
    ],
)
def test_text_is_counted_as_the_editor_holds_it(markup: str, held: str, amid: str | None) -> None:
    assert rendered(markup).held == held
    assert rendered(markup, inline=True).held == (held if amid is None else amid)


@given(st.text(alphabet="<>/&; \n\r\tabp😀") | st.lists(st.sampled_from(PIECES)).map("".join), st.booleans())
def test_what_is_seen_is_held_where_it_is_said_to_be(markup: str, inline: bool) -> None:
    page = rendered(markup, inline=inline)
    assert len(page.offsets) == len(page.text)
    places = [(sign, at) for sign, at in zip(page.text, page.offsets, strict=True) if at >= 0]
    assert [at for _, at in places] == sorted(at for _, at in places)
    assert all(page.held[at] == sign or (page.held[at].isspace() and sign.isspace()) for sign, at in places)


def test_deep_nesting_loses_no_text() -> None:
    assert readable_text("<div>" * 1000 + "deep" + "</div>" * 1000 + "after") == "deep\nafter"


@pytest.mark.parametrize(
    "markup",
    [
        pytest.param("<p>word word</p>\n" * (LONG // 17), id="paragraphs"),
        pytest.param("<div>" * (LONG // 5) + "x", id="open blocks"),
        pytest.param("<script>" * (LONG // 8), id="open scripts"),
        pytest.param("<table><tr><td>" * (LONG // 15), id="open tables"),
        pytest.param("<p>" + " \n" * (LONG // 2) + "x", id="white space"),
        pytest.param("<br>" * (LONG // 4), id="line breaks"),
        pytest.param("<" * LONG, id="angle brackets"),
        pytest.param("&" * LONG, id="ampersands"),
        pytest.param("<!--" * (LONG // 4), id="comments"),
        pytest.param("<p " + 'a="1" ' * (LONG // 6) + ">x", id="attributes"),
        pytest.param("<b>" + "&nbsp;" * (LONG // 6), id="entities"),
    ],
)
def test_long_html_is_read_quickly(markup: str) -> None:
    assert seconds(lambda: readable_text(markup)) < 2


@given(st.text() | st.text(alphabet="<>/&;!-?=\"' \nabp\x00\x01\ud800\ufffe"))
def test_no_markup_makes_reading_fail(markup: str) -> None:
    assert isinstance(readable_text(markup), str)


@given(st.text(alphabet="<>/&;!-?=[]\"' \nabDOCTYPEView\x00\ud800"))
def test_no_config_fails_otherwise_than_by_a_sentence(xml: str) -> None:
    with suppress(LabelingError):
        parse_xml(xml)
