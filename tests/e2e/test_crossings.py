"""What a request crosses and waits for, counted inside the real Worker. A crossing costs more than
most of the Python between two of them, so a count that grows is a request that got slower.

`python -m bench.crossings --update` writes the table anew; bench/README.md says what each kind is.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate

import pytest

from bench.crossings import (
    GUARDED,
    PHASES,
    Counts,
    Sent,
    Session,
    counted,
    least,
    paths,
    read_table,
)

MOST = """\
|  | hit | miss | stream |
| --- | --- | --- | --- |
| entries | 3 + 0 + 1 | 7 + 0 + 1 | 8 + 4 + 1 |
| calls of JavaScript | 7 + 7 + 10 | 31 + 8 + 10 | 32 + 30 + 10 |
| awaits of promises | 1 + 0 + 1 | 5 + 0 + 1 | 6 + 4 + 1 |
| tasks | 1 + 2 + 0 | 1 + 2 + 0 | 2 + 2 + 0 |
| callbacks scheduled | 0 + 0 + 0 | 0 + 0 + 0 | 0 + 0 + 0 |
| timers | 0 + 2 + 1 | 1 + 2 + 1 | 2 + 3 + 1 |
| timers cancelled | 0 + 0 + 1 | 1 + 0 + 1 | 1 + 2 + 1 |
| proxies | 0 + 2 + 1 | 1 + 2 + 1 | 2 + 3 + 1 |
| conversions | 2 + 0 + 1 | 6 + 0 + 1 | 5 + 3 + 1 |
| clock reads | 2 + 0 + 2 | 10 + 0 + 2 | 12 + 1 + 2 |
| log lines | 0 + 1 + 0 | 0 + 1 + 0 | 0 + 1 + 0 |
| fetches | 0 + 0 + 0 | 1 + 0 + 0 | 1 + 0 + 0 |
| Durable Object calls | 0 + 0 + 1 | 1 + 0 + 1 | 1 + 0 + 1 |
| KV operations | 0 + 0 + 0 | 2 + 0 + 0 | 1 + 1 + 0 |
| R2 operations | 0 + 0 + 0 | 0 + 0 + 0 | 0 + 0 + 0 |
| data points | 0 + 0 + 1 | 0 + 0 + 1 | 0 + 0 + 1 |
"""
"""The most of each: until the response is built + after it + when its figures are reported."""
TRIES = 8
"""Now and then a request also does what is due every few seconds, such as telling the board of
providers; never so often in a row."""


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with counted() as session:
        yield session


@pytest.fixture(scope="module")
def requests(session: Session) -> dict[str, Callable[[], Sent]]:
    return paths(session)


def _grown(counts: Counts, most: dict[str, list[int]]) -> dict[str, tuple[list[int], list[int]]]:
    """What is more than the table has, by kind: counted, and in the table. Phases add up, so that
    a busy machine, on which the figures are reported early, changes nothing."""
    grown = {}
    for kind in sorted({kind for _, kind in counts} | set(most)):
        found = [counts.get((phase, kind), 0) for phase in PHASES]
        limit = most.get(kind, [0] * len(PHASES))
        if any(a > b for a, b in zip(accumulate(found), accumulate(limit), strict=True)):
            grown[kind] = (found, limit)
    return grown


@pytest.mark.parametrize("path", GUARDED)
def test_no_count_has_grown(
    session: Session, requests: dict[str, Callable[[], Sent]], path: str
) -> None:
    most, make = read_table(MOST)[path], requests[path]
    session.warm_up(make)
    runs = [session.count(make())]
    while (grown := _grown(least(runs), most)) and len(runs) < TRIES:
        runs.append(session.count(make()))
    assert not grown
