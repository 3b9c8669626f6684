"""In which Label Studio does a project live, and whose token opens it?"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from llm_backend.adapters.host import Guest, Host, HostError
from llm_backend.adapters.host.predictions import created_at
from llm_backend.adapters.store import Project
from llm_backend.backend.push import Target, in_vain
from llm_backend.core.wire import project_key

# What was found about a project at a host stands so long (seconds): tokens and rights are mended by people.
_FINDING_STANDS = 600.0
_MOST_GUESTS = 32


class Projects(Protocol):
    """What of the store is needed here."""

    def project(self, key: str) -> Project: ...


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a host said when it was asked for a project, and until when that stands."""

    found: Target | HostError
    ends: float


class Targets:
    """Finds the Label Studio in which a project lives, and whose token opens it.

    That is LABEL_STUDIO_URL with the operator's key; else the hostname of /setup with the token of that /setup. Each
    is asked once for the project, which must be the very one: ids repeat from one Label Studio to the next.
    """

    def __init__(
        self,
        store: Projects,
        own: Host | None = None,
        allowed: Collection[str] = (),
        *,
        guest: Callable[[str, str, Collection[str]], Host] = Guest,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            own: Label Studio at LABEL_STUDIO_URL. Whoever made it closes it.
            allowed: Hosts of /setup, alone or as host:port, that may be private.
            guest: Makes a host of /setup's hostname and token.
        """
        self._store = store
        self._own = own if own and own.has_key else None
        self._allowed = frozenset(allowed) | ({f"{own.url.raw_host}:{own.url.port}"} if own else set())
        self._guest = guest
        self._clock = clock
        self._guests: OrderedDict[tuple[str, str], Host] = OrderedDict()
        self._findings: dict[tuple[Host, str], _Finding] = {}

    async def find(self, project: str) -> Target:
        """Where to store the project's predictions.

        Args:
            project: The whole key, as the host sends it.

        Raises:
            HostError: There is nowhere, and why; or it cannot be asked now.
        """
        refusal = None
        if self._own:
            try:
                return await self._ask(self._own, project)
            except HostError as exc:
                if not in_vain(exc):
                    raise
                refusal = exc
        try:
            return await self._ask(await self._of_setup(project), project)
        except HostError as exc:
            raise (refusal if refusal and in_vain(exc) else exc) from exc

    async def close(self) -> None:
        for host in self._guests.values():
            await host.close()

    async def _of_setup(self, project: str) -> Host:
        known = await asyncio.to_thread(self._store.project, project)
        if not known.hostname or not known.access_token:
            raise HostError("To push predictions, set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.", lasting=True)
        key = (known.hostname, known.access_token)
        if key not in self._guests:
            self._guests[key] = self._guest(*key, self._allowed)
        self._guests.move_to_end(key)
        if len(self._guests) > _MOST_GUESTS:
            gone = self._guests.popitem(last=False)[1]
            self._findings = {asked: told for asked, told in self._findings.items() if asked[0] is not gone}
            await gone.close()
        return self._guests[key]

    async def _ask(self, host: Host, project: str) -> Target:
        """Look for the project there; an answer that would be the same in a moment is remembered for a while."""
        told = self._findings.get((host, project))
        if told is None or self._clock() >= told.ends:
            told = _Finding(await _look(host, project), self._clock() + _FINDING_STANDS)
            self._findings[host, project] = told
        if isinstance(told.found, HostError):
            raise HostError(told.found.sentence, told.found.lasting, told.found.answered)
        return told.found


async def _look(host: Host, project: str) -> Target | HostError:
    """The project at this host, or why it is not to be had there.

    Raises:
        HostError: The host cannot be asked now.
    """
    ident = project.partition(".")[0]
    if not ident.isdecimal():
        return HostError("The project's key does not begin with a number, so it cannot be found.", lasting=True)
    try:
        made = await created_at(host, int(ident))
    except HostError as exc:
        if in_vain(exc):
            return exc
        raise
    if project_key({"id": int(ident), "created_at": made}) != project:
        return HostError(f"{host.url.origin()} has another project {ident} than the one that asks us.", lasting=True)
    return Target(host, int(ident))
