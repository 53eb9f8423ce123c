"""Settings: defaults, what is refused, and that the message lists all faults."""

from datetime import date
from typing import get_type_hints

import msgspec
import pytest

from proxy.core.settings import (
    AccessSettings,
    LimitSettings,
    Settings,
    SettingsError,
    is_setting,
    read_section,
    read_settings,
)
from proxy.core.settings.values import list_settings

PROVIDERS = ("gemini", "deepseek", "groq", "openai", "local", "workers-ai")


def test_without_any_setting_it_is_closed_production() -> None:
    settings = read_settings({}, PROVIDERS)
    assert settings.access.environment == "production"
    assert not settings.access.is_open
    assert settings.routing.fallback_chain == ("gemini", "deepseek", "groq", "openai")
    assert settings.routing.timeout_ms == 300_000
    assert settings.server.max_body_bytes == 20 * 1024 * 1024


@pytest.mark.parametrize(
    ("env", "opened"),
    [
        ({"ENVIRONMENT": "development"}, True),
        ({"ENVIRONMENT": "development", "PROXY_API_KEY": "k"}, False),
        ({"ENVIRONMENT": "development", "ADMIN_TOKEN": "k"}, False),
        ({"ENVIRONMENT": "development", "METRICS_TOKEN": "k"}, False),
        ({"ENVIRONMENT": "development", "ACCESS_ROLES": "a@example.com=user"}, False),
        ({"ENVIRONMENT": "staging"}, False),
        ({"ENVIRONMENT": ""}, False),
    ],
)
def test_open_only_in_development_without_a_key(env: dict[str, str], opened: bool) -> None:
    assert read_settings(env, PROVIDERS).access.is_open is opened


def test_provider_settings() -> None:
    settings = read_settings(
        {
            "ENVIRONMENT": "development",
            "GROQ_API_KEY": " gsk ",
            "LOCAL_BASE_URL": "http://127.0.0.1:9/v1/",
            "WORKERS_AI_BASE_URL": "",
        },
        PROVIDERS,
    )
    assert settings.routing.providers["groq"].keys == ("gsk",)
    assert settings.routing.providers["local"].base_url == "http://127.0.0.1:9/v1"
    assert settings.routing.providers["workers-ai"].base_url is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("ADMIN_TOKEN", True),
        ("OPENAI_API_KEY", True),
        ("ANY_OTHER_API_KEY_12", True),
        ("GROQ_RATE_LIMIT_BURST", True),
        ("CACHE_KV", False),
        ("RATE_BUCKET", False),
        ("API_KEY", False),
        ("OPENAI_API_KEY_0", False),
    ],
)
def test_which_bindings_are_settings(name: str, known: bool) -> None:
    assert is_setting(name) is known


@pytest.mark.parametrize(
    ("env", "keys"),
    [
        ({"OPENAI_API_KEY": "a, b ,c"}, ("a", "b", "c")),
        ({"OPENAI_API_KEY": "a", "OPENAI_API_KEY_2": "b", "OPENAI_API_KEY_3": "c"}, tuple("abc")),
        ({"OPENAI_API_KEY_1": "a", "OPENAI_API_KEY_2": "b"}, tuple("ab")),
        ({"OPENAI_API_KEY_10": "c", "OPENAI_API_KEY_2": "b", "OPENAI_API_KEY": "a"}, tuple("abc")),
        ({"OPENAI_API_KEY": "a,b", "OPENAI_API_KEY_2": "b,a,c"}, ("a", "b", "c")),
        ({"OPENAI_API_KEY_2": "b", "OPENAI_API_KEY_3": " "}, ("b",)),
        ({"OPENAI_API_KEY": "a", "OPENAI_API_KEY_0": "x", "OPENAI_API_KEY_02": "y"}, ("a",)),
        ({"OPENAI_API_KEY": "a", "GROQ_API_KEY_2": "b"}, ("a",)),
    ],
)
def test_several_keys_of_a_provider_are_numbered_in_their_order_and_each_counts_once(
    env: dict[str, str], keys: tuple[str, ...]
) -> None:
    routing = read_settings(env, PROVIDERS).routing
    assert routing.providers["openai"].keys == keys
    assert set(keys) <= set(routing.secrets)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ENVIRONMENT", "prod", "must be one of development, staging, production"),
        ("REQUEST_TIMEOUT_MS", "0", "must be a whole number from 1 to 600000"),
        ("REQUEST_TIMEOUT_MS", "-5", "must be a whole number"),
        ("IDLE_TIMEOUT_MS", "1.5", "must be a whole number"),
        ("MAX_BODY_BYTES", "lots", "must be a whole number from 1024 to 104857600"),
        ("PROXY_API_KEY", "two words", "must be visible ASCII"),
        ("METRICS_TOKEN", "two words", "must be visible ASCII"),
        ("ACCESS_ROLES", "ann@example.com", "must end in one of =admin, =viewer and =user"),
        ("ACCESS_ROLES", "ann@example.com=owner", "must end in one of"),
        ("ACCESS_ROLES", "ann@example.com=", "must end in one of"),
        ("ACCESS_ROLES", "example.com=user", "must begin with an e-mail, @ and a domain"),
        ("ACCESS_ROLES", "@=user", "must begin with an e-mail"),
        ("ACCESS_ROLES", "*@example.com@x=user", "must begin with an e-mail"),
        ("ACCESS_ROLES", "@example=user", "must begin with an e-mail"),
        ("ACCESS_ROLES", "*=user", "must begin with an e-mail"),
        ("ACCESS_ROLES", "group:=user", "must begin with an e-mail"),
        ("ACCESS_ROLES", "A@b.c=user, a@b.c=admin", "names 'a@b.c' twice"),
        ("ACCESS_TEAM_DOMAIN", "example.cloudflareaccess.com", "needs ACCESS_AUD"),
        ("ACCESS_TEAM_DOMAIN", "example.cloudflareaccess.com", "needs ACCESS_ROLES"),
        ("ACCESS_TEAM_DOMAIN", "http://evil.example", "must begin with https://"),
        ("ACCESS_TEAM_DOMAIN", "http://127.0.0.1:1", "must begin with https://"),
        ("ACCESS_TEAM_DOMAIN", "https://a.example/cdn-cgi", "must be a domain such as"),
        ("ACCESS_TEAM_DOMAIN", "a.example/x", "must be a domain such as"),
        ("OPENAI_API_KEY", "sk\r\nx: y", "OPENAI_API_KEY must be visible ASCII"),
        ("OPENAI_API_KEY", "sk-a,,sk-b", "OPENAI_API_KEY must be keys between commas"),
        ("OPENAI_API_KEY", "sk-a,", "OPENAI_API_KEY must be keys between commas"),
        ("OPENAI_API_KEY_2", "two words", "OPENAI_API_KEY_2 must be visible ASCII"),
        ("OPENAI_API_KEY_2", ",", "OPENAI_API_KEY_2 must be keys between commas"),
        ("FALLBACK_CHAIN", "groq,nobody", "FALLBACK_CHAIN names nobody; there are gemini"),
        ("DISABLED_PROVIDERS", "grok", "DISABLED_PROVIDERS names grok"),
        ("LOCAL_PROVIDERS", "lab,GPU", "'GPU' must be lower-case letters and digits"),
        ("LOCAL_PROVIDERS", "gpu_2", "'gpu_2' must be lower-case letters and digits"),
        ("LOCAL_PROVIDERS", "2lab", "'2lab' must be lower-case letters and digits"),
        ("LOCAL_PROVIDERS", "lab/1", "'lab/1' must be lower-case letters and digits"),
        ("LOCAL_PROVIDERS", "l" * 33, "32 at most"),
        ("LOCAL_PROVIDERS", "lab,lab", "names 'lab' twice"),
        ("LOCAL_PROVIDERS", "fast", "names 'fast', which means something else"),
        ("LOCAL_PROVIDERS", "dynamic", "names 'dynamic', which means something else"),
        ("LOCAL_PROVIDERS", "alias", "names 'alias', which means something else"),
        ("LOCAL_PROVIDERS", "key", "names 'key', which means something else"),
        ("LOCAL_PROVIDERS", "groq", "LOCAL_PROVIDERS names groq, which is a provider already"),
        ("LOCAL_PROVIDERS", "proxy", "names proxy, which would share PROXY_API_KEY"),
        ("LOCAL_PROVIDERS", "groq-embeddings", "which would share GROQ_EMBEDDINGS_BASE_URL"),
        ("CORS_ORIGINS", "https://a.example/path", "is no origin"),
        ("CORS_ORIGINS", "a.example", "is no origin"),
        ("CATALOG_DATE", "2026-11-31", "must be a day such as 2026-12-31"),
        ("CATALOG_DATE", "20261130", "must be a day"),
        ("CATALOG_DATE", "today", "must be a day"),
        ("OPENAI_BASE_URL", "http://api.example/v1", "must begin with https://"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1", "must begin with https://"),
        ("OPENAI_BASE_URL", "HTTP://127.0.0.1:1/v1", "must begin with https://"),
        ("OPENAI_BASE_URL", "https://user:pw@host/v1", "without user, query and fragment"),
        ("OPENAI_BASE_URL", "https://:pw@host/v1", "without user, query and fragment"),
        ("OPENAI_BASE_URL", "nonsense", "must be a URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example", "must begin with https://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "must be a URL"),
        ("OTEL_METRICS_EXPORTER", "otlp", "needs OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("OTEL_METRICS_EXPORTER", "prometheus", "must be"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,key", "number 2 is not"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "=b", "must be name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c", "must be name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=", "must have values of visible ASCII"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0D%0Ac: d", "must have values of visible ASCII"),
    ],
)
def test_nonsense_is_refused_by_name(name: str, value: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({name: value}, PROVIDERS)
    assert name in str(caught.value)
    assert reason in str(caught.value)


def test_a_day_is_read_and_none_is_today() -> None:
    assert read_settings({"CATALOG_DATE": "2026-12-01"}, PROVIDERS).routing.catalog_date == date(
        2026, 12, 1
    )
    assert read_settings({}, PROVIDERS).routing.catalog_date is None


def test_a_collectors_settings_are_read_as_opentelemetry_writes_them() -> None:
    settings = read_settings(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318/",
            "OTEL_EXPORTER_OTLP_HEADERS": " Authorization = Basic%20YTpi%3D%3D , x-a=b=c,",
        },
        PROVIDERS,
    )
    assert settings.traces.endpoint == "http://127.0.0.1:4318"
    assert settings.traces.headers == {"authorization": "Basic YTpi==", "x-a": "b=c"}
    assert settings.traces.service_name == "ai-edge-proxy"
    assert read_settings({}, PROVIDERS).traces.endpoint is None


def test_plain_http_reaches_only_loopback_in_development() -> None:
    env = {"ENVIRONMENT": "development", "OPENAI_BASE_URL": "http://example.com/v1"}
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL must begin with https://"):
        read_settings(env, PROVIDERS)


def test_the_deployments_own_keys_differ() -> None:
    for name in ("ADMIN_TOKEN", "PROXY_API_KEY"):
        with pytest.raises(SettingsError, match="must differ") as caught:
            read_settings({"METRICS_TOKEN": "the-same", name: "the-same"}, PROVIDERS)
        assert "the-same" not in str(caught.value)


def test_who_is_signed_in_by_access() -> None:
    env = {
        "ACCESS_ROLES": "Ann@Example.com=admin, group:A=b c=viewer, @example.com = user",
        "ACCESS_TEAM_DOMAIN": "example.cloudflareaccess.com",
        "ACCESS_AUD": "a, b",
    }
    access = read_settings(env, PROVIDERS).access
    assert list(access.roles.items()) == [
        ("ann@example.com", "admin"),
        ("group:A=b c", "viewer"),
        ("@example.com", "user"),
    ]
    assert (access.team, access.auds) == ("https://example.cloudflareaccess.com", ("a", "b"))


def test_the_message_lists_every_fault() -> None:
    env = {"ENVIRONMENT": "x", "MAX_BODY_BYTES": "x", "GROQ_BASE_URL": "x", "FALLBACK_CHAIN": "x"}
    with pytest.raises(SettingsError) as caught:
        read_settings(env, PROVIDERS)
    assert all(name in str(caught.value) for name in env)


def test_no_secret_stands_in_the_message() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(
            {
                "ADMIN_TOKEN": "my secret",
                "GROQ_API_KEY": "another secret",
                "OTEL_EXPORTER_OTLP_HEADERS": "a=secret%00,secret",
            },
            PROVIDERS,
        )
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("field", Settings.__struct_fields__)
def test_a_default_has_its_fields_type(field: str) -> None:
    section = getattr(read_settings({}, PROVIDERS), field)
    assert msgspec.convert(msgspec.to_builtins(section), type(section)) == section
    assert list_settings(get_type_hints(Settings)[field])


def test_limits_of_one_provider() -> None:
    limits = read_settings({"GROQ_RATE_LIMIT_PER_HOUR": "0"}, PROVIDERS).limits
    assert limits.providers["groq"].per_hour == 0
    assert limits.providers["groq"].burst is None
    assert limits.providers["openai"].per_hour is None


def test_all_that_is_secret_is_known_to_be() -> None:
    env = {
        "ADMIN_TOKEN": "a",
        "GROQ_API_KEY": "b",
        "OTEL_EXPORTER_OTLP_HEADERS": "x=c",
        "PROXY_API_KEY": "d",
        "METRICS_TOKEN": "e",
    }
    assert set(read_settings(env, PROVIDERS).routing.secrets) == set("abcde")


def test_a_section_alone_takes_the_default_for_nonsense() -> None:
    env = {"LIMITER_FORGET_SECONDS": "soon", "LIMITER_TIMEOUT_MS": " 7 "}
    limits = read_section(LimitSettings, lambda name: env.get(name, ""))
    assert (limits.forget_seconds, limits.timeout_ms) == (600, 7)
    assert read_section(AccessSettings, lambda name: "").revoked_retention == 30 * 86_400


def test_a_var_that_is_no_text_is_no_setting_of_an_object() -> None:
    env: dict[str, object] = {"RATE_LIMIT_BURST": 7, "LIMITER_TIMEOUT_MS": "20"}
    limits = read_section(LimitSettings, lambda name: env.get(name, ""))
    assert (limits.burst, limits.timeout_ms) == (50, 20)


def test_a_deployment_names_servers_of_its_own_with_all_settings_of_a_provider() -> None:
    env = {
        "LOCAL_PROVIDERS": "lab, gpu-2",
        "LAB_BASE_URL": "https://lab.example/v1",
        "GPU_2_API_KEY": "k",
        "GPU_2_MODELS": "llama3.3:70b, qwen3",
        "GPU_2_RATE_LIMIT_BURST": "7",
        "FALLBACK_CHAIN": "lab,groq",
        "OPENAI_MODELS": "gpt-next",
    }
    settings = read_settings(env, PROVIDERS)
    reached = settings.routing.providers
    assert [*reached] == [*PROVIDERS, "lab", "gpu-2"]
    assert reached["lab"].base_url == "https://lab.example/v1"
    assert reached["gpu-2"].keys == ("k",)
    assert settings.limits.providers["gpu-2"].burst == 7
    assert settings.routing.fallback_chain == ("lab", "groq")
    own = {"lab": (), "gpu-2": ("llama3.3:70b", "qwen3"), "openai": ("gpt-next",)}
    assert settings.routing.own_models == own


def test_a_server_that_is_not_named_has_no_settings() -> None:
    env = {"LAB_BASE_URL": "https://lab.example/v1", "LAB_API_KEY": "k"}
    settings = read_settings(env, PROVIDERS)
    assert [*settings.routing.providers] == [*PROVIDERS]
    assert "k" not in settings.routing.secrets
