"""Does this call come from a page of another origin?

A browser sends Basic Auth credentials along with whatever a strange page lets it post to us. So a browser that would
change something must show a header that only our own page can send: for a page of another origin the browser first
asks whether it may (a preflight request), and nobody here says yes. Who is no browser (Label Studio, curl, our own
command line) sends neither `Origin` nor `Sec-Fetch-Site`, and needs no such header.
"""

from flask import Flask, request

from llm_backend.errors import RequestError

SHOWN = ("X-Requested-With", "llm-backend")
_HARMLESS = frozenset(("GET", "HEAD", "OPTIONS"))


class StrangeOrigin(RequestError):
    """A page in a browser that is not ours, or does not show that it is."""

    status = 403


def refuse_strangers(app: Flask) -> None:
    """Let no page of another origin change anything, at any door."""

    @app.before_request
    def look_at_origin() -> None:
        if request.method in _HARMLESS:
            return
        headers, (name, value) = request.headers, SHOWN
        if ("Origin" in headers or "Sec-Fetch-Site" in headers) and headers.get(name) != value:
            raise StrangeOrigin(
                f"A browser may change something here only from the status page, which sends {name}: {value}."
            )
