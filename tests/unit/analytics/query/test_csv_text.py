"""Rows as CSV that a spreadsheet may open."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.analytics.query.csv_text import flatten, render_lines

WIDE = "\uff1d\uff0b\uff0d\uff20"
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.builds(
    lambda begin, text: begin + text,
    st.sampled_from(["=", "+", "-", "@", "\t", "\r", "\n", " =", '"', WIDE[0], "'="]),
    st.text("=1,;\"'\r\n", max_size=5),
)


def read(data: bytes) -> list[list[str]]:
    return [*csv.reader(io.StringIO(data.decode(), newline=""), strict=True)]


@given(st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=4))
def test_whatever_the_cells_hold_they_come_back_and_no_formula_runs(rows: list[list[str]]) -> None:
    for wanted, found in zip(rows, read(render_lines(rows)), strict=True):
        for text, cell in zip(wanted, found, strict=True):
            assert cell in (text, f"'{text}")
            assert not cell.lstrip().startswith(("=", "+", "-", "@", *WIDE))
            assert not cell.startswith(("\t", "\r", "\n", "\0"))


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1"])
def test_a_formula_is_a_text(text: str) -> None:
    assert read(render_lines([[text, "a"]])) == [[f"'{text}", "a"]]


def test_what_is_no_text() -> None:
    cells: list[object] = [None, True, 12, 0.25, {"a": "=1"}, [], {}, ({"b": 1},)]
    assert read(render_lines([cells])) == [["", "true", "12", "0.25", '{"a":"=1"}', "", "",
                                           '[{"b":1}]']]  # fmt: skip


def test_fields_of_objects_are_cells_of_their_own() -> None:
    assert flatten({"a": {"b": {"c": 1}}, "d": [2]}) == {"a.b.c": 1, "d": [2]}
