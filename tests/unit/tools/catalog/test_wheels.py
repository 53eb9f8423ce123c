"""The wheels of the sources: fetched, found, read, and refused where they have another form."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.catalog.making import entry, make_catalog, make_wheels, provider, write_wheel
from tools.catalog import __main__ as command
from tools.catalog import wheels as fetching
from tools.catalog.offers import SourceError

GPT = {"provider": "openai", "id": "gpt-9", "input": 2, "output": 8, "can": ["tools"]}
GENAI = "genai_prices-0.2.3-py3-none-any.whl"
LITELLM = "litellm-1.110.2-cp310-abi3-manylinux_2_28_x86_64.whl"


def wheels(folder: Path, **listed: dict[str, Any]) -> Path:
    """Wheels in which LiteLLM lists these models of OpenAI's beside gpt-9."""
    return make_wheels(folder, [provider("nobody")], {"gpt-9": entry("openai", 2, 8)} | listed)


MODEL = "providers = [Provider(id='openai', models=[ModelInfo(id='gpt-9', {})])]"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("providers = [", "is no Python"),
        ("x = 1", "expected a list of Provider(id="),
        ("providers = [f(x) for x in y]", "line 1: expected data, found [f(x) for x in y]"),
        (MODEL.format("name='x'"), "expected ModelInfo(id=…, match=…, prices=…)"),
        (
            MODEL.format("match=ClauseSounds(like='gpt'), prices=ModelPrice()").replace("-9", ""),
            "expected one of ClauseOr, ClauseAnd",
        ),
        (
            MODEL.format("match=ClauseEquals(equals='x'), prices=ModelPrice(input_mtok='many')"),
            "gpt-9 has another form than expected: TypeError",
        ),
        (
            MODEL.format(
                "match=ClauseEquals(equals='x'), prices=[ConditionalPrice("
                "constraint=MoonConstraint(), prices=ModelPrice())]"
            ),
            "expected a constraint by date or time, found MoonConstraint",
        ),
    ],
)
def test_data_of_genai_prices_in_another_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: str, expected: str
) -> None:
    assert expected in refuse(tmp_path, capsys, GENAI, {"genai_prices/data.py": data})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("{", "is no JSON"),
        ("[]", "expected an object with an entry for each model"),
        ('{"models": []}', "expected an object with an entry for each model"),
        (
            '{"gpt-9": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1, '
            '"off_peak_pricing": {"windows": [{"hours": "00:00-01:00"}]}}}',
            "gpt-9 has another form than expected: KeyError('hours_utc')",
        ),
    ],
)
def test_data_of_litellm_in_another_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: str, expected: str
) -> None:
    file = "litellm/model_prices_and_context_window_backup.json"
    assert expected in refuse(tmp_path, capsys, LITELLM, {file: data})


@pytest.mark.parametrize(
    ("wheel", "file"),
    [(GENAI, "genai_prices/data.py"), (LITELLM, "litellm/model_prices_and_context_window")],
)
def test_data_that_has_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wheel: str, file: str
) -> None:
    told = refuse(tmp_path, capsys, wheel, {"elsewhere.json": "{}"})
    assert f"{wheel}: expected a wheel with {file}" in told


def refuse(
    folder: Path, capsys: pytest.CaptureFixture[str], wheel: str, files: dict[str, str]
) -> str:
    """What the command says of a wheel with these files; it leaves the catalogue alone."""
    catalog = make_catalog(folder, GPT)
    before = catalog.read_text()
    ((file, text),) = files.items()
    write_wheel(wheels(folder) / wheel, file, text)
    assert command.main(["--file", str(catalog), "--wheels", str(folder)]) == 1
    assert catalog.read_text() == before
    return capsys.readouterr().err


def test_a_wheel_that_is_broken_or_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog, folder = make_catalog(tmp_path, GPT), wheels(tmp_path)
    (folder / LITELLM).write_bytes(b"half a file")
    words = ["--file", str(catalog), "--wheels", str(folder)]
    assert command.main(words) == 1
    assert f"{LITELLM}: expected a wheel with" in capsys.readouterr().err
    (folder / LITELLM).unlink()
    assert command.main(words) == 1
    assert f"{folder} has no wheel of litellm" in capsys.readouterr().err


def test_the_newest_of_several_wheels_counts(tmp_path: Path) -> None:
    folder = wheels(tmp_path)
    for version in ("1.9.9", "1.110.10", "1.110.9"):
        (folder / f"litellm-{version}-py3-none-any.whl").write_bytes(b"")
    assert fetching.read_version(fetching.find("litellm", folder)) == "1.110.10"


def test_without_a_network_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert {"download", "--no-deps", "--only-binary=:all:"} <= set(words)
        return subprocess.CompletedProcess(words, 1, "", "No matching distribution found")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(SourceError, match=r"No matching(.|\n)*--wheels FOLDER"):
        fetching.fetch(["litellm"], tmp_path / "wheels")
