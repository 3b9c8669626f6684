"""How do the media of a task become parts of a message, each fetched once for all who ask?"""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence

from yarl import URL

from llm_backend.adapters.addresses import Lookup, system_lookup
from llm_backend.adapters.data_urls import content_of
from llm_backend.adapters.host import Host, HostError, megabytes
from llm_backend.adapters.media.places import Own, Place, Places, Public
from llm_backend.adapters.media.shelf import Shelf, size_of
from llm_backend.adapters.media.web import Body, Bounds, Web
from llm_backend.adapters.showing import Showing, file_name, named, words_of
from llm_backend.core.chat import ImagePart, Part, Takes
from llm_backend.core.inputs import MediaRef
from llm_backend.errors import MediaError
from llm_backend.settings import Settings


class Media:
    """Brings in the media that tasks show; `fetch` is the core's `Fetch`."""

    def __init__(
        self,
        settings: Settings,
        host: Host | None = None,
        *,
        lookup: Lookup = system_lookup,
        bounds: Bounds | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is opened before the first fetch.

        Args:
            host: Label Studio, where LABEL_STUDIO_URL is set. Whoever made it closes it.
        """
        self._ocr = settings.image_mode == "ocr"
        self._bounds = bounds or Bounds()
        own = {f"{host.url.raw_host}:{host.url.port}"} if host else set()
        allowed = frozenset(settings.media_hosts) | own
        self._places = Places(host, allowed)
        self._web = Web(allowed, lookup, self._bounds)
        self._fetching = asyncio.Semaphore(self._bounds.at_once)
        self._filming = asyncio.Semaphore(max(1, self._bounds.at_once // 4))
        self._showing = Showing(self._ocr, self._bounds.drawn_at_once)
        self._shelf = Shelf(self._bounds.kept_bytes, self._bounds.kept_seconds, clock)
        self._under_way: dict[Hashable, asyncio.Task[tuple[Part, ...]]] = {}
        self._arriving: dict[Hashable, asyncio.Task[Body]] = {}

    async def fetch(self, refs: Sequence[MediaRef], takes: Takes) -> list[tuple[Part, ...]]:
        """The media of a task, each as parts of a message, all brought in at the same time.

        Args:
            takes: What the model takes. If it fetches public https URLs itself, those of pictures pass as they are.

        Raises:
            MediaError: One may not be fetched, could not be, or cannot be shown; or there are too many, or too much.
        """
        if len(refs) > self._bounds.task_media:
            raise MediaError(
                f"This task shows {len(refs)} media; at most {self._bounds.task_media} go to a model at once."
            )
        found = await asyncio.gather(*(self._fetch(ref, takes) for ref in refs), return_exceptions=True)
        for result in found:
            if isinstance(result, BaseException):
                raise result
        brought = [parts for parts in found if not isinstance(parts, BaseException)]
        if sum(map(size_of, brought)) > self._bounds.task_bytes:
            most = megabytes(self._bounds.task_bytes)
            raise MediaError(f"The media of this task are over {most} in all; show fewer or smaller ones.")
        return brought

    async def close(self) -> None:
        going = [*self._under_way.values(), *self._arriving.values()]
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        await self._web.close()

    async def _fetch(self, ref: MediaRef, takes: Takes) -> tuple[Part, ...]:
        name = named(ref)
        if ref.kind == "audio" and "audio" not in takes:
            return words_of(ref, name)
        if ref.url[:5].lower() == "data:":
            content, charset = content_of(ref.url, name, self._bounds.bytes)
            return await self._showing.parts(content, charset, ref, takes, name)
        place = self._places.of(ref, name)
        may_pass = ref.kind == "image" and "url" in takes and not self._ocr
        if may_pass and isinstance(place, Public) and self._places.passes(place.url):
            return (ImagePart(str(place.url)),)
        return await self._once(place, ref, takes, f"{name} ({place.spoken})")

    async def _once(self, place: Place, ref: MediaRef, takes: Takes, name: str) -> tuple[Part, ...]:
        """One fetch for all who ask for the same thing at the same time; it outlives whoever asked first."""
        # A document may be called by its source, and a sound carries its transcript along.
        key = (place, ref.kind, "file" in takes, file_name(ref) if ref.kind == "pdf" else "", ref.transcript)
        kept = self._shelf.get(key)
        if kept is not None:
            return kept
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._bring(place, ref, takes, name))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)

    def _finish(self, key: Hashable, done: "asyncio.Task[tuple[Part, ...]]") -> None:
        self._under_way.pop(key, None)
        if not done.cancelled() and done.exception() is None:
            self._shelf.put(key, done.result())

    async def _bring(self, place: Place, ref: MediaRef, takes: Takes, name: str) -> tuple[Part, ...]:
        film = ref.kind in ("audio", "video")
        # Held until it is shown, so that no more arrives than can be drawn.
        async with self._filming if film else self._fetching:
            body = await self._arrival(place, film, name)
            return await self._showing.parts(body.content, body.charset, ref, takes, name)

    async def _arrival(self, place: Place, film: bool, name: str) -> Body:
        """A file, fetched once for all tags that show it: a film is often played as a sound, too."""
        key = (place, film)
        task = self._arriving.get(key)
        if task is None:
            task = self._arriving[key] = asyncio.create_task(self._content(place, film, name))
            task.add_done_callback(lambda done: self._arriving.pop(key, None))
        return await asyncio.shield(task)

    async def _content(self, place: Place, film: bool, name: str) -> Body:
        limit = self._bounds.film_bytes if film else self._bounds.bytes
        seconds = self._bounds.film_seconds if film else self._bounds.seconds
        try:
            async with asyncio.timeout(seconds):
                if isinstance(place, Public):
                    return await self._web.fetch(place.url, name, limit)
                return await self._from_label_studio(place, name, limit)
        except TimeoutError as exc:
            raise MediaError(f"{name} did not arrive within {seconds:g} s.", lasting=False) from exc

    async def _from_label_studio(self, place: Own, name: str, limit: int) -> Body:
        try:
            found = await place.host.get_or_location(place.path, limit)
        except HostError as exc:
            raise MediaError(f"{name} could not be fetched: {exc.sentence}", exc.lasting) from exc
        # A signed URL of a storage: it is short-lived, so we fetch it rather than hand it on.
        return await self._web.fetch(found, name, limit) if isinstance(found, URL) else Body(found)
