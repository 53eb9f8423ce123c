"""A catalogue of many providers that are alike but for their prices."""

import msgspec

from proxy.core.ports import Ports
from proxy.core.settings import read_settings
from proxy.providers.catalog import Catalog
from proxy.routing.manager import Manager
from proxy.routing.selection import Selection
from tests.unit.doubles import ManualClock, ports
from tests.unit.routing.making import manager_of, whole


def list_names(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


def make_catalog(count: int) -> Catalog:
    """So many providers p0, p1, …, each with the models `m`, which is all its tiers, and `x`."""
    names = list_names(count)
    tiers = {"auto": "m", "fast": "m"}
    providers = {
        name: {"endpoints": {"chat": {}}, "base_url": f"https://{name}.test/v1", "tiers": tiers}
        for name in names
    }
    models = [
        {"provider": name, "id": model, "input": 1 + number, "output": 2}
        for number, name in enumerate(names)
        for model in ("m", "x")
    ]
    return Catalog(msgspec.json.encode({"providers": providers, "models": models, "aliases": {}}))


def make_manager(count: int, strategy: str) -> Manager:
    """Routes among so many, all of which answer at once."""
    catalog, names = make_catalog(count), list_names(count)
    env = {"FALLBACK_CHAIN": ",".join(names), "ROUTING_STRATEGY": strategy}
    env |= {f"{name.upper()}_API_KEY": f"key-of-{name}" for name in names}
    settings = read_settings(env, catalog.providers).routing
    outside: Ports = ports(lambda _: whole("hi"), clock=ManualClock())
    return manager_of(settings, Selection(catalog, settings, frozenset()), outside)
