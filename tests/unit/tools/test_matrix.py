"""The tables of providers that are written from the catalogue."""

from pathlib import Path

import pytest

from proxy.core.chat import Wire
from tests.unit.serving.test_matrix import PROVIDERS
from tests.unit.serving.turns import PATHS
from tools import matrix


@pytest.mark.parametrize("file", matrix.RENDERERS, ids=lambda file: file.name)
def test_the_tables_are_current(file: Path) -> None:
    text = file.read_text("utf-8")
    assert matrix.RENDERERS[file](text) == text, "Run: python -m tools.matrix"


def test_a_row_tells_what_the_catalogue_says() -> None:
    table = matrix.render_document("<!-- providers -->\n<!-- end of providers -->\n")
    rows = {line.split("](")[0].lstrip("| ["): line for line in table.splitlines()[4:-2]}
    assert list(rows) == list(matrix.CATALOG.providers)
    ways = "| as it comes | translated | as it comes |"
    assert ways in rows["xai"] and "`GET /api-key`" in rows["xai"]
    assert "| by model, else as words in the prompt |" in rows["zai"]
    assert rows["bedrock"].endswith("| none |")


def test_each_cell_of_the_table_is_tried() -> None:
    wires: set[Wire] = {"chat", "messages", "responses"}
    assert wires <= set(PATHS)
    assert set(matrix.CATALOG.providers) <= set(PROVIDERS)
