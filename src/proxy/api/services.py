"""What the requests of an isolate share, built once from its settings."""

from collections.abc import Mapping

from proxy import __version__
from proxy.access.gate import Gate
from proxy.access.ring import KeyRing
from proxy.analytics.record.exporter import exporter
from proxy.analytics.record.recorder import Recorder
from proxy.api.analytics import Observatory
from proxy.batch.capacity import Capacity
from proxy.batch.run import BatchServices
from proxy.cache.answers import AnswerCache
from proxy.cache.lru import MemoryCache
from proxy.cache.purge import PurgeView
from proxy.cache.tiers import Lower, LowerTiers
from proxy.core import config as settings
from proxy.core.body_memory import BodyMemory
from proxy.core.config import Config
from proxy.core.ports import BlobStore, Ports
from proxy.limits.limiter import Limiter
from proxy.providers.catalog import Catalog
from proxy.routing.manager import Manager
from proxy.routing.market import Market
from proxy.routing.selection import Selection
from proxy.routing.watch import Watch
from proxy.serving.chat import Chat
from proxy.serving.closing import Closer
from proxy.serving.coalesce import Coalescer
from proxy.serving.embeddings import EmbeddingService
from proxy.serving.keeping import Keeper
from proxy.serving.task import TaskMaker
from proxy.serving.upstream import Upstream


class Services:
    """The rooms that a request goes through."""

    def __init__(self, env: Mapping[str, str], ports: Ports) -> None:
        """env: the Worker's vars and secrets. Raises ConfigError, or ValueError for a wrong
        catalogue."""
        self.ports = ports
        self.began = ports.clock.now()
        self.catalog = Catalog.load()
        self.config = config = settings.read(env, self.catalog.providers)
        self.exporter = exporter(
            config, __version__, ports.upstream, ports.clock, ports.random, ports.log
        )
        self.recorder = Recorder(
            ports.statistics if config.analytics else None,
            config.analytics_shards,
            ports.points if config.analytics else None,
            self.exporter,
            ports.clock,
            ports.random,
            ports.log,
        )
        self.closer = Closer(
            self.recorder, ports.log, log_prompts=config.log_prompts, profile=config.profile
        )
        self.memory = BodyMemory(config.body_memory_bytes)
        self.ring = KeyRing(ports.keys, ports.clock, ports.log)
        self.gate = Gate(config, self.ring)
        self.limiter = Limiter(config, ports)
        self.selection = Selection(self.catalog, config, ports.bindings)
        self.watch = Watch(config, ports.board, ports.clock, ports.random, ports.log)
        self.manager = Manager(config, self.selection, self.watch, ports)
        self.cache = build_cache(config, ports)
        market = Market(self.catalog, self.selection.configured)
        self.observatory = Observatory(config, ports, self.recorder, market)
        tasks = TaskMaker(
            self.selection,
            self.limiter,
            self.manager.retrying,
            config,
            ports.log if config.log_prompts else None,
        )
        self.embeddings = EmbeddingService(tasks, self.manager)
        self.chat = self._build_chat(tasks)
        capacity = Capacity.of(config, len(self.selection.configured))
        self.batch = BatchServices(self.chat, self.closer, capacity, ports)

    def _build_chat(self, tasks: TaskMaker) -> Chat:
        config, ports = self.config, self.ports
        keeper = Keeper(self.cache, config.cache_grace, ports.log)
        finish_gone = config.on_client_gone == "finish"
        upstream = Upstream(self.manager, keeper, ports.log, finish_gone=finish_gone)
        coalescer = None
        if config.cache_coalesce:
            coalescer = Coalescer(self.selection, self.manager, self.cache, keeper, ports)
        return Chat(tasks, self.cache, upstream, coalescer)


def build_cache(config: Config, ports: Ports) -> AnswerCache:
    """Builds the cache of an isolate, with the tiers that the deployment has."""
    stores: dict[Lower, BlobStore] = {}
    if ports.kv:
        stores["kv"] = ports.kv
    if ports.r2:
        stores["r2"] = ports.r2
    memory = MemoryCache(ports.clock, config.cache_memory_entries, config.cache_memory_bytes)
    lower = LowerTiers(stores, config.cache_timeout_ms / 1000, ports.clock, ports.log)
    return AnswerCache(memory, lower, PurgeView(ports.purges, ports.clock), ports.clock, ports.log)
