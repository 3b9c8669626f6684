"""Small web servers on loopback for tests of whoever fetches."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Site:
    """A running server: where it is, and what it was asked."""

    port: int
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def site(pages: Mapping[str, bytes | Answering]) -> AsyncIterator[Site]:
    """Serve pages by path: bytes as they are (with a Content-Type that says nothing), or what a function answers."""
    here = Site(0)

    async def answer(request: web.Request) -> web.StreamResponse:
        here.asked.append(request.path_qs)
        here.authorizations.append(request.headers.get("Authorization"))
        page = pages.get(request.path)
        if page is None:
            return web.Response(status=404)
        return web.Response(body=page) if isinstance(page, bytes) else await page(request)

    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here.port = runner.addresses[0][1]
    try:
        yield here
    finally:
        await runner.cleanup()


def status(code: int, **headers: str) -> Answering:
    """A page that answers with a status and headers, such as a redirect."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers)

    return answer


def redirect(to: str, code: int = 302) -> Answering:
    return status(code, Location=to)


class Names:
    """A name service for tests; each look-up takes the next answer, the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
