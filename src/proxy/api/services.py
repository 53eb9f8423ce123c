"""What the requests of an isolate share, built once from its settings."""

from collections.abc import Mapping

from proxy import __version__
from proxy.access.authenticator import Authenticator
from proxy.access.key_cache import KeyCache
from proxy.access.sign_in import SignIn
from proxy.access.tickets import Tickets
from proxy.aliases.view import AliasView
from proxy.analytics.query.reader import StatisticsReader
from proxy.analytics.record.exporter import Exporter
from proxy.analytics.record.metric_exporter import MetricExporter
from proxy.analytics.record.recorder import Recorder
from proxy.batch.capacity import Capacity
from proxy.batch.run import BatchServices
from proxy.cache.answers import AnswerCache
from proxy.cache.lru import MemoryCache
from proxy.cache.purge import PurgeView
from proxy.cache.tiers import LowerTiers
from proxy.core.body_memory import BodyMemory
from proxy.core.ports import Ports
from proxy.core.settings import CacheSettings, Given, SettingsError, read_settings
from proxy.limits.limiter import Limiter
from proxy.limits.readings import Readings
from proxy.privacy.body_log import BodyLog
from proxy.privacy.findings import Detector
from proxy.privacy.kinds import KINDS
from proxy.providers.catalog import Catalog
from proxy.responses.store import ResponseStore
from proxy.routing.board_reader import BoardReader
from proxy.routing.manager import Manager
from proxy.routing.market import CatalogMarket
from proxy.routing.passage import Passage
from proxy.routing.selection import Selection
from proxy.routing.watch import Watch
from proxy.serving.aliasing import Aliasing
from proxy.serving.chat import Chat
from proxy.serving.closing import Closer
from proxy.serving.coalesce import Coalescer
from proxy.serving.embeddings import EmbeddingService
from proxy.serving.guarding import make_guard
from proxy.serving.keeping import Keeper
from proxy.serving.noting import Notes
from proxy.serving.origin import Origin
from proxy.serving.passthrough import Passthrough
from proxy.serving.task import TaskMaker


class Services:
    """The rooms that a request goes through."""

    def __init__(
        self, env: Mapping[str, str], ports: Ports, stored: frozenset[str] = frozenset()
    ) -> None:
        """env: the Worker's vars and secrets; stored: the names of those of the Secrets Store.
        Raises SettingsError, or ValueError for a wrong catalogue."""
        self.ports = ports
        self.given = Given(env, stored)
        self.began = ports.clock.now()
        catalog = Catalog.load()
        self.settings = settings = read_settings(env, catalog.providers)
        self.catalog = catalog.extend(settings.routing.own_models)
        server = settings.server
        self.exporter, metrics = self._build_exporters()
        self.recorder = Recorder(settings.analytics, ports, self.exporter, metrics)
        self.reader = StatisticsReader(settings.analytics, ports, self.recorder)
        self.bodies, self.notes = self._build_bodies()
        self.closer = Closer(self.recorder, ports.log, self.notes, log_prompts=server.log_prompts)
        self.memory = BodyMemory(server.body_memory_bytes)
        self.key_cache = KeyCache(ports.objects, ports.clock, ports.log)
        self.authenticator = self._build_authenticator()
        self.limiter, self.readings = Limiter(settings.limits, ports), Readings(ports.clock)
        self.selection = Selection(self.catalog, settings.routing, ports.bindings, ports.clock)
        self.watch = Watch(settings.routing, ports.objects, ports.clock, ports.random, ports.log)
        self.manager = Manager(settings.routing, self.selection, self.watch, ports)
        kept = ResponseStore(ports.objects, ports.clock, ports.log)
        self.responses = kept if settings.responses.is_kept else None
        self.cache = build_cache(settings.cache, ports)
        self.market = CatalogMarket(self.selection)
        self.board = BoardReader(ports.objects, ports.clock, ports.log)
        self.guard = make_guard(settings.privacy)
        self.tasks = tasks = self._build_tasks()
        self.aliases = AliasView(ports.objects, ports.clock, ports.log)
        self.aliasing = Aliasing(self.aliases, self.selection)
        self.passthrough = self._build_passthrough(tasks)
        self.embeddings = EmbeddingService(tasks, self.manager, self.aliasing)
        self.chat = self._build_chat(tasks)
        capacity = Capacity.of(settings, len(self.selection.deployment.configured))
        self.batch = BatchServices(
            self.chat, self.aliasing, self.closer, capacity, ports, self.guard, self.notes
        )

    def _build_authenticator(self) -> Authenticator:
        access = self.settings.access
        sign_in = SignIn(access, self.ports) if access.roles else None
        return Authenticator(access, self.key_cache, sign_in)

    def _build_exporters(self) -> tuple[Exporter | None, MetricExporter | None]:
        """Those of traces and of metrics."""
        settings = self.settings
        if not settings.traces.endpoint:
            return None, None
        resource = {
            "service.version": __version__,
            "deployment.environment.name": settings.access.environment,
        }
        metrics = None
        if settings.traces.metrics == "otlp":
            listed = self.catalog.models.keys()
            metrics = MetricExporter(settings.traces, resource, self.ports, listed)
        return Exporter(settings.traces, resource, self.ports), metrics

    def _build_bodies(self) -> tuple[BodyLog | None, Notes | None]:
        """The body log where there is a place for it, and what fills it where it is on."""
        settings, ports = self.settings.body_log, self.ports
        if ports.r2 is None:
            if settings.enabled:
                raise SettingsError("BODY_LOG needs the R2 bucket that is bound as CACHE_R2.")
            return None, None
        detector = Detector(tuple(KINDS), self.settings.privacy.patterns)
        limits = settings.ttl, settings.most_bytes
        bodies = BodyLog(ports.r2, detector, ports.clock, ports.random, limits)
        notes = Notes(bodies, self.settings.routing.secrets, ports.log)
        return bodies, notes if settings.enabled else None

    def _build_tasks(self) -> TaskMaker:
        prompts = self.ports.log if self.settings.server.log_prompts else None
        retrying, cache = self.manager.retry_policy, self.settings.cache
        tasks = TaskMaker(self.selection, self.limiter, retrying, cache, prompts)
        tasks.guard = self.guard
        return tasks

    def _build_passthrough(self, tasks: TaskMaker) -> Passthrough:
        settings, ports = self.settings, self.ports
        passage = Passage(self.selection, self.watch, ports, settings.routing.timeout_ms)
        # What lets callers in is part of it: where that changes, no ticket of before is taken.
        tickets = Tickets("\n".join([*settings.routing.secrets, repr(settings.access.roles)]))
        return Passthrough(tasks, passage, settings.server, tickets, self.aliasing)

    def _build_chat(self, tasks: TaskMaker) -> Chat:
        settings, ports = self.settings, self.ports
        keeper = Keeper(self.cache, settings.cache.grace, ports.log)
        finish_gone = settings.server.on_client_gone == "finish"
        origin = Origin(self.manager, keeper, ports.log, finish_gone=finish_gone)
        coalescer = None
        if settings.cache.coalesce:
            coalescer = Coalescer(self.selection, self.manager, self.cache, keeper, ports)
        return Chat(tasks, self.cache, origin, coalescer, self.aliasing)


def build_cache(settings: CacheSettings, ports: Ports) -> AnswerCache:
    """Builds the cache of an isolate, with the tiers that the deployment has."""
    memory = MemoryCache(ports.clock, settings.memory_entries, settings.memory_bytes)
    lower = LowerTiers(ports.kv, ports.r2, settings.timeout_ms / 1000, ports.clock, ports.log)
    return AnswerCache(memory, lower, PurgeView(ports.objects, ports.clock), ports.clock, ports.log)
