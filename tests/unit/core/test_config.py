"""Settings: defaults, what is refused, and that all faults are told at once."""

from pathlib import Path

import pytest

from proxy.core.config import PROVIDER_SETTINGS, SETTINGS, ConfigError, read, variable

PROVIDERS = ("gemini", "deepseek", "groq", "openai", "local", "workers-ai")
ROOT = Path(__file__).parents[3]


def test_without_any_setting_it_is_closed_production() -> None:
    config = read({}, PROVIDERS)
    assert config.environment == "production"
    assert not config.open
    assert config.fallback_chain == ("gemini", "deepseek", "groq", "openai")
    assert config.request_timeout_ms == 300_000
    assert config.max_body_bytes == 20 * 1024 * 1024


@pytest.mark.parametrize(
    ("env", "opened"),
    [
        ({"ENVIRONMENT": "development"}, True),
        ({"ENVIRONMENT": "development", "PROXY_API_KEY": "k"}, False),
        ({"ENVIRONMENT": "development", "ADMIN_TOKEN": "k"}, False),
        ({"ENVIRONMENT": "staging"}, False),
        ({"ENVIRONMENT": ""}, False),
    ],
)
def test_open_only_in_development_without_a_key(env: dict[str, str], opened: bool) -> None:
    assert read(env, PROVIDERS).open is opened


def test_provider_settings() -> None:
    config = read(
        {
            "ENVIRONMENT": "development",
            "GROQ_API_KEY": " gsk ",
            "LOCAL_BASE_URL": "http://127.0.0.1:9/v1/",
            "WORKERS_AI_BASE_URL": "",
        },
        PROVIDERS,
    )
    assert config.providers["groq"].key == "gsk"
    assert config.providers["local"].base_url == "http://127.0.0.1:9/v1"
    assert config.providers["workers-ai"].base_url is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ENVIRONMENT", "prod", "must be one of development, staging, production"),
        ("REQUEST_TIMEOUT_MS", "0", "must be a whole number from 1 to 600000"),
        ("REQUEST_TIMEOUT_MS", "-5", "must be a whole number"),
        ("IDLE_TIMEOUT_MS", "1.5", "must be a whole number"),
        ("MAX_BODY_BYTES", "lots", "must be a whole number from 1024 to 104857600"),
        ("PROXY_API_KEY", "two words", "must be visible ASCII"),
        ("OPENAI_API_KEY", "sk\r\nx: y", "OPENAI_API_KEY must be visible ASCII"),
        ("FALLBACK_CHAIN", "groq,nobody", "FALLBACK_CHAIN names nobody; there are gemini"),
        ("DISABLED_PROVIDERS", "grok", "DISABLED_PROVIDERS names grok"),
        ("CORS_ORIGINS", "https://a.example/path", "is no origin"),
        ("CORS_ORIGINS", "a.example", "is no origin"),
        ("OPENAI_BASE_URL", "http://api.example/v1", "must begin with https://"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1", "must begin with https://"),
        ("OPENAI_BASE_URL", "https://user:pw@host/v1", "without user, query and fragment"),
        ("OPENAI_BASE_URL", "nonsense", "must be a URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example", "must begin with https://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "must be a URL"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,key", "number 2 is not"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "=b", "must be name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c", "must be name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=", "must have values of visible ASCII"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0D%0Ac: d", "must have values of visible ASCII"),
    ],
)
def test_nonsense_is_refused_by_name(name: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({name: value}, PROVIDERS)
    assert name in str(caught.value)
    assert reason in str(caught.value)


def test_a_collectors_settings_are_read_as_opentelemetry_writes_them() -> None:
    config = read(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318/",
            "OTEL_EXPORTER_OTLP_HEADERS": " Authorization = Basic%20YTpi%3D%3D , x-a=b=c,",
        },
        PROVIDERS,
    )
    assert config.otel_exporter_otlp_endpoint == "http://127.0.0.1:4318"
    assert config.otel_exporter_otlp_headers == {"authorization": "Basic YTpi==", "x-a": "b=c"}
    assert config.otel_service_name == "ai-edge-proxy"
    assert read({}, PROVIDERS).otel_exporter_otlp_endpoint is None


def test_plain_http_reaches_only_loopback_in_development() -> None:
    env = {"ENVIRONMENT": "development", "OPENAI_BASE_URL": "http://example.com/v1"}
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL must begin with https://"):
        read(env, PROVIDERS)


def test_every_fault_is_told_at_once() -> None:
    env = {"ENVIRONMENT": "x", "MAX_BODY_BYTES": "x", "GROQ_BASE_URL": "x", "FALLBACK_CHAIN": "x"}
    with pytest.raises(ConfigError) as caught:
        read(env, PROVIDERS)
    assert all(name in str(caught.value) for name in env)


def test_no_secret_stands_in_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        read(
            {
                "ADMIN_TOKEN": "my secret",
                "GROQ_API_KEY": "another secret",
                "OTEL_EXPORTER_OTLP_HEADERS": "a=secret%00,secret",
            },
            PROVIDERS,
        )
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("place", [".env.example", "docs/configuration.md"])
def test_every_setting_is_documented(place: str) -> None:
    text = (ROOT / place).read_text()
    names = [setting.name for setting in SETTINGS]
    names += [variable("openai", end) for end in PROVIDER_SETTINGS]
    assert [name for name in names if name not in text] == []
