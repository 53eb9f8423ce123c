"""A small catalogue whose every price and ability is known to the tests."""

import msgspec
import pytest

from proxy.core.settings import RoutingSettings, read_settings
from proxy.providers.catalog import Catalog
from proxy.routing.selection import Selection

CATALOG = {
    "providers": {
        "gemini": {
            "dialect": "gemini",
            "base_url": "https://gemini.test/v1beta",
            "fetches_images": False,
            "tiers": {"auto": "flash", "vision": "flash", "smart": "pro"},
            "embedding_model": "embed-g",
        },
        "groq": {
            "dialect": "openai",
            "base_url": "https://groq.test/v1",
            "tiers": {"auto": "llama", "fast": "llama", "smart": "oss", "vision": "scout"},
        },
        "openai": {
            "dialect": "openai",
            "base_url": "https://openai.test/v1",
            "tiers": {"auto": "gpt", "smart": "gpt-big", "vision": "gpt"},
            "embedding_model": "embed-o",
        },
        "openrouter": {
            "dialect": "openai",
            "base_url": "https://openrouter.test/v1",
            "tiers": {"auto": "vendor/gpt"},
            "embedding_model": "embed-o",
            "vendors": True,
            "embedding_inputs": 3,
        },
        "local": {"dialect": "openai", "keyless": True, "tiers": {"auto": "small"}},
        "workers-ai": {"dialect": "workers-ai", "keyless": True, "tiers": {"auto": "@cf/m"}},
    },
    "models": [
        {"provider": "gemini", "id": "flash", "can": ["vision", "tools", "json"]},
        {"provider": "gemini", "id": "pro", "can": ["vision", "tools", "json"]},
        {"provider": "gemini", "id": "embed-g", "mode": "embedding"},
        {"provider": "groq", "id": "llama", "can": ["tools"]},
        {"provider": "groq", "id": "oss", "can": ["tools", "json"]},
        {"provider": "groq", "id": "scout", "can": ["vision", "tools"]},
        {"provider": "groq", "id": "openai/shared", "can": ["tools"]},
        {"provider": "openai", "id": "gpt", "can": ["vision", "tools", "json"]},
        {"provider": "openai", "id": "gpt-big", "can": ["vision", "tools", "json"]},
        {"provider": "openai", "id": "embed-o", "mode": "embedding"},
        {"provider": "openrouter", "id": "vendor/gpt"},
        {"provider": "openrouter", "id": "openai/shared"},
        {"provider": "openrouter", "id": "gemini/flash-old"},
        {"provider": "openrouter", "id": "embed-o", "mode": "embedding"},
        {"provider": "local", "id": "small", "can": []},
        {"provider": "workers-ai", "id": "@cf/m", "can": ["tools"]},
    ],
    "aliases": {"gpt-old": "openai/gpt", "flash-old": "gemini/flash"},
}

ENV = {
    "RETRY_ATTEMPTS": "1",
    "FALLBACK_CHAIN": "gemini,groq,openai",
    "GEMINI_API_KEY": "key-of-gemini",
    "GROQ_API_KEY": "key-of-groq",
    "OPENAI_API_KEY": "key-of-openai",
    "OPENROUTER_API_KEY": "key-of-openrouter",
}


@pytest.fixture
def catalog() -> Catalog:
    return Catalog(msgspec.json.encode(CATALOG))


@pytest.fixture
def settings(catalog: Catalog) -> RoutingSettings:
    return read_settings(ENV, catalog.providers).routing


@pytest.fixture
def selection(catalog: Catalog, settings: RoutingSettings) -> Selection:
    return Selection(catalog, settings, frozenset())
