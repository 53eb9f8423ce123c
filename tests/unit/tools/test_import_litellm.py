"""A LiteLLM config becomes settings and aliases, or is named as left out; no key is ever shown."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from tools.import_litellm.__main__ import convert, main
from tools.import_litellm.document import read_config
from tools.import_litellm.report import Report
from tools.import_litellm.servers import read_providers

CONFIGS = Path(__file__).parent / "litellm"
NAMES = ["team", "limits", "servers", "nasty"]
PROVIDERS = read_providers()
NASTY = (
    "model_list[1].litellm_params.temperature",
    "model_list[1].litellm_params.response_format",
    "model_list[2].litellm_params.api_key",
    "model_list[3].litellm_params.model",
    "model_list[4].litellm_params.model",
    "model_list[5].litellm_params.weight",
    "model_list[5]",
    "model_list[6]",
    "model_list[6].litellm_params.extra_headers",
    "model_list[6].litellm_params.organization",
    "model_list[6].litellm_params.tags",
    "model_list[6].litellm_params.input_cost_per_token",
    "model_list[6].litellm_params.azure_ad_token",
    "model_list[6].litellm_params.reticulate",
    "model_list[7]",
    "model_list[8]",
    "model_list[9]",
    "model_list[10].litellm_params.api_base",
    "router_settings.routing_strategy",
    "router_settings.num_retries",
    "router_settings.fallbacks[0].ghost",
    "router_settings.fallbacks[1].split[0]",
    "litellm_settings.cache_params",
    "litellm_settings.success_callback[0]",
    "environment_variables.OPENAI_ORGANIZATION",
    "environment_variables.UNUSED_KEY",
    "guardrails",
    '"odd\\nname"',
)
"""The places of nasty.yaml that lose something."""


def load(name: str) -> Report:
    return convert(read_config(CONFIGS / f"{name}.yaml"), PROVIDERS)


def values(report: Report) -> dict[str, str]:
    return {v.name: v.value or f"${v.source}" for v in report.variables.values()}


def aliases(report: Report) -> dict[str, Any]:
    return {alias.pop("name"): alias for alias in report.aliases}


def places(remarks: list[Any]) -> dict[str, str]:
    """What is said of each place, without its line."""
    return {
        re.sub(r" ?\(?(\S+, )?line \d+\)?", "", r.place): f"{r.what} {r.instead}" for r in remarks
    }


def test_keys_of_one_provider_are_a_pool_and_settings_go_on() -> None:
    report = load("team")
    assert values(report) == {
        "OPENAI_API_KEY": "$OPENAI_API_KEY",
        "OPENAI_API_KEY_2": "$OPENAI_API_KEY_BACKUP",
        "AZURE_BASE_URL": "https://acme-eu.openai.azure.com/openai/v1",
        "AZURE_API_KEY": "$AZURE_API_KEY_EU",
        "ANTHROPIC_API_KEY": "$ANTHROPIC_API_KEY",
        "RETRY_ATTEMPTS": "3",
        "REQUEST_TIMEOUT_MS": "120000",
        "CACHE_TTL": "600",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example.com",
        "OTEL_EXPORTER_OTLP_HEADERS": "$OTEL_HEADERS",
        "ADMIN_TOKEN": "$LITELLM_MASTER_KEY",
    }


def test_deployments_of_one_model_are_one_target_and_fallbacks_follow() -> None:
    gpt = {
        "targets": [
            {"model": "openai/gpt-4o", "weight": 600},
            {"model": "azure/gpt-4o-eu", "weight": 200},
            {"model": "anthropic/claude-sonnet-5", "weight": 0},
        ],
        "strategy": "weighted",
        "fallback": False,
    }
    assert aliases(load("team")) == {
        "gpt-4o": gpt,
        "gpt-4": gpt,
        "claude": {
            "targets": [{"model": "anthropic/claude-sonnet-5"}],
            "strategy": "priority",
            "fallback": False,
            "defaults": {"maxTokens": 4096},
            "timeout": 45_000,
        },
        "embedder": {
            "targets": [{"model": "openai/text-embedding-3-small"}],
            "strategy": "priority",
            "fallback": False,
        },
    }


def test_what_is_left_out_says_what_to_do() -> None:
    report = load("team")
    lost = places(report.losses)
    assert lost.keys() == {
        "router_settings.allowed_fails",
        "router_settings.cooldown_time",
        "litellm_settings.cache_params.namespace",
        "litellm_settings.success_callback[0]",
        "general_settings.alerting",
        "environment_variables.OTEL_EXPORTER",
    }
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in lost["litellm_settings.success_callback[0]"]
    assert "model_list[5]" in places(report.needless)


def test_times_are_within_the_settings_ranges() -> None:
    report = load("limits")
    assert values(report) == {
        "GROQ_API_KEY": "$GROQ_MAIN_KEY",
        "GEMINI_API_KEY": "$GEMINI_API_KEY",
        "DEEPSEEK_API_KEY": "$DEEPSEEK_API_KEY",
        "OPENROUTER_API_KEY": "$OPENROUTER_API_KEY",
        "OPENAI_API_KEY": "$OPENAI_API_KEY",
        "RETRY_ATTEMPTS": "5",
        "REQUEST_TIMEOUT_MS": "600000",
        "FIRST_BYTE_TIMEOUT_MS": "12500",
        "IDLE_TIMEOUT_MS": "12500",
        "CACHE_TTL": "0",
    }


def test_limits_order_parameters_and_other_names_go_on() -> None:
    made = aliases(load("limits"))
    assert made["small"] == {
        "targets": [
            {
                "model": "groq/openai/gpt-oss-20b",
                "weight": 30,
                "limit": {"perHour": 1800, "burst": 30},
                "budget": {"day": 5},
            },
            {
                "model": "gemini/gemini-2.5-flash-lite",
                "weight": 10,
                "limit": {"perHour": 600, "burst": 10},
            },
            {"model": "openrouter/deepseek/deepseek-v4-flash", "weight": 0},
            {"model": "deepseek/deepseek-flash", "weight": 0},
            {"model": "gemini/gemini-2.5-pro", "weight": 0},
        ],
        "strategy": "weighted",
        "fallback": False,
        "defaults": {"temperature": 0.2, "maxTokens": 500},
    }
    assert made["tiny"] == made["small"]
    assert [target["model"] for target in made["chain"]["targets"]] == [
        "openrouter/deepseek/deepseek-v4-flash",
        "deepseek/deepseek-flash",
    ]
    assert made["chain"]["strategy"] == "priority"
    assert "painter" not in made


def test_what_another_file_holds_is_named_with_it() -> None:
    report = load("limits")
    lost = places(report.losses)
    assert "/v1/images/generations" in lost["model_list[1].model_info.mode"]
    assert "RETRY_ATTEMPTS" in lost["router_settings.retry_policy"]
    assert "litellm_settings.content_policy_fallbacks" in lost
    assert "defaults" in lost  # no section of LiteLLM's: its anchor is used
    assert any(remark.place.endswith("(models.yaml, line 9)") for remark in report.losses)
    assert "router_settings.model_group_alias.tiny" in places(report.differences)


def test_servers_of_ones_own_have_the_places_of_the_catalogue() -> None:
    report = load("servers")
    made = {name: alias["targets"][0]["model"] for name, alias in aliases(report).items()}
    assert made == {
        "llama": "ollama/llama3.3",
        "qwen": "vllm/Qwen/Qwen3-32B",
        "coder": "local/deepseek-coder",
        "fast-llama": "groq/llama-3.3-70b-versatile",
        "gemini-vertex": "vertex/google/gemini-2.5-pro",
        "nova": "bedrock/us.amazon.nova-pro-v1:0",
        "opus": "bedrock/us.anthropic.claude-opus-4-8",
        "hub": "huggingface/deepseek-ai/DeepSeek-R1:together",
    }
    assert values(report) == {
        "OLLAMA_BASE_URL": "http://localhost:11434/v1",
        "VLLM_BASE_URL": "https://vllm.example.com/v1",
        "LOCAL_BASE_URL": "http://127.0.0.1:8080/v1",
        "GROQ_API_KEY": "$GROQ_API_KEY",
        "VERTEX_BASE_URL": "https://europe-west4-aiplatform.googleapis.com"
        "/v1/projects/acme-1/locations/europe-west4/endpoints/openapi",
        "BEDROCK_BASE_URL": "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1",
        "BEDROCK_API_KEY": "$AWS_BEARER_TOKEN_BEDROCK",
        "HUGGINGFACE_API_KEY": "$HF_TOKEN",
        "OPENAI_API_KEY": "$OPENAI_API_KEY",
        "CACHE_TTL": "0",
    }
    lost = places(report.losses)
    assert "SECOND_API_KEY" in lost["model_list[4].litellm_params.model"]
    assert "vllm has one address" in lost["model_list[5].litellm_params.model"]
    assert "API key" in lost["model_list[6].litellm_params.vertex_credentials"]
    assert "API key" in lost["model_list[7].litellm_params.aws_access_key_id"]
    different = places(report.differences)
    assert "anthropic/" in different["model_list[8].litellm_params.model"]
    assert "openai/NAME" in different["model_list[10]"]


def test_nothing_of_a_nasty_file_is_dropped_without_a_word() -> None:
    report = load("nasty")
    made = aliases(report)
    assert made.keys() == {"team-gpt", "fast-alias", "groq-alias", "split", "leaky"}
    assert "defaults" not in made["split"]
    lost = places(report.losses)
    assert set(NASTY) - lost.keys() == set()
    assert "cohere" in lost["model_list[4].litellm_params.model"]


@pytest.mark.parametrize("name", NAMES)
def test_the_terminal_shows_no_key_and_the_private_file_has_them(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-SECRET-of-the-shell")
    env, lines = tmp_path / ".env", tmp_path / "aliases.jsonl"
    arguments = [str(CONFIGS / f"{name}.yaml"), "--env", str(env), "--aliases", str(lines)]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert "SECRET" not in shown.out + shown.err
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert ("OPENAI_API_KEY=sk-SECRET-one\n" in env.read_text()) == (name == "nasty")
    assert "of-the-shell" not in env.read_text()
    for line in lines.read_text().splitlines():
        assert line in shown.out
        assert json.loads(line)["name"]


def test_a_file_that_is_there_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = tmp_path / ".env"
    env.write_text("MINE=1\n")
    assert main([str(CONFIGS / "team.yaml"), "--env", str(env)]) == 1
    assert env.read_text() == "MINE=1\n"
    assert f"{env} can't be written" in capsys.readouterr().err
