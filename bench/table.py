"""The samples of a run as tables of ratios."""

from collections.abc import Callable, Iterator, Sequence
from math import nan
from statistics import median
from typing import NamedTuple

from bench import rows
from bench.load import Sample


class Seen(NamedTuple):
    """What one measurement of one round has shown."""

    round: int
    kind: str
    connections: int
    name: str
    floor: str | None
    share: float
    sample: Sample


class Goal(NamedTuple):
    """What a row is wanted to reach."""

    kind: str
    name: str
    connections: Sequence[int]
    figure: str
    """A key of FIGURES."""
    wanted: float


class Table:
    """The medians over the rounds. A ratio and a difference are taken within a round first, so that
    what else the machine did at the time counts on both sides."""

    def __init__(self, seen: Sequence[Seen]) -> None:
        self._rows: dict[tuple[str, int, str], dict[int, Seen]] = {}
        for one in seen:
            key = one.kind, one.connections, one.name
            self._rows.setdefault(key, {})[one.round] = one

    def __iter__(self) -> Iterator[tuple[str, int, str]]:
        """The kind, connections and name of each row."""
        return iter(self._rows)

    def middle(self, key: tuple[str, int, str], read: Callable[[Sample], float]) -> float:
        """The median of what `read` gives of a row's samples."""
        return median(read(one.sample) for one in self._rows[key].values())

    def ratio(self, key: tuple[str, int, str]) -> float | None:
        """A row's answers a second as a part of its floor's, None where it has no floor."""
        return self._of_floor(key, lambda sample: sample.rate)

    def cpu_ratio(self, key: tuple[str, int, str]) -> float | None:
        """The same of the answers for a second of CPU."""
        return self._of_floor(key, lambda sample: 1 / sample.cpu if sample.cpu else nan)

    def _of_floor(self, key: tuple[str, int, str], read: Callable[[Sample], float]) -> float | None:
        kind, connections, _ = key
        row = self._rows[key]
        floor = next(iter(row.values())).floor
        floors = self._rows.get((kind, connections, floor)) if floor else None
        if floors is None:
            return None
        return median(
            read(one.sample) / one.share / read(floors[number].sample)
            for number, one in row.items()
        )

    def over(self, key: tuple[str, int, str], name: str) -> float | None:
        """Milliseconds at the median that a row's answers come later than those of another row:
        the whole answer, of a stream the first byte. None where the other is not measured."""
        kind, connections, _ = key
        others = self._rows.get((kind, connections, name))
        if others is None:
            return None
        read = _first if kind in ("burst", "paced") else _p50
        return median(
            read(one.sample) - read(others[number].sample)
            for number, one in self._rows[key].items()
        )


def _first(sample: Sample) -> float:
    return sample.first


def _p50(sample: Sample) -> float:
    return sample.p50


OF_FLOOR = "of its floor"
FIGURES: dict[str, Callable[[Table, tuple[str, int, str]], float | None]] = {
    OF_FLOOR: Table.ratio,
    "a second": lambda table, key: table.middle(key, lambda sample: sample.rate),
    "ms over the upstream's": lambda table, key: table.over(key, rows.ALONE),
    "ms to the first byte over untouched": lambda table, key: table.over(key, rows.UNTOUCHED),
}
GOALS = (
    Goal("hit", rows.HIT, (10, 50), OF_FLOOR, 0.75),
    Goal("hit", rows.QUIET_HIT, (10, 50), OF_FLOOR, 0.85),
    Goal("miss", rows.MISS, (10, 50), OF_FLOOR, 0.70),
    Goal("miss 50 ms", rows.MISS, (10,), "ms over the upstream's", 8),
    Goal("burst", rows.PASSED, (10, 50), OF_FLOOR, 0.6),
    Goal("burst", rows.TRANSLATED, (10, 50), OF_FLOOR, 2.5),
    Goal("paced", rows.PASSED, (50,), "a second", 120),
    Goal("paced", rows.TRANSLATED, (50,), "a second", 120),
    Goal("paced", rows.PASSED, (50,), "ms to the first byte over untouched", 15),
    Goal("paced", rows.TRANSLATED, (50,), "ms to the first byte over untouched", 15),
)


def goal_lines(table: Table) -> Iterator[str]:
    """Markdown: each goal, what was seen, and what is wanted."""
    yield "| load | who | connections | figure | seen | by CPU | wanted |"
    yield "| --- " * 7 + "|"
    for goal in GOALS:
        for connections in goal.connections:
            key = goal.kind, connections, goal.name
            seen = FIGURES[goal.figure](table, key) if key in table else None
            if seen is not None:
                sign = "at most" if goal.figure.startswith("ms") else "at least"
                who = f"{goal.kind} | {goal.name} | {connections} | {goal.figure}"
                by_cpu = table.cpu_ratio(key) if goal.figure == OF_FLOOR else None
                yield f"| {who} | {_number(seen)} | {_number(by_cpu)} | {sign} {goal.wanted:g} |"


def lines(table: Table) -> Iterator[str]:
    """Markdown: every row."""
    yield (
        "| load | connections | who | answers/s | of its floor | by CPU | CPU ms | p50 ms |"
        " p95 ms | first byte ms | ms over the upstream's |"
    )
    yield "| --- " * 11 + "|"
    for key in table:
        kind, connections, name = key
        over = None if name == rows.ALONE else table.over(key, rows.ALONE)
        first = table.middle(key, _first) if kind in ("burst", "paced") else None
        figures = (
            *(table.middle(key, lambda sample: sample.rate), table.ratio(key)),
            table.cpu_ratio(key),
            *(table.middle(key, read) for read in (lambda sample: sample.cpu, _p50)),
            *(table.middle(key, lambda sample: sample.p95), first, over),
        )
        texts = " | ".join(map(_number, figures))
        yield f"| {kind} | {connections} | {name} | {texts} |"


def _number(figure: float | None) -> str:
    """Three digits, as the rest is noise; nothing for None."""
    if figure is None:
        return ""
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if abs(figure) >= 10 else f"{figure:.2f}"
