"""The adaptations of the glue: all of them, each as often as stated, or none."""

import json
from pathlib import Path

import pytest

from tests.unit.tools.offline.capnp_reader import Reader
from tools.offline.bundle import ADAPTATIONS, Adaptation, AdaptationError, adapt_glue, build_bundle
from tools.offline.capnp import Kind

GLUE = "\n".join(adaptation.found for adaptation in ADAPTATIONS for _ in range(adaptation.times))


@pytest.fixture
def pyodide(tmp_path: Path) -> Path:
    """A folder laid out like npm's package."""
    (tmp_path / "pyodide.asm.mjs").write_text(GLUE)
    (tmp_path / "pyodide.asm.wasm").write_bytes(b"\0asm")
    (tmp_path / "package.json").write_text(json.dumps({"version": "999.1.0"}))
    return tmp_path


@pytest.fixture
def stdlib(tmp_path: Path) -> Path:
    """An archive in the place of the standard library."""
    (tmp_path / "stdlib.zip").write_bytes(b"PK")
    return tmp_path / "stdlib.zip"


def test_nothing_of_what_workerd_forbids_is_left() -> None:
    adapted = adapt_glue(GLUE)
    for adaptation in ADAPTATIONS:
        if adaptation.found not in adaptation.becomes:
            assert adaptation.found not in adapted
        assert adaptation.becomes in adapted


def test_what_the_glue_calls_is_imported() -> None:
    imports, _, _ = adapt_glue(GLUE).partition("\n")
    for name in ("newWasmModule", "wasmInstantiate", "monotonicDateNow", "patchedLoadLibData"):
        assert name in imports


@pytest.mark.parametrize("adaptation", ADAPTATIONS, ids=lambda adaptation: adaptation.name)
def test_a_missing_occurrence_is_named_with_both_counts(adaptation: Adaptation) -> None:
    doctored = GLUE.replace(adaptation.found, "", 1)
    with pytest.raises(AdaptationError) as raised:
        adapt_glue(doctored)
    times = adaptation.times
    assert f"{adaptation.name}: expected {times}, found {times - 1}" in str(raised.value)


def test_an_occurrence_too_many_is_an_error_too() -> None:
    with pytest.raises(AdaptationError, match=r"Date\.now: expected 22, found 23"):
        adapt_glue(GLUE + "Date.now()")


def test_every_mismatch_is_listed() -> None:
    with pytest.raises(AdaptationError) as raised:
        adapt_glue("")
    assert all(adaptation.name in str(raised.value) for adaptation in ADAPTATIONS)


def test_the_bundle_holds_the_three_modules(pyodide: Path, stdlib: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "pyodide_dev.capnp.bin"
    build_bundle(pyodide, stdlib, target)
    glue, wasm, library = Reader(target.read_bytes()).modules()
    assert glue == ("pyodideRuntime-internal:pyodide.asm", Kind.SRC, adapt_glue(GLUE).encode())
    assert wasm == ("pyodideRuntime-internal:pyodide.asm.wasm", Kind.WASM, b"\0asm")
    assert library == ("pyodideRuntime-internal:python_stdlib.zip", Kind.DATA, b"PK")


def test_an_unfit_pyodide_is_named_and_leaves_no_bundle(
    pyodide: Path, stdlib: Path, tmp_path: Path
) -> None:
    (pyodide / "pyodide.asm.mjs").write_text(GLUE.replace("eval(data)", ""))
    target = tmp_path / "pyodide_dev.capnp.bin"
    with pytest.raises(AdaptationError, match=r"pyodide 999\.1\.0 .* eval of a loaded file"):
        build_bundle(pyodide, stdlib, target)
    assert not target.exists()
