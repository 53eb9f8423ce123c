"""The fixtures are what their README says, and their numbers add up as each provider's do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / "fixtures"
FILES = sorted(path for path in ROOT.glob("*/*.json") if path.parent.name != "first_version")
IDS = [f"{path.parent.name}/{path.stem}" for path in FILES]

Json = dict[str, Any]


def read(path: Path) -> Json:
    fixture: Json = json.loads(path.read_text())
    return fixture


def payloads(fixture: Json) -> Iterator[Any]:
    """Every JSON value of an answer: its body, or the data of its events."""
    if "sse" not in fixture:
        if not isinstance(fixture["body"], str):
            yield fixture["body"]
        return
    if not fixture["headers"]["content-type"].startswith("text/event-stream"):
        yield from json.loads("".join(fixture["sse"]))
        return
    for event in fixture["sse"]:
        for line in event.splitlines():
            if line.startswith("data:") and line[5:].strip() != "[DONE]":
                yield json.loads(line[5:])


def usages(value: Any) -> Iterator[Json]:
    """Every usage object at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from usages(item)
    if isinstance(value, dict):
        for key, part in value.items():
            if key in ("usage", "usageMetadata") and part:
                yield part
            yield from usages(part)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_form(path: Path) -> None:
    fixture = read(path)
    assert fixture.keys() <= {"about", "request", "status", "headers", "body", "sse"}
    assert fixture["about"]
    assert ("body" in fixture) != ("sse" in fixture)
    assert fixture["headers"]["content-type"]
    if fixture["status"] >= 400:
        assert path.stem.startswith("error-")
    list(payloads(fixture))
    for event in fixture.get("sse", []):
        end = "\r\n\r\n" if path.parent.name == "gemini" else "\n\n"
        assert event.endswith(end) or path.stem == "stream-json-array"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_usage_adds_up(path: Path) -> None:
    for payload in payloads(read(path)):
        for usage in usages(payload):
            CHECKS.get(path.parent.name, check_openai)(usage)


def check_gemini(usage: Json) -> None:
    counted = ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"]
    counted.append("toolUsePromptTokenCount")
    if "totalTokenCount" in usage:
        assert usage["totalTokenCount"] == sum(usage.get(name, 0) for name in counted)
    assert usage.get("cachedContentTokenCount", 0) <= usage["promptTokenCount"]
    details = usage.get("promptTokensDetails", [])
    assert not details or sum(d["tokenCount"] for d in details) == usage["promptTokenCount"]


def check_openai(usage: Json) -> None:
    prompt, completion = usage["prompt_tokens"], usage.get("completion_tokens", 0)
    assert usage.get("total_tokens", prompt + completion) == prompt + completion
    assert ((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0) <= prompt
    details = usage.get("completion_tokens_details") or {}
    assert (details.get("reasoning_tokens") or 0) <= completion
    if "prompt_cache_hit_tokens" in usage:
        assert usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"] == prompt
    if "total_time" in usage:
        assert usage["total_time"] == pytest.approx(usage["prompt_time"] + usage["completion_time"])
    if cost := usage.get("cost_details"):
        parts = cost["upstream_inference_prompt_cost"], cost["upstream_inference_completions_cost"]
        assert cost["upstream_inference_cost"] == pytest.approx(sum(parts))


def check_anthropic(usage: Json) -> None:
    written = usage["cache_creation_input_tokens"]
    assert sum(usage.get("cache_creation", {"5m": written}).values()) == written
    details = usage.get("output_tokens_details", {})
    assert details.get("thinking_tokens", 0) <= usage["output_tokens"]


def check_xai(usage: Json) -> None:
    thought = usage["completion_tokens_details"]["reasoning_tokens"]
    counted = usage["prompt_tokens"] + usage["completion_tokens"] + thought
    assert usage["total_tokens"] == counted
    assert usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]


def check_vertex(usage: Json) -> None:
    assert usage["total_tokens"] >= usage["prompt_tokens"] + usage["completion_tokens"]


CHECKS = {
    "gemini": check_gemini,
    "anthropic": check_anthropic,
    "xai": check_xai,
    "vertex": check_vertex,
}


def test_readme_lists_each_fixture_once() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    table = lines[lines.index("| provider | case | about |") + 2 :]
    rows = [line for line in table if line.startswith("|")]
    assert rows == [f"| {p.parent.name} | {p.stem} | {read(p)['about']} |" for p in FILES]
