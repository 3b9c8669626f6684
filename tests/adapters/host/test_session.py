"""What do we ask of Label Studio's own API, and with which credentials?"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from llm_backend.adapters.host import Host, HostError
from tests.support.sites import Site, redirect, site, status

LEGACY = "0123456789abcdef0123456789abcdef01234567"


def token(kind: str, seconds: int = 300, number: int = 0) -> str:
    """A JSON web token; its signature is nobody's."""
    told = {"token_type": kind, "iat": 1000, "exp": 1000 + seconds, "jti": str(number)}
    parts = [json.dumps({"alg": "HS256"}), json.dumps(told), "signature"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


PERSONAL = token("refresh", 10**9)


class LabelStudio:
    """Label Studio as far as credentials go: exchanges personal tokens, shows its files to those who hold a good one.

    Attributes:
        good: The `Authorization` headers that are accepted now.
    """

    def __init__(self, seconds: int = 300, legacy: bool = False) -> None:
        self.seconds = seconds
        self.issued = 0
        self.good = {f"Token {LEGACY}"} if legacy else set()

    def pages(self) -> dict[str, Any]:
        return {"/api/token/refresh/": self.refresh, "/data/upload/1/a.txt": self.file}

    async def refresh(self, request: web.Request) -> web.Response:
        if (await request.json()).get("refresh") != PERSONAL:
            return web.json_response({"detail": "Token is invalid"}, status=401)
        self.issued += 1
        access = token("access", self.seconds, self.issued)
        self.good = {f"Bearer {access}"}
        return web.json_response({"access": access})

    async def file(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") not in self.good:
            return web.Response(status=401)
        return web.Response(body=b"the file")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


Scene = Callable[[Site, Host], Awaitable[None]]


def play(
    pages: Mapping[str, Any], scene: Scene, key: str = "", clock: Clock | None = None, seconds: float = 5.0
) -> None:
    async def run() -> None:
        async with site(pages) as here:
            host = Host(here.origin, key, seconds=seconds, clock=clock or Clock())
            try:
                await scene(here, host)
            finally:
                await host.close()

    asyncio.run(run())


def test_a_personal_token_is_exchanged_once_and_the_access_token_kept() -> None:
    async def scene(here: Site, host: Host) -> None:
        found = await asyncio.gather(*(host.get("/data/upload/1/a.txt") for _ in range(5)))
        assert found == [b"the file"] * 5
        assert here.asked.count("/api/token/refresh/") == 1
        assert not any(PERSONAL in (header or "") for header in here.authorizations)

    play(LabelStudio().pages(), scene, PERSONAL)


def test_an_access_token_is_renewed_before_it_ends() -> None:
    clock, studio = Clock(), LabelStudio(seconds=300)

    async def scene(here: Site, host: Host) -> None:
        await host.get("/data/upload/1/a.txt")
        clock.now = 269
        await host.get("/data/upload/1/a.txt")
        assert studio.issued == 1
        clock.now = 271
        await host.get("/data/upload/1/a.txt")
        assert studio.issued == 2

    play(studio.pages(), scene, PERSONAL, clock)


def test_an_access_token_that_is_refused_is_renewed_and_the_call_made_once_more() -> None:
    studio = LabelStudio()

    async def scene(here: Site, host: Host) -> None:
        await host.get("/data/upload/1/a.txt")
        studio.good = set()
        assert await host.get("/data/upload/1/a.txt") == b"the file"
        assert studio.issued == 2

    play(studio.pages(), scene, PERSONAL)


def test_a_refused_personal_token_is_told_and_not_offered_for_every_task() -> None:
    clock = Clock()

    async def scene(here: Site, host: Host) -> None:
        for _ in range(3):
            with pytest.raises(HostError, match="does not accept LABEL_STUDIO_API_KEY") as caught:
                await host.get("/data/upload/1/a.txt")
            assert not caught.value.lasting
        assert here.asked == ["/api/token/refresh/"]
        clock.now = 31
        with pytest.raises(HostError):
            await host.get("/data/upload/1/a.txt")
        assert here.asked == ["/api/token/refresh/"] * 2

    play(LabelStudio().pages(), scene, token("refresh", 1), clock)


def test_a_legacy_token_is_sent_as_it_is() -> None:
    async def scene(here: Site, host: Host) -> None:
        assert await host.get("/data/upload/1/a.txt") == b"the file"
        assert here.authorizations == [f"Token {LEGACY}"]

    play(LabelStudio(legacy=True).pages(), scene, LEGACY)


def test_a_legacy_token_that_is_switched_off_is_told() -> None:
    async def scene(here: Site, host: Host) -> None:
        with pytest.raises(HostError, match="legacy tokens are switched off") as caught:
            await host.get("/data/upload/1/a.txt")
        assert LEGACY not in caught.value.sentence

    play(LabelStudio().pages(), scene, LEGACY)


def test_a_token_with_dots_where_nothing_is_exchanged_is_taken_as_a_legacy_token() -> None:
    async def scene(here: Site, host: Host) -> None:
        assert await host.get("/x") == b"x"
        assert here.authorizations == [None, "Token a.b.c"]

    play({"/x": b"x"}, scene, "a.b.c")


def test_without_a_key_no_credentials_are_sent_and_their_lack_is_told() -> None:
    async def scene(here: Site, host: Host) -> None:
        with pytest.raises(HostError, match="set LABEL_STUDIO_API_KEY"):
            await host.get("/data/upload/1/a.txt")
        assert here.authorizations == [None]

    play(LabelStudio().pages(), scene)


def test_a_redirect_to_another_origin_gets_no_key() -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            other = await stack.enter_async_context(site({"/signed": b"secret"}))
            pages = {"/tasks/1/resolve/": redirect(f"{other.origin}/signed?sig=a%2Fb%3D", 303)}
            here = await stack.enter_async_context(site(pages))
            host = Host(here.origin, LEGACY)
            stack.push_async_callback(host.close)
            found = await host.get_or_location("/tasks/1/resolve/?fileuri=abc")
            assert isinstance(found, URL)
            assert str(found) == f"{other.origin}/signed?sig=a%2Fb%3D"
            with pytest.raises(HostError, match=r"sends us from /tasks/1/resolve/ to 127.0.0.1"):
                await host.get("/tasks/1/resolve/?fileuri=abc")
            assert other.asked == []

    asyncio.run(run())


def test_a_redirect_on_the_same_origin_is_followed_with_the_key() -> None:
    async def scene(here: Site, host: Host) -> None:
        assert await host.get("/old") == b"the file"
        assert here.authorizations == [f"Token {LEGACY}"] * 2

    play(LabelStudio(legacy=True).pages() | {"/old": redirect("/data/upload/1/a.txt")}, scene, LEGACY)


def test_a_move_to_the_same_path_elsewhere_says_what_to_set() -> None:
    async def scene(here: Site, host: Host) -> None:
        with pytest.raises(HostError, match=r"sent on to https://studio.example: set it to that address"):
            await host.get("/x")

    play({"/x": redirect("https://studio.example/x", 301)}, scene, LEGACY)


@pytest.mark.parametrize("to", ["", "http://[", "/loop"], ids=["nowhere", "unreadable", "endless"])
def test_redirects_that_lead_nowhere_end(to: str) -> None:
    async def scene(here: Site, host: Host) -> None:
        with pytest.raises(HostError, match="redirect"):
            await host.get("/loop")
        assert len(here.asked) <= 4

    play({"/loop": redirect(to)}, scene)


@pytest.mark.parametrize(
    ("code", "lasting", "words"),
    [
        (403, True, "does not let"),
        (404, True, "nothing at /x"),
        (418, True, "answered 418"),
        (429, False, "answered 429"),
        (500, False, "answered 500"),
        (503, False, "answered 503"),
    ],
)
def test_refusals_say_whether_they_last(code: int, lasting: bool, words: str) -> None:
    async def scene(here: Site, host: Host) -> None:
        with pytest.raises(HostError, match=words) as caught:
            await host.get("/x?signature=hidden")
        assert caught.value.lasting is lasting
        assert "hidden" not in caught.value.sentence

    play({"/x": status(code)}, scene)


def test_a_body_over_the_limit_is_not_read() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    async def scene(here: Site, host: Host) -> None:
        for path in ("/large", "/endless"):
            with pytest.raises(HostError, match=r"is over 0.0977 MB"):
                await host.get(path, limit=102400)
        assert await host.get("/large", limit=102401) == b"x" * 102401

    play({"/large": b"x" * 102401, "/endless": endless}, scene)


def test_a_slow_server_is_given_up() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async def scene(here: Site, host: Host) -> None:
        with pytest.raises(HostError, match=r"did not answer within 0.2 s for /x\.") as caught:
            await host.get("/x")
        assert not caught.value.lasting

    play({"/x": slow}, scene, seconds=0.2)


def test_a_server_that_is_away_is_told() -> None:
    async def run() -> None:
        async with site({}) as gone:
            pass
        host = Host(gone.origin, LEGACY)
        with pytest.raises(HostError, match=r"cannot be reached .* check LABEL_STUDIO_URL") as caught:
            await host.get("/x")
        assert not caught.value.lasting
        await host.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "path", "whole"),
    [
        ("http://ls:8080", "/data/upload/1/a.png", "http://ls:8080/data/upload/1/a.png"),
        ("http://ls:8080/", "/data/local-files/?d=x/y.png", "http://ls:8080/data/local-files/?d=x/y.png"),
        ("https://x.example/studio", "/data/upload/1/a.png", "https://x.example/studio/data/upload/1/a.png"),
        ("https://x.example/studio/", "/studio/data/upload/1/a.png", "https://x.example/studio/data/upload/1/a.png"),
        ("https://x.example/data", "/database/a.png", "https://x.example/data/database/a.png"),
    ],
)
def test_a_path_stands_under_the_folder_of_label_studio(url: str, path: str, whole: str) -> None:
    assert str(Host(url).at(path)) == whole


@pytest.mark.parametrize("path", ["//evil.example/x", "http://evil.example/x", "x", ""])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(HostError):
        Host("http://ls:8080").at(path)


@pytest.mark.parametrize(
    ("url", "owned"),
    [
        ("http://ls:8080/x", True),
        ("http://LS:8080/x", True),
        ("https://ls:8080/x", False),
        ("http://ls/x", False),
        ("http://ls.evil.example:8080/x", False),
        ("http://ls:8080@evil.example/x", False),
        ("/x", False),
    ],
)
def test_only_its_own_origin_is_label_studio(url: str, owned: bool) -> None:
    assert Host("http://ls:8080").owns(URL(url)) is owned


def test_what_is_posted_goes_as_json_with_the_key() -> None:
    async def echo(request: web.Request) -> web.Response:
        assert request.method == "POST"
        return web.json_response({"got": await request.json()}, status=201)

    async def scene(here: Site, host: Host) -> None:
        assert json.loads(await host.post("/api/x/", [{"task": 1}])) == {"got": [{"task": 1}]}
        assert here.authorizations == [f"Token {LEGACY}"]

    play({"/api/x/": echo}, scene, LEGACY)


def test_what_is_posted_is_posted_again_with_a_new_access_token() -> None:
    studio = LabelStudio()
    got: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") not in studio.good:
            return web.Response(status=401)
        got.append(await request.json())
        return web.json_response({})

    async def scene(here: Site, host: Host) -> None:
        await host.post("/api/x/", 1)
        studio.good = set()
        await host.post("/api/x/", 2)
        assert got == [1, 2]
        assert studio.issued == 2

    play(studio.pages() | {"/api/x/": take}, scene, PERSONAL)


def test_a_post_follows_no_redirect() -> None:
    async def scene(here: Site, host: Host) -> None:
        with pytest.raises(HostError, match=r"LABEL_STUDIO_URL is sent on to https://studio.example: set it right"):
            await host.post("/x", {})
        assert here.asked == ["/x"]

    play({"/x": redirect("https://studio.example/x", 301)}, scene, LEGACY)


def test_a_refused_post_says_the_status_and_nothing_of_what_was_said() -> None:
    async def quotes(request: web.Request) -> web.Response:
        return web.json_response({"detail": "{'task': 1, 'text': 'private'} is invalid"}, status=400)

    async def scene(here: Site, host: Host) -> None:
        with pytest.raises(HostError, match="answered 400 for /x") as caught:
            await host.post("/x", {})
        assert (caught.value.answered, caught.value.lasting, caught.value.unsure) == (400, True, False)
        assert "private" not in caught.value.sentence

    play({"/x": quotes}, scene, LEGACY)


@pytest.mark.parametrize(("code", "unsure"), [(500, False), (502, True), (503, False), (504, True)])
def test_a_gateways_answer_leaves_open_what_was_done(code: int, unsure: bool) -> None:
    async def scene(here: Site, host: Host) -> None:
        with pytest.raises(HostError) as caught:
            await host.post("/x", {})
        assert (caught.value.answered, caught.value.lasting, caught.value.unsure) == (code, False, unsure)

    play({"/x": status(code)}, scene, LEGACY)


def test_a_post_without_an_answer_leaves_open_what_was_done() -> None:
    async def hangs_up(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async def scene(here: Site, host: Host) -> None:
        for path in ("/hangs-up", "/slow"):
            with pytest.raises(HostError) as caught:
                await host.post(path, {}, seconds=0.2)
            assert caught.value.unsure

    play({"/hangs-up": hangs_up, "/slow": slow}, scene, LEGACY)


def test_a_post_that_could_not_connect_has_done_nothing() -> None:
    async def run() -> None:
        async with site({}) as gone:
            pass
        host = Host(gone.origin, LEGACY)
        with pytest.raises(HostError) as caught:
            await host.post("/x", {})
        assert not caught.value.unsure
        await host.close()

    asyncio.run(run())
