"""The parts of one isolate, built once from the settings."""

from collections.abc import Mapping

from proxy import __version__
from proxy.access.gate import Gate
from proxy.access.ring import KeyRing
from proxy.analytics.record.exporter import exporter
from proxy.analytics.record.recorder import Recorder
from proxy.api.analytics import Observatory
from proxy.batch.capacity import Room
from proxy.core import config as settings
from proxy.core.body_memory import BodyMemory
from proxy.core.ports import Ports
from proxy.limits.limiter import Limiter
from proxy.providers.catalog import Catalog
from proxy.routing.manager import Manager
from proxy.routing.market import Market
from proxy.routing.selection import Selection
from proxy.routing.watch import Watch
from proxy.serving.chat import Chat, build_cache


class Parts:
    """What an isolate's requests go through."""

    def __init__(self, env: Mapping[str, str], ports: Ports) -> None:
        """env: the Worker's vars and secrets. Raises ConfigError, or ValueError for a wrong
        catalogue."""
        self.ports = ports
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
        self.memory = BodyMemory(config.body_memory_bytes)
        self.ring = KeyRing(ports.keys, ports.clock, ports.log)
        self.gate = Gate(self.config, self.ring)
        self.limiter = Limiter(self.config, ports)
        self.selection = Selection(self.catalog, self.config, ports.bindings)
        self.watch = Watch(self.config, ports.board, ports.clock, ports.random, ports.log)
        self.manager = Manager(self.config, self.selection, self.watch, ports)
        self.cache = build_cache(self.config, ports)
        market = Market(self.catalog, self.selection.configured)
        self.observatory = Observatory(config, ports, self.recorder, market)
        self.room = Room.of(config, len(self.selection.configured))
        self.began = ports.clock.now()
        self.chat = Chat(
            self.config,
            self.selection,
            self.manager,
            self.cache,
            self.limiter,
            ports,
        )
