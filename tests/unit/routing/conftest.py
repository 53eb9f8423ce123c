"""The small catalogue of `making`, read with its keys."""

import pytest

from proxy.core.settings import RoutingSettings, read_settings
from proxy.providers.catalog import Catalog
from proxy.routing.manager import Manager
from proxy.routing.selection import Selection
from tests.unit.doubles import Answerer, ports
from tests.unit.routing.making import ENV, Build, made_catalog, manager_of


@pytest.fixture
def catalog() -> Catalog:
    return made_catalog()


@pytest.fixture
def settings(catalog: Catalog) -> RoutingSettings:
    return read_settings(ENV, catalog.providers).routing


@pytest.fixture
def selection(catalog: Catalog, settings: RoutingSettings) -> Selection:
    return Selection(catalog, settings, frozenset())


@pytest.fixture
def build(catalog: Catalog, settings: RoutingSettings) -> Build:
    """Makes managers on the small catalogue, with other settings where these are given."""

    def manager(answer: Answerer, **env: str) -> Manager:
        changed = read_settings(ENV | env, catalog.providers).routing if env else settings
        selection = Selection(catalog, changed, frozenset())
        return manager_of(changed, selection, ports(answer))

    return manager
