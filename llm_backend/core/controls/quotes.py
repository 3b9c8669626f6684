"""Where in a text does a model's quote stand?"""

_CONTEXT = 40


class Quotes:
    """Finds one quote after another in a text; the same words again are found at their next place."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._after: dict[tuple[str, str], int] = {}

    def next(self, quote: str, before: str = "") -> tuple[int, int] | None:
        """The next place of a quote.

        Args:
            before: What stands right before it there; "" leaves it open.
        Returns:
            (start, end) in code points, end exclusive; None if it is not there, or not once more.
        """
        at = self._text.find(before + quote, self._after.get((before, quote), 0))
        if at < 0:
            return None
        start = at + len(before)
        self._after[before, quote] = start + 1
        return start, start + len(quote)

    def context(self, start: int, end: int) -> str:
        """What must be said of the words before a place to tell it from others; "" where it is the only one."""
        quote = self._text[start:end]
        if self._text.count(quote) == 1:
            return ""
        return self._text[max(0, start - _CONTEXT) : start]
