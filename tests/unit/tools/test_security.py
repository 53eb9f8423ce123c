"""docs/security.md names a test for each threat, and each of them is there."""

import ast
import re

from tools.layout import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


def find_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_test_that_is_named_is_there() -> None:
    found = {path: find_tests(path) for path, _ in NAMED if (ROOT / path).exists()}
    missing = [f"{path}::{name}" for path, name in NAMED if name not in found.get(path, ())]
    assert missing == []
    assert len(NAMED) > 50


def test_every_threat_names_one() -> None:
    threats = TEXT.split("## Threats")[1].split("## What is not held")[0]
    rows = [line for line in threats.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| ---", "| threat"))]
    assert len(rows) > 30
    assert [row for row in rows if "::test_" not in row] == []
