"""What is opened once and handed to every door: settings, models, media, store, the event loop, the backend."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

from llm_backend.adapters.host import Host
from llm_backend.adapters.limits import Limits, Spent
from llm_backend.adapters.media import Media
from llm_backend.adapters.providers import Endpoint, Observer, connect
from llm_backend.adapters.runs import Engine
from llm_backend.adapters.runs.local import LocalEngine
from llm_backend.adapters.runs.rq import Headcount, Hearing, Pace, RqEngine, RqWorker, Spending
from llm_backend.adapters.store import Store
from llm_backend.adapters.store.redis import RedisStore
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.backend import Asker, Backend, Pools, Projects, Watch
from llm_backend.backend.pushing import Pushing, Targets
from llm_backend.core.chat import LLM
from llm_backend.core.labeling import parse
from llm_backend.core.overrides import ProviderOverride
from llm_backend.core.predictor import Parameters, Plan, make_plan
from llm_backend.core.prompts import Template, Texts
from llm_backend.core.run import UNFINISHED
from llm_backend.errors import RequestError, SettingsError
from llm_backend.loop import Loop
from llm_backend.settings import Settings

log = logging.getLogger(__name__)

_FOR_EVER = 36_500.0
_NO_LIMIT = 2**53


class Counts(Observer, Watch, Protocol):
    """Whoever counts what goes on, if anybody does."""


class _Closing(Protocol):
    async def close(self) -> None: ...


class Connections:
    """The server's own model, and those that projects brought along; each is connected once and kept."""

    def __init__(
        self,
        settings: Settings,
        own: LLM | None = None,
        observer: Observer | None = None,
        processes: Callable[[], int] = lambda: 1,
        spent: Spent | None = None,
        most: int = 32,
    ) -> None:
        """
        Args:
            own: The server's model, where it is not the one of the settings (a demo's stand-in, a test's script).
            observer: Told of every request to a provider.
            processes: How many processes share the places for calls and the provider's rate now.
            spent: Is told what interactive calls take of the known rates, in requests and tokens.
            most: Projects' own connections kept; the one longest unused gives way, and ends with its last call.
        """
        self._settings = settings
        self._limits = Limits(
            settings.llm_concurrency, rpm=settings.rpm, tpm=settings.tpm, processes=processes, spent=spent
        )
        self._observer = observer
        self._own = own or self._connect(Endpoint.from_settings(settings))
        self._others: OrderedDict[ProviderOverride, LLM] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    @property
    def window(self) -> int:
        """How many tasks to ask at once: a few more than this process has places, so that the next are ready."""
        return self._limits.share + self._limits.share // 4 + 1

    def spent_elsewhere(self, requests: int, tokens: float) -> None:
        """Another process took this of the known rates. Called on the event loop."""
        self._limits.spent_elsewhere(requests, tokens)

    def llm(self, override: ProviderOverride | None) -> LLM:
        """The model that carries a project's chat.

        Raises:
            RequestError: The project's own provider cannot be set up.
        """
        if override is None:
            return self._own
        with self._lock:
            if override not in self._others:
                self._others[override] = self._connect_other(override)
                if len(self._others) > self._most:
                    self._others.popitem(last=False)
            self._others.move_to_end(override)
            return self._others[override]

    def _connect_other(self, override: ProviderOverride) -> LLM:
        try:
            return self._connect(Endpoint.from_override(override, self._settings.model))
        except SettingsError as exc:
            raise RequestError(f'The extra parameter "provider" cannot be used: {exc.sentence}') from exc

    def _connect(self, endpoint: Endpoint) -> LLM:
        return connect(endpoint, self._settings, self._limits, observer=self._observer)

    async def close(self) -> None:
        for llm in (self._own, *self._others.values()):
            if (close := getattr(llm, "close", None)) is not None:
                await close()


@dataclass(frozen=True)
class Services:
    """Everything that a door needs."""

    settings: Settings
    backend: Backend
    store: Store
    connections: Connections
    loop: Loop
    closing: tuple[_Closing, ...] = ()

    def workers_counts(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """What worker processes counted, and what is under way in them; nothing where there can be none.

        Raises:
            StoreError: It cannot be read now.
        """
        return self.store.counts() if isinstance(self.store, RedisStore) else ({}, {})

    def close(self) -> None:
        """Let go of everything, the engine first: it uses all the rest."""
        _let_go(self.loop, (*self.closing, self.connections), self.store)


def open_services(
    settings: Settings,
    llm: LLM | None = None,
    counts: Counts | None = None,
    store: Store | None = None,
    *,
    apart: bool = False,
) -> Services:
    """Open all that the settings ask for.

    Args:
        llm: Carries the chat in the place of the configured provider.
        counts: Told of calls and tasks.
        store: Remembers in the place of the one that the settings name.
        apart: Whether a task's near-duplicates never go along with its question as examples.
    Raises:
        SettingsError: The data folder cannot be used, or a provider cannot be set up.
    """
    embedded = store is not None or not settings.redis_url
    spending = None if embedded else Spending(settings.redis_url)
    connections = Connections(settings, llm, counts, spent=spending.spent if spending else None)
    store = store or _open_store(settings)
    asking = _open_asking(settings, store, connections, counts, apart=apart)
    engine: Engine
    if embedded:
        engine = LocalEngine(store, asking.asker.ask, connections.window)
    else:
        engine = RqEngine(settings.redis_url, store, _pace(settings))
    targets = Targets(store, asking.host, settings.media_hosts)
    pushing = Pushing(store, targets)
    projects, fetch, pools = asking.projects, asking.media.fetch, asking.pools
    backend = Backend(settings, store, connections, projects, engine, pushing, fetch, pools, counts)
    loop = Loop()
    loop.run(_recover(engine, backend))
    closing = (backend.learning, engine, pushing, targets, *asking.closing, *((spending,) if spending else ()))
    return Services(settings, backend, store, connections, loop, closing)


@dataclass(frozen=True)
class WorkerServices:
    """Everything that a worker process needs."""

    worker: RqWorker
    store: RedisStore
    connections: Connections
    loop: Loop
    closing: tuple[_Closing, ...] = ()

    def close(self) -> None:
        """Let go of everything."""
        _let_go(self.loop, (*self.closing, self.connections), self.store)


def open_worker(settings: Settings, llm: LLM | None = None, counts: Counts | None = None) -> WorkerServices:
    """Open what one of the processes needs that share a Redis and work on its runs.

    Raises:
        SettingsError: Redis cannot be reached, or a provider cannot be set up.
    """
    headcount = Headcount()
    connections = Connections(settings, llm, counts, headcount)
    store = _open_redis(settings)
    asking = _open_asking(settings, store, connections, counts)
    hearing = Hearing(settings.redis_url, connections.spent_elsewhere)
    ask, pace = asking.asker.ask, _pace(settings)
    worker = RqWorker(settings.redis_url, store, ask, lambda: connections.window, headcount=headcount, pace=pace)
    loop = Loop()
    if settings.rpm or settings.tpm:
        loop.run(hearing.listen())
    return WorkerServices(worker, store, connections, loop, (hearing, *asking.closing))


@dataclass(frozen=True)
class _Asking:
    """What asks for the tasks of runs, in a server as in a worker, and what that fetches through."""

    asker: Asker
    projects: Projects
    pools: Pools
    media: Media
    host: Host | None

    @property
    def closing(self) -> tuple[_Closing, ...]:
        return (self.media, *((self.host,) if self.host else ()))


def _open_asking(
    settings: Settings, store: Store, connections: Connections, counts: Counts | None, *, apart: bool = False
) -> _Asking:
    host = Host(settings.label_studio_url, settings.label_studio_api_key) if settings.label_studio_url else None
    media = Media(settings, host)
    projects = Projects(settings, store, connections, texts())
    pools = Pools(store, apart=apart)
    return _Asking(Asker(settings, projects, media.fetch, pools, counts), projects, pools, media, host)


def _let_go(loop: Loop, parts: Iterable[_Closing], store: Store) -> None:
    """Close the parts in their order, on their loop, then the loop and what everything is remembered in."""
    for part in parts:
        loop.run(part.close())
    loop.close()
    store.close()


def _pace(settings: Settings) -> Pace:
    """Runs go so far ahead that all places can be taken by one run, whatever their number."""
    return Pace(ahead=max(Pace().ahead, 3 * settings.llm_concurrency))


def _open_store(settings: Settings) -> Store:
    if settings.redis_url:
        return _open_redis(settings)
    try:
        return SqliteStore(settings.data_path, keep_days=settings.keep_results_days)
    except SettingsError as exc:
        raise SettingsError(f"DATA_DIR: {exc.sentence}") from exc


def _open_redis(settings: Settings) -> RedisStore:
    return RedisStore(settings.redis_url, keep_days=settings.keep_results_days)


def open_for_dataset(
    settings: Settings, folder: Path, llm: LLM | None = None, counts: Counts | None = None, *, apart: bool = False
) -> Services:
    """Open what labels a dataset by itself: beside no server, with a memory of its own that lets nothing go.

    Runs that an earlier process left there are not taken up: what they were to ask may not be wanted any more. Their
    answers are kept.

    Args:
        folder: Takes the memory; one process at a time uses it.
        llm: Carries the chat in the place of the configured provider.
        counts: Told of calls and tasks.
        apart: As in `open_services`.
    Raises:
        SettingsError: The folder cannot be used, or the provider cannot be set up.
    """
    store = SqliteStore(folder, keep_days=_FOR_EVER, keep_most=_NO_LIMIT, runs_most=_NO_LIMIT)
    try:
        for run in store.runs(UNFINISHED, most=_NO_LIMIT):
            store.set_run_state(run.id, "cancelled", only=UNFINISHED)
        return open_services(settings, llm, counts, store, apart=apart)
    except BaseException:  # Ctrl-C, too: nobody has this store yet who would close it
        store.close()
        raise


async def _recover(engine: Engine, backend: Backend) -> None:
    await engine.recover()
    backend.recover()


def texts() -> Texts:
    """The words of the files under `prompts/`."""
    folder = resources.files("llm_backend.prompts")
    names = ("form", "answer", "instruction", "schema", "repair")
    return Texts(**{name: (folder / f"{name}.txt").read_text(encoding="utf-8") for name in names})


def plan_to_read(label_config: str, prompt_prefix: str) -> Plan:
    """A plan by which answers are read that were given before, geometry among them; nothing is asked by it.

    Raises:
        LabelingError: The labeling config cannot work.
    """
    settings = Settings()
    template = Template(settings.use_internal_prompt_template, settings.prompt_template)
    return make_plan(parse(label_config, prompt_prefix), texts(), template, Parameters(fill_geometry=True))


def criteria() -> dict[str, str]:
    """The judges' criteria under `prompts/judge/`, by name."""
    folder = resources.files("llm_backend.prompts") / "judge"
    return {file.name.removesuffix(".txt"): file.read_text(encoding="utf-8") for file in folder.iterdir()}


def refining() -> str:
    """The words that ask for a better prompt."""
    return (resources.files("llm_backend.prompts") / "refine.txt").read_text(encoding="utf-8")
