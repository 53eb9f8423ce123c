"""`make catalog`: what it writes, what it tells, and what it says where it can't."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.catalog.making import (
    TODAY,
    entry,
    make_catalog,
    make_wheels,
    model,
    price,
    provider,
    run,
)
from tools.catalog import __main__ as command
from tools.catalog.document import Document
from tools.catalog.offers import SourceError

GPT = {"provider": "openai", "id": "gpt-9", "input": 2, "output": 8, "can": ["tools"]}
GENAI = "genai_prices-0.2.3-py3-none-any.whl"
LITELLM = "litellm-1.110.2-cp310-abi3-manylinux_2_28_x86_64.whl"


def wheels(folder: Path, **listed: dict[str, Any]) -> Path:
    """Wheels in which LiteLLM lists these models of OpenAI's beside gpt-9."""
    return make_wheels(folder, [provider("nobody")], {"gpt-9": entry("openai", 2, 8)} | listed)


def test_a_second_run_has_no_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog, folder = make_catalog(tmp_path, GPT | {"input": 1}), wheels(tmp_path)
    run(catalog, folder)
    first = capsys.readouterr().out
    assert '-    {"provider": "openai", "id": "gpt-9", "input": 1,' in first
    assert '+    {"provider": "openai", "id": "gpt-9", "input": 2,' in first
    written = catalog.read_text()
    stamp = '"refreshed": "2026-11-29 from genai-prices 0.2.3 and litellm 1.110.2"'
    assert stamp in written
    run(catalog, folder, "--date", "2026-11-30")  # another day is no change either
    assert "The catalogue is up to date.\n" in capsys.readouterr().out
    assert catalog.read_text() == written


def test_what_does_not_change_stays_byte_for_byte(tmp_path: Path) -> None:
    odd = '{"provider": "local",  "id": "x", "input": 0.0, "output": 0e0}'
    catalog = make_catalog(tmp_path, GPT, {"provider": "local", "id": "x"}, GPT | {"id": "gpt-8"})
    text = catalog.read_text().replace('{"provider": "local", "id": "x"}', odd)
    catalog.write_text(text)
    run(catalog, wheels(tmp_path, **{"gpt-8": entry("openai", 3, 8)}))
    before, after = text.splitlines(), catalog.read_text().splitlines()
    changed = [old for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 2 and '"refreshed"' in changed[0] and '"gpt-8"' in changed[1]


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog, folder = make_catalog(tmp_path, GPT | {"input": 1}), wheels(tmp_path)
    before = catalog.read_text()
    run(catalog, folder, "--dry-run")
    assert catalog.read_text() == before
    assert '"input": 2' in capsys.readouterr().out


def test_new_models_are_listed_and_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = {
        "gpt-10": entry("openai", 1, 1),
        "gpt-10:batch": entry("openai", 1, 1),
        "gpt-9-2026-11-01": entry("openai", 1, 1),
        "ft:gpt-9": entry("openai", 1, 1),
        "gpt-1": entry("openai", 1, 1, deprecation_date="2026-11-29"),
        "gpt-old": entry("openai", 1, 1),
        "gpt-video": entry("openai", 1, 1, mode="video_generation"),
    }
    catalog = make_catalog(tmp_path, GPT, aliases={"gpt-old": "openai/gpt-9"})
    assert len(run(catalog, wheels(tmp_path, **listed))) == 1
    told = capsys.readouterr().out
    assert "# New at openai: 1 (make catalog ADD=openai/ID)\ngpt-10\n" in told


def test_a_long_list_of_new_models_stands_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = wheels(tmp_path, **{f"gpt-{n}": entry("openai", 1, 1) for n in range(100, 200)})
    run(make_catalog(tmp_path, GPT), folder)
    told = capsys.readouterr().out
    assert f"# New at openai: 100 (make catalog ADD=openai/ID)\nsee {folder / 'new.txt'}" in told
    names = (folder / "new.txt").read_text().splitlines()
    assert names == [f"openai/gpt-{n}" for n in range(100, 200)]


def test_a_model_that_is_gone_is_listed_and_not_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = GPT | {"id": "gpt-7"}
    assert gone in run(make_catalog(tmp_path, GPT, gone), wheels(tmp_path))
    assert "Known to neither source, or gone from both\nopenai/gpt-7\n" in capsys.readouterr().out


def test_an_end_is_written_and_its_successor_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end = {"deprecation_date": "2026-12-11", "successor_model": "gpt-10"}
    ending = entry("openai", 2, 8, **end)
    folder = wheels(tmp_path, **{"gpt-9": ending, "gpt-8": entry("openai", 2, 8)})
    by_hand = GPT | {"id": "gpt-8", "shutdown": "2027-01-01", "replaced_by": "gpt-9"}
    first, second = run(make_catalog(tmp_path, GPT, by_hand), folder)
    assert first == GPT | {"shutdown": "2026-12-11"}
    assert second == by_hand  # no source names its day
    told = "openai/gpt-9 ends on 2026-12-11; LiteLLM names gpt-10 in its place\n"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("day", ["date when the model becomes deprecated", None, 20261211])
def test_an_end_that_is_no_day_is_none(tmp_path: Path, day: object) -> None:
    folder = wheels(tmp_path, **{"gpt-9": entry("openai", 2, 8, deprecation_date=day)})
    assert run(make_catalog(tmp_path, GPT), folder) == [GPT]


def test_a_name_that_outlives_its_model_does_not_end(tmp_path: Path) -> None:
    known = {"provider": "azure", "id": "gpt-9", "input": 2, "output": 8}
    listed = {"azure/gpt-9": entry("azure", 2, 8, deprecation_date="2026-12-11")}
    folder = make_wheels(tmp_path, [provider("nobody")], listed)
    assert run(make_catalog(tmp_path, known), folder) == [known]


def test_an_embedding_has_no_output_whatever_it_costs(tmp_path: Path) -> None:
    known = {"provider": "mistral", "id": "embed-9", "mode": "embedding", "input": 2, "output": 0}
    listed = {"mistral/embed-9": entry("mistral", 1, 1, mode="embedding")}
    folder = make_wheels(tmp_path, [provider("nobody")], listed)
    assert run(make_catalog(tmp_path, known), folder) == [known | {"input": 1}]


def test_a_model_that_is_asked_for_is_added_below_its_provider(tmp_path: Path) -> None:
    abilities = {"supports_vision": True, "supports_reasoning": True, "supports_tool_choice": True}
    listed = {
        "gpt-10": entry("openai", 3, 9, max_input_tokens=100, **abilities),
        "embed-1": entry("openai", 0.1, 0, mode="embedding", max_output_tokens=5),
        "gpt-image-9": entry(
            "openai", 5, 30, mode="image_generation", input_cost_per_image_token=8
        ),
        "omni-9": entry("openai", 0, 0, mode="moderation"),
    }
    names = [f"openai/{id_}" for id_ in listed]
    catalog = make_catalog(tmp_path, GPT, {"provider": "local", "id": "x"})
    models = run(catalog, wheels(tmp_path, **listed), "--add", *names)
    assert models[1:-1] == [
        {
            "provider": "openai",
            "id": "gpt-10",
            "input": 3,
            "output": 9,
            "context": 100,
            "can": ["vision", "reasoning"],
        },
        {"provider": "openai", "id": "embed-1", "mode": "embedding", "input": 0.1, "output": 0},
        {"provider": "openai", "id": "gpt-image-9", "mode": "image"},
        {"provider": "openai", "id": "omni-9", "mode": "moderation", "input": 0, "output": 0},
    ]
    assert [model["provider"] for model in models] == ["openai"] * 5 + ["local"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("openai/gpt-11", "neither source knows a model of that name"),
        ("openai/gpt-9", "the catalogue has it"),
        ("deepseek/deepseek-9", "has no model of deepseek to put deepseek-9 below"),
    ],
)
def test_what_can_not_be_added_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, fault: str
) -> None:
    listed = {"deepseek/deepseek-9": entry("deepseek", 1, 1)}
    catalog, folder = make_catalog(tmp_path, GPT), wheels(tmp_path, **listed)
    before = catalog.read_text()
    words = ["--file", str(catalog), "--wheels", str(folder), "--date", TODAY, "--add", name]
    assert command.main(words) == 1
    assert fault in capsys.readouterr().err
    assert catalog.read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"aliases": {}, "models": []}',
        '{\n    "refreshed": "",\n"aliases": {}, "models": [\n    {"provider": "a", "id": "b"},\n'
        '{"provider": "a", "id": "c"}]}',
    ],
)
def test_a_file_that_is_no_catalogue(text: str) -> None:
    with pytest.raises(SourceError, match=r"catalog\.json"):
        Document.read(text)


def test_the_shipped_catalogue_is_read_whole() -> None:
    text = command.CATALOG.read_text()
    document = Document.read(text)
    assert document.render() == text
    listed = [(model["provider"], model["id"]) for model in json.loads(text)["models"]]
    assert list(document.entries) == listed


def test_a_length_that_is_the_context_is_none_at_workers_ai(tmp_path: Path) -> None:
    limits = {"max_input_tokens": 90, "max_output_tokens": 90}
    listed = {
        "cloudflare/@cf/a/b": entry("cloudflare", 1, 1, **limits),
        "gemini/gemini-9": entry("gemini", 1, 1, **limits),
    }
    folder = make_wheels(tmp_path, [provider("nobody")], listed)
    models = [{"provider": "workers-ai", "id": "@cf/a/b"}, {"provider": "gemini", "id": "gemini-9"}]
    there, here = run(make_catalog(tmp_path, *models), folder)
    assert there["context"] == here["context"] == 90
    assert here["max_output"] == 90 and "max_output" not in there


def test_an_embedding_of_genai_prices_is_known_by_its_name(tmp_path: Path) -> None:
    name = "@cf/qwen/qwen9-embedding-1b"
    folder = make_wheels(tmp_path, [provider("cloudflare", model(name, price(input="0.01")))], {})
    catalog = make_catalog(tmp_path, {"provider": "workers-ai", "id": "@cf/a/b"})
    _, added = run(catalog, folder, "--add", f"workers-ai/{name}")
    assert added == {"provider": "workers-ai", "id": name} | {
        "mode": "embedding",
        "input": 0.01,
        "output": 0,
    }


def test_genai_prices_alone_may_know_a_model(tmp_path: Path) -> None:
    genai = [provider("openai", model("gpt-9", price(input="3", output="8"), context=77))]
    folder = make_wheels(tmp_path, genai, {"x": entry("nobody", 1, 1)})
    assert run(make_catalog(tmp_path, GPT), folder) == [
        {"provider": "openai", "id": "gpt-9", "input": 3, "output": 8, "context": 77}
        | {"can": ["tools"]}
    ]
