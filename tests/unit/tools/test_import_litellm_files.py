"""What a LiteLLM config may be like: any file gives a result or one clear error."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.import_litellm.__main__ import convert, main
from tools.import_litellm.document import ConfigError, parse, read_config
from tools.import_litellm.render import render, render_env
from tools.import_litellm.servers import read_providers

PROVIDERS = read_providers()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"- 1", "no mapping"),
        (b"a: [", "no YAML at line 1"),
        (b"a: *b", "undefined alias"),
        (b"a: &a [*a]", "nested more than 40 deep"),
        (b"a: " + b"[" * 5000, "nested too deeply"),
        (b"\x00", "characters that YAML does not"),
        (b"? [a]\n: 1", "name is no text at line 1"),
        (b"a: {<<: 1}", "merges what is no mapping"),
        (b"a0: &a0 {}\n" + b"".join(
            b"a%d: &a%d {<<: [%s]}\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9))
            for n in range(1, 12)
        ), "more than 50000 values"),
        (b"a0: &a0 [1]\n" + b"".join(
            b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)
        ), "more than 50000 values"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_clear_error(
    text: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_bytes(text)
    assert main([str(config)]) == 1
    shown = capsys.readouterr()
    assert not shown.out
    assert why in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("include", ["[missing.yaml]", "[.]"])
def test_an_included_file_that_cannot_be_read_is_named(
    include: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"include: {include}\n")
    assert main([str(config)]) == 1
    assert "can't be read" in capsys.readouterr().err


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    model = "model_list: [{{model_name: {0}, litellm_params: {{model: openai/{0}}}}}]\n"
    (tmp_path / "config.yaml").write_text(f"include: [b.yaml]\n{model.format('a')}")
    (tmp_path / "b.yaml").write_text(f"include: [config.yaml, b.yaml]\n{model.format('b')}")
    report = convert(read_config(tmp_path / "config.yaml"), PROVIDERS)
    assert {alias["name"] for alias in report.aliases} == {"a", "b"}


KEYS = st.sampled_from(
    (
        *("model_list", "model_name", "litellm_params", "model", "api_key", "api_base", "weight"),
        *("rpm", "order", "timeout", "temperature", "stop", "response_format", "max_budget"),
        *(
            "budget_duration",
            "model_info",
            "mode",
            "router_settings",
            "routing_strategy",
            "fallbacks",
        ),
        *(
            "model_group_alias",
            "default_fallbacks",
            "litellm_settings",
            "cache",
            "cache_params",
            "ttl",
        ),
        *("callbacks", "general_settings", "master_key", "max_request_size_mb", "credential_list"),
        *(
            "environment_variables",
            "num_retries",
            "include",
            "OPENAI_API_KEY",
            "tags",
            "*",
            "gpt-4o",
        ),
    )
)
TEXTS = st.sampled_from(
    (
        *("openai/gpt-4o", "gpt-4o", "*", "openai/*", "azure/x", "vertex_ai/gemini-x", "ollama/x"),
        *(
            "os.environ/OPENAI_API_KEY",
            "http://[",
            "https://x.example/v1",
            "//",
            "otel",
            "1d",
            "json",
        ),
        *(
            "simple-shuffle",
            "cost-based-routing",
            "image_generation",
            "",
            "9" * 400,
            "\ud800",
            "\x1b[",
        ),
    )
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=5)
    ),
    max_leaves=30,
)
MODELS = st.lists(
    st.fixed_dictionaries(
        {"model_name": TEXTS, "litellm_params": st.dictionaries(KEYS, VALUES).map(
            lambda params: {"model": "openai/gpt-4o", **params}
        )}
    ),
    max_size=4,
)  # fmt: skip
SECRET = "sk-TOP-SECRET-0123456789"


@given(st.dictionaries(KEYS, VALUES, max_size=8), MODELS)
def test_any_mapping_gives_a_result_or_one_error(config: dict[str, Any], models: list[Any]) -> None:
    for model in models:
        model["litellm_params"]["api_key"] = SECRET
    text = json.dumps({"model_list": models, **config}).encode()
    try:
        report = convert(parse(text, "config.yaml"), PROVIDERS)
    except ConfigError as error:
        assert "\n" not in str(error)
        return
    shown = "\n".join(render(report))
    shown.encode()
    assert SECRET not in shown
    assert all(char.isprintable() or char == "\n" for char in shown)
    for alias in report.aliases:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", alias["name"])
        assert len({target["model"] for target in alias["targets"]}) == len(alias["targets"])
    assert len({alias["name"] for alias in report.aliases}) == len(report.aliases)
    "\n".join(render_env(report)).encode()


@given(st.binary(max_size=200))
def test_any_bytes_give_a_result_or_one_error(content: bytes) -> None:
    try:
        convert(parse(content, "config.yaml"), PROVIDERS)
    except ConfigError as error:
        assert "\n" not in str(error)
