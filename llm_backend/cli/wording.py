"""How are numbers and texts from elsewhere worded in a terminal?"""


def time_left(seconds: float) -> str:
    """A time as a person would tell it, such as `2 h 5 min`, `3 min 20 s` or `7 s`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def plain(text: str) -> str:
    """A text in one line, without signs that a terminal obeys."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
