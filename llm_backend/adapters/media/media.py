"""How does a picture that a task names become a part of a message, each fetched once for all who ask?"""

import asyncio
import time
from collections.abc import Callable, Hashable

from yarl import URL

from llm_backend.adapters import pictures
from llm_backend.adapters.addresses import Lookup, system_lookup
from llm_backend.adapters.host import Host, HostError
from llm_backend.adapters.media.places import Own, Place, Places, Public
from llm_backend.adapters.media.shelf import Shelf
from llm_backend.adapters.media.web import Bounds, Web
from llm_backend.core.chat import ImagePart, Part, TextPart
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
        self._drawing = asyncio.Semaphore(self._bounds.drawn_at_once)
        self._shelf = Shelf(self._bounds.kept_bytes, self._bounds.kept_seconds, clock)
        self._under_way: dict[Hashable, asyncio.Task[Part]] = {}

    async def fetch(self, ref: MediaRef, reads_urls: bool) -> Part:
        """A medium as a part of a message.

        Args:
            reads_urls: Whether the model's provider fetches public https URLs itself; those then pass as they are.

        Raises:
            MediaError: It may not be fetched, could not be, or cannot be shown.
        """
        name = f'The picture "{ref.source}"' if ref.source else "The picture"
        if ref.url[:5].lower() == "data:":
            return await self._in_thread(
                lambda: self._part(pictures.from_data_url(ref.url, name, self._bounds.bytes), name)
            )
        place = self._places.of(ref, name)
        if reads_urls and not self._ocr and isinstance(place, Public) and self._places.passes(place.url):
            return ImagePart(str(place.url))
        return await self._once(place, f"{name} ({place.spoken})")

    async def close(self) -> None:
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        await self._web.close()

    async def _once(self, place: Place, name: str) -> Part:
        """One fetch for all who ask for the same thing at the same time; it outlives whoever asked first."""
        kept = self._shelf.get(place)
        if kept is not None:
            return kept
        task = self._under_way.get(place)
        if task is None:
            task = asyncio.create_task(self._bring(place, name))
            self._under_way[place] = task
            task.add_done_callback(lambda done: self._finish(place, done))
        return await asyncio.shield(task)

    def _finish(self, place: Place, done: "asyncio.Task[Part]") -> None:
        self._under_way.pop(place, None)
        if not done.cancelled() and done.exception() is None:
            self._shelf.put(place, done.result())

    async def _bring(self, place: Place, name: str) -> Part:
        async with self._fetching:
            content = await self._content(place, name)
            return await self._in_thread(lambda: self._part(pictures.recognise(content, name), name))

    async def _content(self, place: Place, name: str) -> bytes:
        try:
            async with asyncio.timeout(self._bounds.seconds):
                if isinstance(place, Public):
                    return await self._web.fetch(place.url, name)
                return await self._from_label_studio(place, name)
        except TimeoutError as exc:
            raise MediaError(f"{name} did not arrive within {self._bounds.seconds:g} s.", lasting=False) from exc

    async def _from_label_studio(self, place: Own, name: str) -> bytes:
        try:
            found = await place.host.get_or_location(place.path, self._bounds.bytes)
        except HostError as exc:
            raise MediaError(f"{name} could not be fetched: {exc.sentence}", exc.lasting) from exc
        # A signed URL of a storage: it is short-lived, so we fetch it rather than hand it on.
        return await self._web.fetch(found, name) if isinstance(found, URL) else found

    def _part(self, picture: pictures.Picture, name: str) -> Part:
        if self._ocr:
            return TextPart(pictures.read_text(picture, name))
        return ImagePart(pictures.showable(picture, name).data_url)

    async def _in_thread(self, work: Callable[[], Part]) -> Part:
        async with self._drawing:
            return await asyncio.to_thread(work)
