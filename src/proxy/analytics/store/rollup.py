"""The roll-ups of one shard: sums by minute, hour and day, and since ever.

Promises: every request is counted once at each resolution, under the names that its day still has
room for (store.names); sums of any of these rows are exact, quantiles those of store.sketch. SQL
merges counters and sketches: a request costs Python one pass, a query none.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TypeAlias

import msgspec
from msgspec import structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import (
    KEPT_SECONDS,
    MOST_GROUPS,
    RESOLUTION_SECONDS,
    Resolution,
    Sums,
    SumsGroup,
    SumsQuery,
)
from proxy.analytics.store.names import Caps, KnownNames
from proxy.analytics.store.sketch import Sketch
from proxy.analytics.store.totals import COUNTERS, Totals, count_attempts
from proxy.core.ports import SQL

A_DAY = Caps(users=1_000, models=50, pairs=2_000)
EVER = Caps(users=2_000, models=500, pairs=5_000)
"""How many are counted apart in a shard's rows."""
LONGEST = 256
"""Characters of a name that are kept."""
DAY = 86_400
"""Seconds. A record that says that it is older than a day, or of the future, has a wrong clock."""
COARSER: dict[Resolution, Resolution] = {"minute": "hour", "hour": "day"}
SPARE = 12
"""A window's first step may begin before it: a twelfth more is kept than a query can want."""
ROWS = 200
"""Sent in one statement: its one binding must stay below 2 MB."""

_Place: TypeAlias = tuple[str, str, int, str, str]
_PLACE: Callable[[RequestRecord], _Place] = attrgetter(
    "provider", "endpoint", "status", "user", "model"
)
_Row: TypeAlias = tuple[int | str, ...]
_SKETCHES = ("latency", "first")
_SPANS = ", ".join(f"('{name}', {seconds})" for name, seconds in RESOLUTION_SECONDS.items())

_CREATE = f"""
CREATE TABLE IF NOT EXISTS sums (
  span TEXT, start INTEGER, provider TEXT, model TEXT, user TEXT, endpoint TEXT, status INTEGER,
  {", ".join(f"{name} INTEGER NOT NULL" for name in COUNTERS)},
  {", ".join(f"{name} TEXT NOT NULL" for name in _SKETCHES)},
  PRIMARY KEY (span, start, provider, model, user, endpoint, status)
) STRICT, WITHOUT ROWID"""


def _merge(sketch: str) -> str:
    return f"""{sketch} = (
  SELECT json_group_object(bucket, n) FROM (
    SELECT bucket, sum(n) AS n FROM (
      SELECT key AS bucket, value AS n FROM json_each(sums.{sketch})
      UNION ALL SELECT key, value FROM json_each(excluded.{sketch})
    ) GROUP BY bucket))"""


# A row is sent as [minute, provider, endpoint, status, user, model, user and model of the row since
# ever, counters, sketches]; each goes into a row of each resolution. `WHERE true` lets the parser
# know that ON belongs to the INSERT.
_ADD = f"""
INSERT INTO sums (span, start, provider, model, user, endpoint, status,
  {", ".join((*COUNTERS, *_SKETCHES))})
SELECT spans.span,
  iif(spans.seconds = 0, 0, (sent.value ->> 0) / spans.seconds * spans.seconds),
  sent.value ->> 1,
  sent.value ->> iif(spans.seconds = 0, 7, 5),
  sent.value ->> iif(spans.seconds = 0, 6, 4),
  sent.value ->> 2,
  sent.value ->> 3,
  {", ".join(f"sent.value ->> {8 + i}" for i in range(len(COUNTERS)))},
  {", ".join(f"sent.value -> {8 + len(COUNTERS) + i}" for i in range(len(_SKETCHES)))}
FROM json_each(?) AS sent,
  (SELECT column1 AS span, column2 AS seconds FROM (VALUES {_SPANS}, ('ever', 0))) AS spans
WHERE true
ON CONFLICT DO UPDATE SET
  {", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTERS)},
  {", ".join(_merge(name) for name in _SKETCHES)}"""

_SUMS = f"json_array({', '.join(f'sum({name})' for name in COUNTERS)})"
_KEY = msgspec.json.Decoder(list[int | str])
_NUMBERS = msgspec.json.Decoder(list[int])
_SKETCH = msgspec.json.Decoder(Sketch)


class Rollup:
    """The roll-ups of one shard. `now` is in ms since 1970 by the shard's clock."""

    def __init__(self, sql: SQL) -> None:
        self._sql = sql
        sql(_CREATE)
        self._names: dict[int, KnownNames] = {}
        """By the day's begin in seconds; 0: since ever."""

    def add(self, records: Iterable[RequestRecord], now: int) -> None:
        """Counts requests, at the time that their records say where it can be true."""
        by_place: defaultdict[_Place, list[RequestRecord]] = defaultdict(list)
        for record in records:
            by_place[_PLACE(record)].append(record)
        sums: dict[_Row, Totals] = {}
        for place, there in by_place.items():
            _, endpoint, status, user, _ = place
            for minute, then in _group_by_minute(there, now - DAY * 1000, now):
                sums.setdefault(self._find_row(minute, place), Totals()).count(then)
                for (provider, model), attempts in count_attempts(then).items():
                    row = self._find_row(minute, (provider, endpoint, status, user, model))
                    sums.setdefault(row, Totals()).add(attempts)
        rows = [[*row, *structs.astuple(totals)] for row, totals in sums.items()]
        for i in range(0, len(rows), ROWS):
            self._sql(_ADD, msgspec.json.encode(rows[i : i + ROWS]).decode())

    def read_sums(self, query: SumsQuery) -> Sums:
        """The sums that a query asks for; of more than MOST_GROUPS only that they are too many."""
        source, bindings = _choose_rows(query)
        key = f"json_array({', '.join((_begin_of_step(query), *query.group_by))})"
        most = (
            f"ORDER BY sum(requests) + sum(failed_attempts) DESC, k LIMIT {query.top}"
            if query.top
            else ""
        )
        counted = self._sql(
            f"SELECT {key} AS k, {_SUMS} FROM {source} GROUP BY k"
            f" {most or f'LIMIT {MOST_GROUPS + 1}'}",
            *bindings,
        )
        if len(counted) > MOST_GROUPS:
            return Sums(groups=[], is_cut=True)
        if query.top:
            source += f" AND {key} IN (SELECT value FROM json_each(?))"
            bindings = [*bindings, msgspec.json.encode([text for text, _ in counted]).decode()]
        latency, first = (
            {} if query.counters_only else self._read_sketches(name, key, source, bindings)
            for name in _SKETCHES
        )
        groups = []
        for text, numbers in counted:
            at, *values = _KEY.decode(text)
            totals = Totals(
                latency=latency.get(text, {}),
                first=first.get(text, {}),
                **dict(zip(COUNTERS, _NUMBERS.decode(numbers), strict=True)),
            )
            group = SumsGroup(key=dict(zip(query.group_by, values, strict=True)), totals=totals)
            if query.step is not None:
                group.at = int(at)
            groups.append(group)
        return Sums(groups=groups)

    def prune(self, now: int) -> None:
        """Drops the rows that are older than they are kept."""
        for resolution, kept in KEPT_SECONDS.items():
            oldest = now // 1000 - kept - kept // SPARE
            self._sql("DELETE FROM sums WHERE span = ? AND start < ?", resolution, oldest)
        for day in [*self._names]:
            if 0 < day < now // 1000 - 3 * DAY:
                del self._names[day]

    def _find_row(self, minute: int, place: _Place) -> _Row:
        """Where a request is counted: under the names that are counted apart."""
        provider, endpoint, status, user, model = place
        user, model = user[:LONGEST], model[:LONGEST]
        return (
            minute,
            provider[:LONGEST],
            endpoint[:LONGEST],
            status,
            *self._known_names(minute // DAY * DAY, A_DAY).admit(user, model),
            *self._known_names(0, EVER).admit(user, model),
        )

    def _known_names(self, day: int, caps: Caps) -> KnownNames:
        names = self._names.get(day)
        if names is None:
            rows = self._sql(
                "SELECT DISTINCT user, model FROM sums WHERE span = ? AND start = ?",
                "day" if day else "ever",
                day,
            )
            names = self._names[day] = KnownNames(caps, ((user, model) for user, model in rows))
        return names

    def _read_sketches(
        self, name: str, key: str, source: str, bindings: list[str | int]
    ) -> dict[str, Sketch]:
        rows = self._sql(
            "SELECT k, json_group_object(bucket, n) FROM ("
            f"SELECT {key} AS k, each.key AS bucket, sum(each.value) AS n"
            f" FROM (SELECT * FROM {source}) AS rows, json_each(rows.{name}) AS each"
            " GROUP BY k, bucket) GROUP BY k",
            *bindings,
        )
        return {key: _SKETCH.decode(sketch) for key, sketch in rows}


def _group_by_minute(
    records: list[RequestRecord], oldest: int, now: int
) -> Iterable[tuple[int, list[RequestRecord]]]:
    """Requests by the minute (seconds since 1970) in which they came, most often all in one."""
    times = [record.at for record in records]
    first, last = min(times), max(times)
    if oldest <= first and last <= now and first // 60_000 == last // 60_000:
        return [(first // 60_000 * 60, records)]
    by_minute: defaultdict[int, list[RequestRecord]] = defaultdict(list)
    for record in records:
        by_minute[min(max(record.at, oldest), now) // 60_000 * 60].append(record)
    return by_minute.items()


def _begin_of_step(query: SumsQuery) -> str:
    """The begin of a row's step. Numbers are written out: bound, they would be doubles, and the
    division not whole."""
    if query.step is None:
        return "0"
    return f"start - (start - {query.begin}) % {query.step}"


def _choose_rows(query: SumsQuery) -> tuple[str, list[str | int]]:
    """What SQL reads the rows from that a query counts, and the bindings for it."""
    spans = ", ".join(map(str, _divide(query.resolution, query.begin, query.end)))
    if query.resolution == "ever":
        spans = "('ever', 0, 1)"
    elif query.step is not None:
        spans = str((query.resolution, query.begin, query.end))
    terms = [f"{name} = ?" for name in query.filters]
    if query.models_only:
        terms.append("endpoint GLOB '/v1/*'")
    if query.tried_only:
        terms.append("model != ''")
    return (
        f"(VALUES {spans}) AS part CROSS JOIN sums"
        " ON span = part.column1 AND start >= part.column2 AND start < part.column3"
        f" WHERE {' AND '.join(terms) or 'true'}"
    ), [*query.filters.values()]


def _divide(resolution: Resolution, begin: int, end: int) -> list[tuple[Resolution, int, int]]:
    """The stretches of a window, each with the longest rows that fit: so a window of a year is read
    from hundreds of rows of each place, whatever it begins with."""
    coarser = COARSER.get(resolution)
    if coarser is None:
        return [(resolution, begin, end)]
    seconds = RESOLUTION_SECONDS[coarser]
    first, last = -(-begin // seconds) * seconds, end // seconds * seconds
    if first >= last:
        return [(resolution, begin, end)]
    inner = _divide(coarser, first, last)
    return [(resolution, begin, first), *inner, (resolution, last, end)]
