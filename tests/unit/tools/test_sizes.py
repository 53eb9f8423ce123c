"""How long a function and a file may be."""

import ast

import pytest

from tools.layout import ROOT

LINES = {"function": 40, "file": 350}


@pytest.mark.parametrize("folder", ["src", "tools", "bench", "tests"])
def test_no_function_and_no_file_is_too_long(folder: str) -> None:
    too_long = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > LINES["function"]:
                    too_long.append(f"{path.relative_to(ROOT)}: {node.name}, {length} lines")
        if (length := len(text.splitlines())) > LINES["file"]:
            too_long.append(f"{path.relative_to(ROOT)}, {length} lines")
    assert too_long == []
