"""The bench's tables and plot."""

import pytest

from bench import rows
from bench.load import Sample
from bench.plot import Bar, draw
from bench.summary import summarise
from bench.table import Seen, Table, goal_lines, lines
from tools.layout import ROOT
from tools.settings import replace_between


def seen(number: int, kind: str, name: str, rate: float, **more: float) -> Seen:
    floors = {rows.PASSED: rows.PIPE, rows.TRANSLATED: rows.PUMP, rows.MISS: rows.READ}
    sample = Sample(rate, more.get("cpu", 1), more.get("p50", 1), 2, more.get("first", 1))
    share = 0.5 if name == rows.TRANSLATED else 1
    return Seen(number, kind, 10, name, floors.get(name), share, sample)


BURST = Table(
    [
        # The machine is slow in the second round, and the floor has luck in the third.
        *(seen(0, "burst", rows.PIPE, 300), seen(0, "burst", rows.PASSED, 150)),
        *(seen(1, "burst", rows.PIPE, 100), seen(1, "burst", rows.PASSED, 60)),
        *(seen(2, "burst", rows.PIPE, 900), seen(2, "burst", rows.PASSED, 90)),
        *(seen(0, "burst", rows.PUMP, 60), seen(0, "burst", rows.TRANSLATED, 75)),
    ]
)
MISSES = Table(
    [
        *(
            seen(0, "miss 50 ms", rows.ALONE, 200, p50=50),
            seen(0, "miss 50 ms", rows.MISS, 170, p50=62),
        ),
        *(
            seen(1, "miss 50 ms", rows.ALONE, 200, p50=53),
            seen(1, "miss 50 ms", rows.MISS, 170, p50=59),
        ),
    ]
)


def test_a_ratio_is_taken_within_a_round() -> None:
    assert BURST.ratio(("burst", 10, rows.PASSED)) == 0.5
    assert BURST.ratio(("burst", 10, rows.PIPE)) is None


def test_half_of_a_floor_doubles_the_ratio() -> None:
    assert BURST.ratio(("burst", 10, rows.TRANSLATED)) == 2.5


def test_cpu_is_compared_too() -> None:
    table = Table([seen(0, "miss", rows.READ, 1, cpu=0.5), seen(0, "miss", rows.MISS, 1, cpu=2)])
    assert table.cpu_ratio(("miss", 10, rows.MISS)) == 0.25


def test_a_difference_is_taken_within_a_round() -> None:
    assert MISSES.over(("miss 50 ms", 10, rows.MISS), rows.ALONE) == 9
    assert MISSES.ratio(("miss 50 ms", 10, rows.MISS)) is None  # its floor was not measured


def test_goals_stand_beside_what_was_seen() -> None:
    told = list(goal_lines(BURST))
    assert "| burst | passed through | 10 | of its floor | 0.50 | 1.00 | at least 0.6 |" in told
    assert "| burst | translated | 10 | of its floor | 2.50 | 2.00 | at least 2.5 |" in told
    told = list(goal_lines(MISSES))
    assert told[2:] == ["| miss 50 ms | miss | 10 | ms over the upstream's | 9.00 |  | at most 8 |"]


def test_each_row_has_a_line_with_all_columns() -> None:
    told = list(lines(BURST))
    assert len(told) == 2 + 4
    assert {line.count("|") for line in told} == {12}
    assert (
        "| burst | 10 | passed through | 90.0 | 0.50 | 1.00 | 1.00 | 1.00 | 2.00 | 1.00 |  |"
        in told
    )


@pytest.mark.parametrize(("ratio", "width"), [(1, "150.0"), (3, "450.0"), (7, "450.0")])
def test_a_bar_is_as_long_as_its_ratio_up_to_the_end(ratio: float, width: str) -> None:
    drawn = draw("title", [Bar("a <label>", ratio, 0.6, "#123456")])
    assert f'width="{width}" height="16" fill="#123456"' in drawn
    assert f">{ratio:.2f}<" in drawn
    assert "a &lt;label&gt;" in drawn


def test_readme_has_the_figures_of_the_last_run() -> None:
    document = (ROOT / "docs" / "performance.md").read_text()
    text = (ROOT / "README.md").read_text()
    assert replace_between(text, "speed", summarise(document)) == text
