"""Where in a text does a model's quote stand?"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence, Set
from functools import cached_property
from itertools import accumulate

Span = tuple[int, int]
"""Offsets in code points, the end exclusive."""

_CONTEXT = 40
# The least of a context, what nobody sees left aside, that tells places apart where not all of it stands there.
_LEAST_CONTEXT = 4
# How many places of one quote are compared before one is chosen, and how many are looked at in all: bounds for texts
# that repeat a sign without end.
_AHEAD, _AHEAD_SIGNS, _FAR = 200, 50_000, 20_000

# What nobody sees: white space, soft hyphens, spaces of no width, marks of direction.
_UNSEEN = r"\s\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
_GAPS = re.compile(f"[{_UNSEEN}]+")
_QUOTE_MARKS = "\"'`´‘’‚‛“”„‟«»‹›′″＂＇"
_LAST_PLAIN = "\u02ff"  # before the first sign that is drawn onto another
_JOINER = "\u200d"
_SKIN_TONES = ("\U0001f3fb", "\U0001f3ff")
# Scripts that put no space between words, so that their edges cannot be seen: Thai and Lao, Myanmar, Khmer, and all
# from the CJK radicals on.
_UNSPACED = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u2e80", "\U0010ffff"))


class Quotes:
    """Finds one quote after another in a text; the same words again are found at their next place.

    A quote that stands there letter for letter is found there first. It may differ in what nobody sees (white space
    that is more, less or of another kind), in case (fully folded) and in quote marks, of which it may also have a
    pair around it that the text has not. Words are found as words: "he" stands in "the" only where there is no "he"
    by itself. A letter is never found without the marks that stand on it.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._taken: set[Span] = set()

    def next(self, quote: str, before: str = "") -> Span | None:
        """The next place of a quote.

        Of several places those with this context count; else those with the longest end of it; else all. The first
        of these that was not given before is taken. Where there is only one, it is given again.

        Args:
            before: What stands right before it there, as inexact as the quote; "" leaves it open.
        Returns:
            None if the quote is not there, or not once more.
        """
        for words in _spellings(quote):
            if _sign(words) and (found := self._next(words, before)):
                self._taken.add(found)
                return found
        return None

    def context(self, start: int, end: int) -> str:
        """What must be said of the words before a place to tell it from others; "" where it is the only one."""
        text, quote = self._text, self._text[start:end]
        if not quote or text.find(quote, text.find(quote) + 1) < 0:
            return ""
        length = _CONTEXT
        while length < start and text.find(text[start - length : end]) < start - length:
            length *= 2
        return text[max(0, start - length) : start]

    def _next(self, quote: str, before: str) -> Span | None:
        told = _sign(before)[-_CONTEXT:]
        if told:
            pool = self._pool(quote, before)
            if (found := pool.next(self._taken)) or pool.ahead:
                return found
        pool = self._pool(quote, "")
        return (self._nearest(pool.ahead, told) if told else None) or pool.next(self._taken)

    def _nearest(self, places: Sequence[Span], told: str) -> Span | None:
        """Of several places, the next of those that have the longest end of a context; None where none has much."""
        alike = [_common_end(told, self._signs.before(start, len(told))) for start, _ in places]
        longest = max(alike, default=0)
        if len(places) < 2 or longest < _LEAST_CONTEXT:
            return None
        best = [place for place, length in zip(places, alike, strict=True) if length == longest]
        return next((place for place in best if place not in self._taken), best[0] if len(best) == 1 else None)

    @cached_property
    def _signs(self) -> "_Signs":
        return _Signs(self._text)

    def _pool(self, quote: str, before: str) -> "_Pool":
        key = (quote, before)
        if key not in self._pools:
            levels = (self._exactly(quote, before), self._by_signs(_sign(quote), _sign(before)))
            self._pools[key] = _Pool(self._text, levels, _bound(before + quote))
        return self._pools[key]

    def _exactly(self, quote: str, before: str) -> Iterator[Span]:
        for at in _all(before + quote, self._text):
            yield at + len(before), at + len(before) + len(quote)

    def _by_signs(self, quote: str, before: str) -> Iterator[Span | None]:
        for at in _all(before + quote, self._signs.all):
            yield self._signs.span(at + len(before), at + len(before) + len(quote))


class _Pool:
    """The places of one quote, looked for as far as they are needed: as words if there are any, else within words."""

    def __init__(self, text: str, levels: Sequence[Iterator[Span | None]], ahead: int) -> None:
        """
        Args:
            levels: The places, those of each level in order; what an earlier one has, a later one may repeat. None
                stands for one that does not count.
            ahead: How many are looked at before it is said that none is a word.
        """
        self._levels = [_Level(text, spans, ahead) for spans in levels]

    @property
    def ahead(self) -> Sequence[Span]:
        """The first places, each once, the likelier ones first."""
        for level in self._levels:
            level.look()
        words = any(level.words for level in self._levels)
        return list(dict.fromkeys(span for level in self._levels for span in (level.words if words else level.inner)))

    def next(self, taken: Set[Span]) -> Span | None:
        """The first place that is not taken; else, if there is only one, that one."""
        for words in (True, False):
            for level in self._levels:
                if (found := level.free(words, taken)) is not None:
                    return found
            if any(level.words for level in self._levels):
                break  # what stands within other words is not meant
        places = self.ahead
        return places[0] if len(places) == 1 else None


class _Level:
    """The places of a quote in one way of reading it, in the order of the text."""

    def __init__(self, text: str, spans: Iterator[Span | None], ahead: int) -> None:
        self._text = text
        self._spans = spans
        self._ahead = ahead
        self._seen = 0
        self._ended = False
        self._used = {True: 0, False: 0}
        self.words: list[Span] = []
        self.inner: list[Span] = []

    def look(self) -> None:
        """Look as far ahead as counts."""
        while self._look(self._ahead):
            pass

    def free(self, words: bool, taken: Set[Span]) -> Span | None:
        """The first place that is not taken, as a word or within one."""
        places, used = (self.words if words else self.inner), self._used
        while True:
            while used[words] < len(places):
                if places[used[words]] not in taken:
                    return places[used[words]]
                used[words] += 1
            if not self._look(_FAR if places else self._ahead):
                return None

    def _look(self, most: int) -> bool:
        """Look at one more, unless so many were seen; returns whether there was one."""
        if self._ended or self._seen >= most:
            return False
        self._seen += 1
        try:
            span = next(self._spans)
        except StopIteration:
            self._ended = True
            return False
        if span and not _splits_a_letter(self._text, *span):
            (self.inner if _within_a_word(self._text, *span) else self.words).append(span)
        return True


class _Signs:
    """A text as the signs that count: what nobody sees left out, case folded, quote marks all alike.

    Attributes:
        all: The signs.
    """

    def __init__(self, text: str) -> None:
        alike = _with_like_marks(text)
        long = "".join(sign for sign in set(alike) if len(sign.casefold()) > 1)
        runs = re.compile(f"[^{_UNSEEN}{long}]+" + (f"|[{long}]" if long else ""))
        pieces = [(found.start(), found.group()) for found in runs.finditer(alike)]
        folded = [piece.casefold() for _, piece in pieces]
        self.all = "".join(folded)
        self._ends = list(accumulate(map(len, folded)))
        self._starts = [start for start, _ in pieces]
        self._widths = [len(piece) for _, piece in pieces]

    def span(self, start: int, end: int) -> Span | None:
        """Where in the text some signs stand; None where they begin or end amid what one letter is folded to."""
        first, last = self._offset(start), self._offset(end - 1, after=True)
        return None if first is None or last is None else (first, last)

    def before(self, at: int, most: int) -> str:
        """The signs that stand before an offset in the text, at most so many."""
        piece = bisect_left(self._starts, at) - 1
        if piece < 0:
            return ""
        end = self._ends[piece] - max(0, self._starts[piece] + self._widths[piece] - at)
        return self.all[max(0, end - most) : end]

    def _offset(self, at: int, *, after: bool = False) -> int | None:
        """The offset in the text before a sign, or after it."""
        piece = bisect_right(self._ends, at)
        length = self._ends[piece] - (self._ends[piece - 1] if piece else 0)
        within = at - (self._ends[piece] - length) + after
        if length == self._widths[piece]:
            return self._starts[piece] + within
        if within not in (0, length):  # amid what one letter is folded to
            return None
        return self._starts[piece] + bool(within)


def _sign(words: str) -> str:
    return _GAPS.sub("", _with_like_marks(words)).casefold()


def _with_like_marks(text: str) -> str:
    for mark in _QUOTE_MARKS[1:]:
        text = text.replace(mark, _QUOTE_MARKS[0])
    return text


def _spellings(quote: str) -> Iterator[str]:
    """The quote as it is, with letters and their marks as one sign or several, and without quote marks around it."""
    bare = quote.strip()
    quoted = len(bare) > 2 and bare[0] in _QUOTE_MARKS and bare[-1] in _QUOTE_MARKS
    for words in (quote, bare[1:-1]) if quoted else (quote,):
        yield from dict.fromkeys((words, unicodedata.normalize("NFC", words), unicodedata.normalize("NFD", words)))


def _all(words: str, text: str) -> Iterator[int]:
    """The offsets at which some words stand in a text; one may begin within another."""
    at = text.find(words)
    while at >= 0:
        yield at
        at = text.find(words, at + 1)


def _common_end(one: str, other: str) -> int:
    """The length of the end that two texts have in common."""
    most = min(len(one), len(other))
    return next((n for n in range(most) if one[-1 - n] != other[-1 - n]), most)


def _bound(words: str) -> int:
    """How many places of some words are looked at before one is chosen."""
    return max(2, min(_AHEAD, _AHEAD_SIGNS // (len(words) + 1)))


def _splits_a_letter(text: str, start: int, end: int) -> bool:
    """Whether a place begins or ends between a letter, or a picture sign, and what is drawn onto it."""
    return _joined(text, start) or _joined(text, end)


def _joined(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if after <= _LAST_PLAIN and before <= _LAST_PLAIN:
        return False
    marks = unicodedata.category(after) in ("Mn", "Mc", "Me") or _SKIN_TONES[0] <= after <= _SKIN_TONES[1]
    return marks or _JOINER in (before, after)


def _within_a_word(text: str, start: int, end: int) -> bool:
    """Whether a place begins or ends amid a word."""
    return _amid_word(text, start) or _amid_word(text, end)


def _amid_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and _of_a_word(text[at - 1]) and _of_a_word(text[at])


def _of_a_word(sign: str) -> bool:
    return (sign.isalnum() or sign == "_") and not any(low <= sign <= high for low, high in _UNSPACED)
