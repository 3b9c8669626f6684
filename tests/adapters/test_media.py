"""What may be fetched of what a task shows, and how is it brought in?"""

import asyncio
import base64
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from llm_backend.adapters.host import Host
from llm_backend.adapters.media import Bounds, Media
from llm_backend.core.chat import AudioPart, FilePart, ImagePart, Part, Takes, TextPart
from llm_backend.core.inputs import Kind, MediaRef
from llm_backend.core.wire import TaskId
from llm_backend.errors import MediaError
from llm_backend.settings import Settings
from tests.support.pictures import PNG, drawn, saved
from tests.support.recordings import film, pdf, wav
from tests.support.sites import Names, Site, redirect, site, status

KEY = "0123456789abcdef0123456789abcdef01234567"
SHOWN = ImagePart(f"data:image/png;base64,{base64.b64encode(PNG).decode()}")
QUICK = Bounds(seconds=0.5)
EVERYTHING: Takes = frozenset(("url", "file", "audio"))


def ref(url: str, task: TaskId | None = 7, source: str = "photo") -> MediaRef:
    return MediaRef(source, "image", url, task)


async def one(media: Media, wanted: MediaRef, reads_urls: bool) -> Part:
    """Fetch a medium that is shown as one part."""
    ((part,),) = await media.fetch([wanted], frozenset(("url",) if reads_urls else ()))
    return part


def settings(**told: Any) -> Settings:
    return Settings(api_key="k", **told)


def fetched(
    url: str,
    reads_urls: bool = False,
    names: Names | None = None,
    host: Host | None = None,
    task: TaskId | None = 7,
    **told: Any,
) -> Part:
    """Fetch one picture with nothing but loopback around."""

    async def run() -> Part:
        media = Media(settings(**told), host, lookup=names or Names([]))
        try:
            return await one(media, ref(url, task), reads_urls)
        finally:
            await media.close()

    return asyncio.run(run())


def refusal(url: str, **told: Any) -> MediaError:
    with pytest.raises(MediaError) as caught:
        fetched(url, **told)
    return caught.value


Scene = Callable[[Site, Media], Awaitable[None]]


def play(
    pages: Mapping[str, Any], scene: Scene, names: Names | None = None, bounds: Bounds | None = None, **told: Any
) -> None:
    """Run a scene beside a server on loopback, which MEDIA_HOSTS names as files.example."""

    async def run() -> None:
        async with site(pages) as here:
            told.setdefault("media_hosts", ("files.example", "127.0.0.1"))
            media = Media(settings(**told), lookup=names or Names(["127.0.0.1"]), bounds=bounds)
            try:
                await scene(here, media)
            finally:
                await media.close()

    asyncio.run(run())


def play_refusal(pages: Mapping[str, Any], url: str, **told: Any) -> MediaError:
    """What is said about a picture at `url`, where {port} is the server's."""
    said: list[MediaError] = []

    async def scene(here: Site, media: Media) -> None:
        with pytest.raises(MediaError) as caught:
            await one(media, ref(url.format(port=here.port)), False)
        said.append(caught.value)

    play(pages, scene, **told)
    return said[0]


# Inside the task


def test_a_data_url_is_passed_on() -> None:
    assert fetched(SHOWN.url) == SHOWN


def test_a_data_url_that_is_no_picture_is_refused() -> None:
    assert "a web page" in refusal(f"data:image/png;base64,{base64.b64encode(b'<html>').decode()}").sentence


# Passed on to a provider that fetches by itself


@pytest.mark.parametrize(
    "url",
    [
        "https://photos.example.org/a.png",
        "https://photos.example.org/a%2Fb.png?X-Amz-Signature=a%2Fb%3D&x=1",
    ],
)
def test_a_public_url_passes_as_it_is_to_a_model_that_reads_urls(url: str) -> None:
    assert fetched(url, reads_urls=True) == ImagePart(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://photos.example.org/a.png", {}),
        ("https://photos.example.org:8443/a.png", {}),
        ("https://name@photos.example.org/a.png", {}),
        ("https://intranet/a.png", {}),
        ("https://nas.local/a.png", {}),
        ("https://nas.LOCAL./a.png", {}),
        ("https://metadata.google.internal/a.png", {}),
        ("https://localhost/a.png", {}),
        ("https://10.0.0.1/a.png", {}),
        ("https://[::1]/a.png", {}),
        ("https://127.1/a.png", {}),
        ("https://minio.example.org/a.png", {"media_hosts": ("minio.example.org:9000",)}),
        ("https://MINIO.example.org./a.png", {"media_hosts": ("minio.example.org",)}),
        ("https://studio.example.org/a.png", {"host": Host("https://studio.example.org", KEY)}),
        ("https://other.example.org/data/upload/1/a.png", {}),
        ("https://photos.example.org/a.png", {"image_mode": "ocr"}),
        ("https://photos.example.org/" + "a" * 9000, {}),
    ],
)
def test_whatever_is_not_plainly_public_is_fetched_by_us_under_our_rules(url: str, told: dict[str, Any]) -> None:
    error = refusal(url, reads_urls=True, names=Names(["127.0.0.1"]), **told)
    assert error.sentence.startswith('The picture "photo" (')


def test_without_such_a_model_a_public_url_is_fetched() -> None:
    names = Names(["10.0.0.1"])
    assert "leads to a private" in refusal("https://photos.example.org/a.png", names=names).sentence
    assert names.asked == ["photos.example.org"]


# Addresses that outsiders may not send us to

REFUSED = {
    "loopback": "http://127.0.0.1:{port}/a.png",
    "loopback by name": "http://localhost:{port}/a.png",
    "short": "http://127.1:{port}/a.png",
    "hexadecimal": "http://0x7f000001:{port}/a.png",
    "number": "http://2130706433:{port}/a.png",
    "octal": "http://0177.0.0.1:{port}/a.png",
    "mapped": "http://[::ffff:127.0.0.1]:{port}/a.png",
    "v6": "http://[::1]:{port}/a.png",
    "userinfo": "http://good.example@127.0.0.1:{port}/a.png",
    "userinfo with password": "http://good.example:80@127.0.0.1:{port}/a.png",
    "trailing dot": "http://127.0.0.1.:{port}/a.png",
    "upper case": "HTTP://LOCALHOST:{port}/a.png",
    "wide digits": "http://１２７.0.0.1:{port}/a.png",
    "circled digits": "http://①②⑦.0.0.1:{port}/a.png",
    "other full stops": "http://127。0。0。1:{port}/a.png",
    "percent signs": "http://%31%32%37.0.0.1:{port}/a.png",
    "backslash": "http://good.example\\@127.0.0.1:{port}/a.png",
    "line feed": "http://127.0.0.1\n:{port}/a.png",
    "unspecified": "http://0.0.0.0:{port}/a.png",
    "zero": "http://0:{port}/a.png",
    "port out of range": "http://127.0.0.1:99999/a.png",
    "no host": "http:///a.png",
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED.keys())
def test_no_spelling_of_a_private_address_is_fetched(url: str) -> None:
    async def scene(here: Site, media: Media) -> None:
        for reads_urls in (True, False):
            with pytest.raises(MediaError) as caught:
                await one(media, ref(url.format(port=here.port)), reads_urls)
            assert caught.value.lasting
        assert here.asked == []

    play({"/a.png": PNG}, scene, media_hosts=())


def test_a_host_in_media_hosts_is_fetched() -> None:
    async def scene(here: Site, media: Media) -> None:
        assert await one(media, ref(f"http://files.example:{here.port}/a.png"), True) == SHOWN
        assert await one(media, ref(f"{here.origin}/a.png"), True) == SHOWN
        assert here.authorizations == [None, None]

    play({"/a.png": PNG}, scene)


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"]]
)
def test_a_name_that_leads_inside_is_refused_and_the_cure_named(answers: list[str]) -> None:
    error = refusal("http://photos.example/a.png?token=hidden", names=Names(answers))
    assert error.lasting
    assert '"photos.example" leads to a' in error.sentence
    assert error.sentence.endswith("If it is meant, add its host to MEDIA_HOSTS.")
    assert "hidden" not in error.sentence
    assert "127.0.0.1" not in error.sentence


def test_a_name_that_answers_otherwise_after_the_check_gains_nothing() -> None:
    names = Names(["127.0.0.1"], ["10.9.9.9"])

    async def scene(here: Site, media: Media) -> None:
        assert await one(media, ref(f"http://files.example:{here.port}/a.png"), False) == SHOWN
        assert names.asked == ["files.example"]

    play({"/a.png": PNG}, scene, names)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://photos.example/a.png",
        "gopher://photos.example/",
        "javascript:alert(1)",
        "//photos.example/a.png",
        "a.png",
        "C:\\a.png",
        "unix:/run/x.sock",
    ],
)
def test_other_schemes_are_refused(url: str) -> None:
    assert "has an address that is not read" in refusal(url, reads_urls=True).sentence


@pytest.mark.parametrize(
    "url",
    [
        "/data/upload/../../api/users",
        "/data/upload/%2e%2e/secret.png",
        "/data/upload/%252e%252e/secret.png",
        "/data/upload/..\\secret.png",
        "/data/local-files/?d=../../etc/passwd",
        "/data/local-files/?d=..%2F..%2Fetc/passwd",
        "http://studio.example/data/upload/../../x",
        "https://photos.example.org/a/../b.png",
    ],
)
def test_paths_that_climb_are_refused(url: str) -> None:
    for host in (None, Host("http://studio.example", KEY)):
        assert 'a path with ".." in it' in refusal(url, host=host, reads_urls=True).sentence


# Redirects


def test_redirects_are_followed_a_few_times() -> None:
    pages = {"/1": redirect("/2"), "/2": redirect("/3", 307), "/3": redirect("/a.png", 303), "/a.png": PNG}

    async def scene(here: Site, media: Media) -> None:
        assert await one(media, ref(f"{here.origin}/1"), False) == SHOWN

    play(pages, scene)
    more = pages | {"/0": redirect("/1")}
    assert "redirected more than 3 times" in play_refusal(more, "http://127.0.0.1:{port}/0").sentence


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("http://localhost:1/a.png", "leads to a loopback address"),
        ("http://127.0.0.1:1/a.png", "is a loopback address"),
        ("http://169.254.169.254/latest/meta-data/", "is a link-local address"),
        ("http://[::ffff:10.0.0.1]/", "is a private or reserved address"),
        ("http://2130706433/", "not how a host is written"),
        ("file:///etc/passwd", "neither http nor https"),
        ("data:image/png;base64,AAAA", "neither http nor https"),
        ("http://u:p@files.example/", "a user name in it"),
        ("", "redirected to nowhere"),
        ("http://[", "redirected to nowhere"),
    ],
)
def test_each_redirect_is_checked_anew(to: str, words: str) -> None:
    error = play_refusal({"/a": redirect(to)}, "http://files.example:{port}/a", media_hosts=("files.example",))
    assert words in error.sentence
    assert error.lasting


# What comes back


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "zero bytes"), (b"<html>Log in</html>", "a web page"), (b"nonsense", "not a picture")],
)
def test_what_is_no_picture_is_refused_whatever_its_type_claims(content: bytes, words: str) -> None:
    async def claimed(request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type="image/png")

    assert words in play_refusal({"/a.png": claimed}, "http://127.0.0.1:{port}/a.png").sentence


def test_a_picture_may_claim_to_be_anything() -> None:
    async def claimed(request: web.Request) -> web.StreamResponse:
        return web.Response(body=PNG, content_type="text/html")

    async def scene(here: Site, media: Media) -> None:
        assert await one(media, ref(f"{here.origin}/a.html"), False) == SHOWN

    play({"/a.html": claimed}, scene)


def test_an_endless_body_is_cut() -> None:
    written: list[int] = []

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"\x89PNG\r\n\x1a\n" + bytes(65536))
            written.append(65536)

    error = play_refusal({"/a.png": endless}, "http://127.0.0.1:{port}/a.png", bounds=Bounds(bytes=1024 * 1024))
    assert "is over 1 MB" in error.sentence
    assert error.lasting
    assert sum(written) < 20 * 1024 * 1024


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    error = play_refusal({"/a.png": PNG + bytes(5000)}, "http://127.0.0.1:{port}/a.png", bounds=Bounds(bytes=4096))
    assert "is over 0.00391 MB" in error.sentence


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.05)


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(PNG)
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.mark.parametrize("page", [silent, dripping], ids=["silent", "dripping"])
def test_a_slow_server_is_given_up_and_may_be_asked_again(page: Any) -> None:
    error = play_refusal({"/a.png": page}, "http://127.0.0.1:{port}/a.png", bounds=QUICK)
    assert "did not arrive within 0.5 s" in error.sentence
    assert not error.lasting


@pytest.mark.parametrize(
    ("page", "lasting", "words"),
    [
        (status(401), True, "may not be read: its host answers 401"),
        (status(403), True, "may not be read: its host answers 403"),
        (status(404), True, "is not there"),
        (status(418), True, "answers 418"),
        (status(429), False, "answers 429"),
        (status(500), False, "answers 500"),
        (status(503), False, "answers 503"),
        (cut, False, "the connection failed"),
    ],
    ids=["401", "403", "404", "418", "429", "500", "503", "cut"],
)
def test_failures_say_whether_they_last(page: Any, lasting: bool, words: str) -> None:
    error = play_refusal({"/a.png": page}, "http://files.example:{port}/a.png?signature=hidden")
    assert words in error.sentence
    assert error.sentence.startswith('The picture "photo" (files.example/a.png)')
    assert error.lasting is lasting
    assert "hidden" not in error.sentence


def test_an_unknown_name_may_be_asked_again() -> None:
    error = refusal("http://nowhere.example/a.png", names=Names([]))
    assert "its host's name is not known" in error.sentence
    assert not error.lasting


# Label Studio's own


async def with_label_studio(
    pages: Mapping[str, Any], scene: Callable[[Site, Media], Awaitable[None]], folder: str = "", **told: Any
) -> None:
    """A scene beside a Label Studio whose pages want the key."""

    def guarded(page: Any) -> Any:
        async def answer(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Token {KEY}":
                return web.Response(status=401)
            return web.Response(body=page) if isinstance(page, bytes) else await page(request)

        return answer

    async with AsyncExitStack() as stack:
        studio = await stack.enter_async_context(site({path: guarded(page) for path, page in pages.items()}))
        host = Host(studio.origin + folder, KEY)
        stack.push_async_callback(host.close)
        media = Media(settings(**told), host, lookup=Names(["127.0.0.1"]))
        stack.push_async_callback(media.close)
        await scene(studio, media)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/data/upload/1/ab-my photo.png", "/data/upload/1/ab-my photo.png"),
        ("/data/upload/1/ab-my%20photo.png", "/data/upload/1/ab-my photo.png"),
        ("/data/local-files/?d=photos/a.png", "/data/local-files/"),
        ("{origin}/data/upload/1/ab-my%20photo.png", "/data/upload/1/ab-my photo.png"),
        ("{origin}/data/local-files/?d=photos/a.png", "/data/local-files/"),
        ("/tasks/7/resolve/?fileuri=czM6Ly9iL2E=", "/tasks/7/resolve/"),
        ("http://localhost:8080/data/local-files/?d=photos/a.png", "/data/local-files/"),
    ],
)
def test_media_of_label_studio_are_fetched_with_the_key(url: str, path: str) -> None:
    async def scene(studio: Site, media: Media) -> None:
        assert await one(media, ref(url.format(origin=studio.origin)), True) == SHOWN
        assert studio.authorizations == [f"Token {KEY}"]

    asyncio.run(with_label_studio({path: PNG}, scene))


@pytest.mark.parametrize("url", ["/data/upload/1/a.png", "/studio/data/upload/1/a.png"])
def test_label_studio_may_live_in_a_folder(url: str) -> None:
    async def scene(studio: Site, media: Media) -> None:
        assert await one(media, ref(url), False) == SHOWN

    asyncio.run(with_label_studio({"/studio/data/upload/1/a.png": PNG}, scene, "/studio"))


@pytest.mark.parametrize("url", ["/api/users", "/static/a.png", "{origin}/api/current-user/token", "{origin}/a.png"])
def test_other_paths_of_label_studio_are_asked_for_without_the_key(url: str) -> None:
    async def scene(studio: Site, media: Media) -> None:
        with pytest.raises(MediaError):
            await one(media, ref(url.format(origin=studio.origin)), True)
        assert studio.authorizations == [None]

    asyncio.run(with_label_studio({}, scene))


@pytest.mark.parametrize("uri", ["s3://bucket/a/b.png", "gs://bucket/ü.png", "azure-blob://box/a.png"])
def test_a_cloud_uri_is_resolved_by_label_studio_which_may_send_the_bytes(uri: str) -> None:
    async def scene(studio: Site, media: Media) -> None:
        assert await one(media, ref(uri), True) == SHOWN
        coded = studio.asked[0].partition("fileuri=")[2].replace("%3D", "=")
        assert base64.urlsafe_b64decode(coded).decode() == uri

    asyncio.run(with_label_studio({"/tasks/7/resolve/": PNG}, scene))


def test_a_cloud_uri_may_lead_to_a_signed_address_that_gets_no_key() -> None:
    async def run() -> None:
        async with site({"/bucket/a.png": PNG}) as storage:
            signed = f"http://storage.example:{storage.port}/bucket/a.png?X-Amz-Credential=a%2Fb&sig=c%3D"

            async def scene(studio: Site, media: Media) -> None:
                assert await one(media, ref("s3://bucket/a.png"), True) == SHOWN
                assert storage.authorizations == [None]
                assert storage.asked == ["/bucket/a.png?X-Amz-Credential=a%2Fb&sig=c%3D"]

            pages = {"/tasks/7/resolve/": redirect(signed, 303)}
            await with_label_studio(pages, scene, media_hosts=(f"storage.example:{storage.port}",))

    asyncio.run(run())


def test_a_signed_address_inside_is_refused_unless_its_host_is_named() -> None:
    async def scene(studio: Site, media: Media) -> None:
        with pytest.raises(MediaError, match='"minio" leads to a loopback') as caught:
            await one(media, ref("s3://bucket/a.png"), True)
        assert caught.value.sentence.startswith('The picture "photo" (s3://bucket/a.png)')
        assert "hidden" not in caught.value.sentence

    asyncio.run(with_label_studio({"/tasks/7/resolve/": redirect("http://minio:9000/a?sig=hidden")}, scene))


def test_a_foreign_host_never_gets_the_key() -> None:
    async def run() -> None:
        async with site({"/data/upload/1/a.png": PNG, "/loop": PNG}) as other:

            async def scene(studio: Site, media: Media) -> None:
                url = f"http://files.example:{other.port}/data/upload/1/a.png"
                assert await one(media, ref(url), True) == SHOWN
                assert other.authorizations == [None]
                assert studio.asked == []

            await with_label_studio({}, scene, media_hosts=("files.example",))

    asyncio.run(run())


def test_a_redirect_to_label_studio_gains_no_key() -> None:
    async def scene(studio: Site, media: Media) -> None:
        async with site({"/a.png": redirect(f"{studio.origin}/data/upload/1/a.png")}) as other:
            with pytest.raises(MediaError, match="its host answers 401"):
                await one(media, ref(f"http://files.example:{other.port}/a.png"), True)
        assert studio.authorizations == [None]

    asyncio.run(with_label_studio({"/data/upload/1/a.png": PNG}, scene, media_hosts=("files.example",)))


@pytest.mark.parametrize("code", [403, 404, 500])
def test_refusals_of_label_studio_reach_the_reader(code: int) -> None:
    async def scene(studio: Site, media: Media) -> None:
        with pytest.raises(MediaError, match="could not be fetched: Label Studio") as caught:
            await one(media, ref("/data/local-files/?d=hidden.png"), False)
        assert caught.value.lasting is (code < 500)
        assert "hidden" not in caught.value.sentence
        assert KEY not in caught.value.sentence

    asyncio.run(with_label_studio({"/data/local-files/": status(code)}, scene))


@pytest.mark.parametrize("url", ["/data/upload/1/a.png", "s3://bucket/a.png", "/tasks/7/resolve/?fileuri=a"])
def test_without_the_settings_they_are_named(url: str) -> None:
    error = refusal(url)
    assert "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY" in error.sentence
    assert not error.lasting
    assert "LABEL_STUDIO_API_KEY" in refusal(url, host=Host("http://studio.example")).sentence


def test_a_cloud_uri_outside_a_task_is_refused() -> None:
    host = Host("http://studio.example", KEY)
    assert "only for a task of Label Studio" in refusal("s3://bucket/a.png", host=host, task=None).sentence
    assert "only for a task of Label Studio" in refusal("s3://b/a.png", host=host, task="../../api").sentence


# Once


def test_a_picture_asked_for_by_many_is_fetched_once_and_kept() -> None:
    async def scene(here: Site, media: Media) -> None:
        wanted = [ref(f"{here.origin}/a.png", task) for task in range(20)]
        assert await asyncio.gather(*(one(media, each, False) for each in wanted)) == [SHOWN] * 20
        assert await one(media, wanted[0], False) == SHOWN
        assert here.asked == ["/a.png"]

    play({"/a.png": PNG}, scene)


def test_a_cloud_uri_is_resolved_for_each_task_anew() -> None:
    """Label Studio decides by the task who may see what, and which storage a bucket's name means."""

    async def scene(studio: Site, media: Media) -> None:
        for task in (7, 8, 7):
            await one(media, ref("s3://bucket/a.png", task), False)
        assert [path.partition("?")[0] for path in studio.asked] == ["/tasks/7/resolve/", "/tasks/8/resolve/"]

    asyncio.run(with_label_studio({"/tasks/7/resolve/": PNG, "/tasks/8/resolve/": PNG}, scene))


def test_who_gives_up_waiting_takes_nothing_from_the_others() -> None:
    async def scene(here: Site, media: Media) -> None:
        first = asyncio.create_task(one(media, ref(f"{here.origin}/a.png"), False))
        second = asyncio.create_task(one(media, ref(f"{here.origin}/a.png"), False))
        await asked.wait()
        first.cancel()
        go_on.set()
        assert await second == SHOWN
        assert here.asked == ["/a.png"]

    asked, go_on = asyncio.Event(), asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        asked.set()
        await go_on.wait()
        return web.Response(body=PNG)

    play({"/a.png": held}, scene)


def test_a_failure_is_not_kept() -> None:
    answers = [status(503), None]

    async def flaky(request: web.Request) -> web.StreamResponse:
        page = answers.pop(0)
        return await page(request) if page else web.Response(body=PNG)

    async def scene(here: Site, media: Media) -> None:
        with pytest.raises(MediaError):
            await one(media, ref(f"{here.origin}/a.png"), False)
        assert await one(media, ref(f"{here.origin}/a.png"), False) == SHOWN

    play({"/a.png": flaky}, scene)


def test_what_is_kept_ages_and_is_bounded() -> None:
    now = [0.0]

    async def run() -> None:
        async with site({"/a.png": PNG, "/b.png": PNG}) as here:
            bounds = Bounds(kept_bytes=len(SHOWN.url) + 10, kept_seconds=60)
            media = Media(settings(media_hosts=("127.0.0.1",)), bounds=bounds, clock=lambda: now[0])

            async def ask(*names: str) -> list[str]:
                here.asked.clear()
                for name in names:
                    await one(media, ref(f"{here.origin}/{name}.png"), False)
                return list(here.asked)

            assert await ask("a", "a") == ["/a.png"]
            assert await ask("b", "a") == ["/b.png", "/a.png"]
            now[0] = 61
            assert await ask("a", "a") == ["/a.png"]
            await media.close()

    asyncio.run(run())


def test_closing_ends_what_is_under_way() -> None:
    async def scene(here: Site, media: Media) -> None:
        waiting = asyncio.create_task(one(media, ref(f"{here.origin}/a.png"), False))
        await asked.wait()
        await media.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asked = asyncio.Event()

    async def asked_in_vain(request: web.Request) -> web.StreamResponse:
        asked.set()
        return await silent(request)

    play({"/a.png": asked_in_vain}, scene)


# Text instead of pictures


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")
def test_with_image_mode_ocr_the_text_is_read() -> None:
    pytest.importorskip("pytesseract", reason="the extra ocr is not installed")
    receipt = saved("TIFF", drawn((500, 120), "Total 42 EUR"))

    async def scene(here: Site, media: Media) -> None:
        part = await one(media, ref(f"{here.origin}/receipt.tif"), True)
        assert isinstance(part, TextPart)
        assert "Total 42" in part.text
        inside = f"data:image/tiff;base64,{base64.b64encode(receipt).decode()}"
        assert await one(media, ref(inside), True) == part

    play({"/receipt.tif": receipt}, scene, image_mode="ocr")


# Other kinds than pictures


def of(kind: Kind, url: str, source: str = "it", **told: str) -> MediaRef:
    return MediaRef(source, kind, url, 7, **told)


@pytest.mark.parametrize(
    ("content_type", "content", "text"),
    [
        ("text/csv; charset=iso-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ("text/csv", "Grüße".encode(), "Grüße"),
        ("application/octet-stream", "Grüße".encode("utf-8-sig"), "Grüße"),
    ],
)
def test_a_text_is_read_in_the_charset_that_its_host_names(content_type: str, content: bytes, text: str) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, headers={"Content-Type": content_type})

    async def scene(here: Site, media: Media) -> None:
        assert await media.fetch([of("text", f"{here.origin}/a.csv")], EVERYTHING) == [(TextPart(text),)]

    play({"/a.csv": page}, scene)


def test_a_text_of_label_studio_is_fetched_with_the_key() -> None:
    async def scene(studio: Site, media: Media) -> None:
        assert await media.fetch([of("text", "/data/upload/1/a.csv")], frozenset()) == [(TextPart("a,b"),)]
        assert studio.authorizations == [f"Token {KEY}"]

    asyncio.run(with_label_studio({"/data/upload/1/a.csv": b"a,b"}, scene))


def test_only_pictures_pass_as_urls() -> None:
    async def scene(here: Site, media: Media) -> None:
        for kind in ("pdf", "audio", "video", "text"):
            with pytest.raises(MediaError, match="its host's name is not known"):
                await media.fetch([of(kind, "https://files.example.org/a")], EVERYTHING)

    play({}, scene, names=Names([]))


def test_a_file_that_two_tags_show_is_fetched_once() -> None:
    shown = film(tone=True)

    async def scene(here: Site, media: Media) -> None:
        url = f"{here.origin}/a.mp4"
        video, sound, again = await media.fetch([of("video", url), of("audio", url), of("video", url, "b")], EVERYTHING)
        assert here.asked == ["/a.mp4"]
        assert isinstance(sound[0], AudioPart)
        assert len(video) > 2
        assert video == again

    play({"/a.mp4": shown}, scene)


def test_the_media_of_a_task_are_fetched_at_the_same_time() -> None:
    together = asyncio.Barrier(3)

    async def page(request: web.Request) -> web.StreamResponse:
        await together.wait()
        return web.Response(body=PNG)

    async def scene(here: Site, media: Media) -> None:
        refs = [of("image", f"{here.origin}/{name}.png") for name in "abc"]
        assert await media.fetch(refs, frozenset()) == [(SHOWN,)] * 3

    play({f"/{name}.png": page for name in "abc"}, scene)


def test_of_several_faults_the_first_sources_is_told() -> None:
    async def scene(here: Site, media: Media) -> None:
        refs = [of("image", f"{here.origin}/{name}", name) for name in ("a", "b")]
        with pytest.raises(MediaError, match='The picture "a"'):
            await media.fetch(refs, frozenset())

    play({}, scene)


def test_a_sound_is_not_fetched_for_a_model_that_cannot_hear() -> None:
    async def scene(here: Site, media: Media) -> None:
        ref = of("audio", f"{here.origin}/a.wav", transcript="Hello")
        assert await media.fetch([ref], frozenset()) == [(TextPart("Hello"),)]
        with pytest.raises(MediaError, match="cannot be heard by this model"):
            await media.fetch([of("audio", f"{here.origin}/a.wav")], frozenset())
        assert here.asked == []

    play({"/a.wav": wav()}, scene)


def test_each_source_of_a_document_calls_it_by_its_own_name() -> None:
    async def scene(here: Site, media: Media) -> None:
        url = f"{here.origin}/d"
        (first,), (second,) = await media.fetch([of("pdf", url, "one"), of("pdf", url, "two")], EVERYTHING)
        assert isinstance(first, FilePart)
        assert isinstance(second, FilePart)
        assert (first.name, second.name) == ("one.pdf", "two.pdf")
        assert here.asked == ["/d"]

    play({"/d": pdf("a")}, scene)


def test_a_document_with_a_name_of_its_own_is_fetched_once_whichever_source_shows_it() -> None:
    async def scene(here: Site, media: Media) -> None:
        for source in ("one", "two"):
            ((part,),) = await media.fetch([of("pdf", f"{here.origin}/d.pdf", source)], EVERYTHING)
            assert isinstance(part, FilePart)
            assert part.name == "d.pdf"
        assert here.asked == ["/d.pdf"]

    play({"/d.pdf": pdf("a")}, scene)


def test_what_a_model_takes_decides_what_is_kept() -> None:
    async def scene(here: Site, media: Media) -> None:
        ref = of("pdf", f"{here.origin}/d")
        assert isinstance((await media.fetch([ref], EVERYTHING))[0][0], FilePart)
        assert await media.fetch([ref], frozenset()) == [(TextPart("words"),)]

    play({"/d": pdf("words")}, scene)


def test_films_may_be_larger_than_pictures() -> None:
    bounds = Bounds(bytes=1000, film_bytes=100_000)

    async def scene(here: Site, media: Media) -> None:
        ((part,),) = await media.fetch([of("audio", f"{here.origin}/a.wav")], EVERYTHING)
        assert isinstance(part, AudioPart)
        with pytest.raises(MediaError, match=r"over 0\.000954 MB"):
            await media.fetch([of("image", f"{here.origin}/a.wav")], EVERYTHING)
        with pytest.raises(MediaError, match=r"over 0\.0954 MB"):
            await media.fetch([of("audio", f"{here.origin}/b.wav")], EVERYTHING)

    play({"/a.wav": wav(2.0), "/b.wav": wav(10.0)}, scene, bounds=bounds)


def test_the_media_of_one_task_are_bounded_together() -> None:
    async def scene(here: Site, media: Media) -> None:
        refs = [of("audio", f"{here.origin}/{name}.wav") for name in "ab"]
        assert len(await media.fetch(refs[:1], EVERYTHING)) == 1
        with pytest.raises(MediaError, match=r"over 0\.0143 MB in all; show fewer or smaller ones"):
            await media.fetch(refs, EVERYTHING)

    play({"/a.wav": wav(), "/b.wav": wav()}, scene, bounds=Bounds(task_bytes=15_000))


def test_the_media_of_one_task_are_bounded_in_number() -> None:
    async def scene(here: Site, media: Media) -> None:
        refs = [of("image", f"{here.origin}/a.png")] * 4
        with pytest.raises(MediaError, match="shows 4 media; at most 3 go to a model at once"):
            await media.fetch(refs, EVERYTHING)
        assert here.asked == []
        assert len(await media.fetch(refs[:3], EVERYTHING)) == 3

    play({"/a.png": PNG}, scene, bounds=Bounds(task_media=3))


@pytest.mark.parametrize("kind", ["pdf", "audio", "video", "text"])
def test_no_kind_is_fetched_from_a_private_address(kind: Kind) -> None:
    async def scene(here: Site, media: Media) -> None:
        with pytest.raises(MediaError, match="is not fetched"):
            await media.fetch([of(kind, f"{here.origin}/a")], EVERYTHING)
        assert here.asked == []

    play({"/a": PNG}, scene, media_hosts=())


def test_a_data_url_may_hold_any_kind() -> None:
    async def scene(here: Site, media: Media) -> None:
        coded = base64.b64encode(wav()).decode()
        text, sound = await media.fetch(
            [of("text", "data:text/csv;charset=latin-1,caf%E9"), of("audio", f"data:audio/wav;base64,{coded}")],
            EVERYTHING,
        )
        assert (text, sound) == ((TextPart("café"),), (AudioPart("wav", coded),))

    play({}, scene)
