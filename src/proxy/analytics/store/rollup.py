"""The roll-ups of one shard: sums by minute, hour and day, and since ever.

Promises: every event is counted once in each span, under the names that its day still has room
for (names.Names); sums of any of these rows are exact, quantiles those of totals.Sketch. SQL does
the merging, of counters and of sketches: an event costs Python one pass, a query none.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TypeAlias

import msgspec
from msgspec import structs

from proxy.analytics.record.names import Caps, Names
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.figures import KEPT_SECONDS, MOST, SPAN_SECONDS, Group, Query, Sums
from proxy.analytics.store.totals import COUNTERS, Sketch, Totals, count_attempts
from proxy.core.ports import SQL

A_DAY = Caps(users=1_000, models=50, pairs=2_000)
EVER = Caps(users=2_000, models=500, pairs=5_000)
"""How many are told apart in a shard's rows."""
LONGEST = 256
"""Characters of a name that are kept."""
DAY = 86_400
"""Seconds. An event that says that it is older than a day, or of the future, has a wrong clock."""
SPARE = 12
"""A window's first step may begin before it: a twelfth more is kept than can be asked for."""
ROWS = 200
"""Sent in one statement: its one binding must stay below 2 MB."""

_Place: TypeAlias = tuple[str, str, int, str, str]
_PLACE: Callable[[RequestRecord], _Place] = attrgetter(
    "provider", "endpoint", "status", "user", "model"
)
_Row: TypeAlias = tuple[int | str, ...]
_SKETCHES = ("latency", "first")
_SPANS = ", ".join(f"('{span}', {seconds})" for span, seconds in SPAN_SECONDS.items())

_CREATE = f"""
CREATE TABLE IF NOT EXISTS sums (
  span TEXT, start INTEGER, provider TEXT, model TEXT, user TEXT, endpoint TEXT, status INTEGER,
  {", ".join(f"{name} INTEGER NOT NULL" for name in COUNTERS)},
  {", ".join(f"{name} TEXT NOT NULL" for name in _SKETCHES)},
  PRIMARY KEY (span, start, provider, model, user, endpoint, status)
) STRICT, WITHOUT ROWID"""


def _merged(sketch: str) -> str:
    return f"""{sketch} = (
  SELECT json_group_object(bucket, n) FROM (
    SELECT bucket, sum(n) AS n FROM (
      SELECT key AS bucket, value AS n FROM json_each(sums.{sketch})
      UNION ALL SELECT key, value FROM json_each(excluded.{sketch})
    ) GROUP BY bucket))"""


# A row comes as [minute, provider, endpoint, status, user, model, user and model of the row since
# ever, counters, sketches]; each goes into a row of each span. `WHERE true` tells the parser that
# ON belongs to the INSERT.
_ADD = f"""
INSERT INTO sums (span, start, provider, model, user, endpoint, status,
  {", ".join((*COUNTERS, *_SKETCHES))})
SELECT spans.span,
  iif(spans.seconds = 0, 0, (told.value ->> 0) / spans.seconds * spans.seconds),
  told.value ->> 1,
  told.value ->> iif(spans.seconds = 0, 7, 5),
  told.value ->> iif(spans.seconds = 0, 6, 4),
  told.value ->> 2,
  told.value ->> 3,
  {", ".join(f"told.value ->> {8 + i}" for i in range(len(COUNTERS)))},
  {", ".join(f"told.value -> {8 + len(COUNTERS) + i}" for i in range(len(_SKETCHES)))}
FROM json_each(?) AS told,
  (SELECT column1 AS span, column2 AS seconds FROM (VALUES {_SPANS}, ('ever', 0))) AS spans
WHERE true
ON CONFLICT DO UPDATE SET
  {", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTERS)},
  {", ".join(_merged(name) for name in _SKETCHES)}"""

_SUMS = f"json_array({', '.join(f'sum({name})' for name in COUNTERS)})"
_KEY = msgspec.json.Decoder(list[int | str])
_NUMBERS = msgspec.json.Decoder(list[int])
_SKETCH = msgspec.json.Decoder(Sketch)


class Rollup:
    """The roll-ups of one shard. `now` is in ms since 1970 by the shard's clock."""

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        sql(_CREATE)
        self._names: dict[int, Names] = {}
        """By the day's begin in seconds; 0: since ever."""

    def add(self, events: Iterable[RequestRecord], now: int) -> None:
        """Counts events, at the time that they tell where it can be true."""
        alike: defaultdict[_Place, list[RequestRecord]] = defaultdict(list)
        for event in events:
            alike[_PLACE(event)].append(event)
        sums: dict[_Row, Totals] = {}
        for place, many in alike.items():
            for minute, of_it in _by_minute(many, now - DAY * 1000, now):
                sums.setdefault(self._row(minute, *place), Totals()).count(of_it)
                _, endpoint, status, user, _ = place
                for (provider, model), attempts in count_attempts(of_it).items():
                    row = self._row(minute, provider, endpoint, status, user, model)
                    sums.setdefault(row, Totals()).add(attempts)
        rows = [[*row, *structs.astuple(totals)] for row, totals in sums.items()]
        for i in range(0, len(rows), ROWS):
            self._sql(_ADD, msgspec.json.encode(rows[i : i + ROWS]).decode())

    def figures(self, query: Query) -> Sums:
        """The sums that are asked for; of more than MOST only that they are too many."""
        where, bindings = _where(query)
        key = f"json_array({', '.join((_step(query), *query.group_by))})"
        counted = self._sql(
            f"SELECT {key} AS k, {_SUMS} FROM sums WHERE {where} GROUP BY k LIMIT {MOST + 1}",
            *bindings,
        )
        if len(counted) > MOST:
            return Sums(groups=[], cut=True)
        latency, first = (self._sketches(name, key, where, bindings) for name in _SKETCHES)
        groups = []
        for text, numbers in counted:
            at, *values = _KEY.decode(text)
            totals = Totals(
                latency=latency.get(text, {}),
                first=first.get(text, {}),
                **dict(zip(COUNTERS, _NUMBERS.decode(numbers), strict=True)),
            )
            group = Group(key=dict(zip(query.group_by, values, strict=True)), totals=totals)
            if query.step is not None:
                group.at = int(at)
            groups.append(group)
        return Sums(groups=groups)

    def prune(self, now: int) -> None:
        """Drops the rows that are older than they are kept."""
        for span, kept in KEPT_SECONDS.items():
            oldest = now // 1000 - kept - kept // SPARE
            self._sql("DELETE FROM sums WHERE span = ? AND start < ?", span, oldest)
        for day in [*self._names]:
            if 0 < day < now // 1000 - 3 * DAY:
                del self._names[day]

    def _row(
        self, minute: int, provider: str, endpoint: str, status: int, user: str, model: str
    ) -> _Row:
        """Where it is counted: under the names that are told apart."""
        user, model = user[:LONGEST], model[:LONGEST]
        return (
            minute,
            provider[:LONGEST],
            endpoint[:LONGEST],
            status,
            *self._known(minute // DAY * DAY, A_DAY).admit(user, model),
            *self._known(0, EVER).admit(user, model),
        )

    def _known(self, day: int, caps: Caps) -> Names:
        names = self._names.get(day)
        if names is None:
            rows = self._sql(
                "SELECT DISTINCT user, model FROM sums WHERE span = ? AND start = ?",
                "day" if day else "ever",
                day,
            )
            names = self._names[day] = Names(caps, ((user, model) for user, model in rows))
        return names

    def _sketches(
        self, name: str, key: str, where: str, bindings: list[str | int]
    ) -> dict[str, Sketch]:
        rows = self._sql(
            "SELECT k, json_group_object(bucket, n) FROM ("
            f"SELECT {key} AS k, each.key AS bucket, sum(each.value) AS n"
            f" FROM sums, json_each(sums.{name}) AS each WHERE {where} GROUP BY k, bucket"
            ") GROUP BY k",
            *bindings,
        )
        return {key: _SKETCH.decode(sketch) for key, sketch in rows}


def _by_minute(
    events: list[RequestRecord], oldest: int, now: int
) -> Iterable[tuple[int, list[RequestRecord]]]:
    """Events by the minute (seconds since 1970) in which they came, most often all in one."""
    times = [event.at for event in events]
    first, last = min(times), max(times)
    if oldest <= first and last <= now and first // 60_000 == last // 60_000:
        return [(first // 60_000 * 60, events)]
    found: defaultdict[int, list[RequestRecord]] = defaultdict(list)
    for event in events:
        found[min(max(event.at, oldest), now) // 60_000 * 60].append(event)
    return found.items()


def _step(query: Query) -> str:
    """The begin of a row's step. Numbers are written out: bound, they would be doubles, and the
    division not whole."""
    if query.step is None:
        return "0"
    return f"start - (start - {query.begin}) % {query.step}"


def _where(query: Query) -> tuple[str, list[str | int]]:
    """What rows must fulfil, and the bindings for it."""
    terms, bindings = ["span = ?"], [query.span, *query.only.values()]
    if query.span != "ever":
        terms.append(f"start >= {query.begin} AND start < {query.end}")
    terms += [f"{name} = ?" for name in query.only]
    if query.models_only:
        terms.append("endpoint GLOB '/v1/*'")
    return " AND ".join(terms), bindings
