"""What a request costs at Cloudflare's list prices, by the path that it takes."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from bench.scaling_load import COUNTED, Tally, count_pool_reports
from proxy.access.keys import LOOKUP
from proxy.analytics.store.messages import RESOLUTION_SECONDS
from proxy.analytics.store.shard import ADD
from proxy.cache.purge import READ_PURGES
from proxy.limits.account_messages import RESERVE, SETTLE
from proxy.limits.lease_messages import GIVE_BACK, TAKE
from proxy.responses.book import ResponseBook
from proxy.responses.messages import Exchange
from proxy.routing.board import EXCHANGE
from tests.unit.analytics.shards import PlatformSQL

PRICES = {
    "requests": 0.30,
    "CPU ms": 0.02,
    "object calls": 0.15,
    "object GB-s": 12.50,
    "rows written": 1.00,
    "KV reads": 0.50,
    "KV writes": 5.00,
    "data points": 0.25,
    "log events": 0.60,
}
"""US dollars for a million, beyond what the paid plan includes; docs/scaling.md names the pages."""

PATHS = ("memory hit", "KV hit", "miss", "stream")
CPU_MS = {"memory hit": 0.4, "KV hit": 1.0, "miss": 2.0, "stream": 3.5}
"""The CPU of a request, about as `make bench` has it (docs/performance.md); that of a KV hit is
assumed."""
OBJECT_MS = 5
"""Assumed: how long a call keeps its object active, in milliseconds."""
OBJECT_GB = 0.128
LOG_EVENTS, OBJECT_LOG_EVENTS = 2, 1
"""Assumed: log events of a request (its invocation, its line) and of a call of an object."""
ROW = 1
"""Assumed: rows written by one INSERT, UPDATE or DELETE of one row without an index."""
STATE_ROWS = {RESERVE.name: 1, SETTLE.name: 1, TAKE.name: 1, GIVE_BACK.name: 1}
"""Rows that a call writes: the object's state."""
REPORT_ROWS = 1
"""Rows that a bucket writes after its report to the pool."""
FLUSH_ROWS = 3
"""Rows of a flush beside its groups': its number, its row of the log, and that row's deletion."""
GROUP_ROWS = len(RESOLUTION_SECONDS) + 1
"""Rows of each group in a flush: one a resolution, and one since ever."""
KEPT_INPUTS, KEPT_OUTPUTS = 1, 1
"""Items of a response that is kept: those that its request sent, which have no ids, and its own."""

ALWAYS = (LOOKUP, READ_PURGES, ADD)
AT_MISSES = (RESERVE, SETTLE, TAKE, GIVE_BACK, EXCHANGE)


def count_units(tally: Tally) -> dict[str, dict[str, float]]:
    """What a request of each path takes, in the units of PRICES, on average."""
    return {path: _count_path(path, tally) for path in PATHS}


def price(units: Mapping[str, float]) -> dict[str, float]:
    """What a million requests cost, in dollars, by the item."""
    return {item: units[item] * dollars for item, dollars in PRICES.items()}


def count_kept_units() -> dict[str, float]:
    """What a response takes that is kept, beside its request, in the units of PRICES. Its deletion
    writes as many rows again."""
    units = dict.fromkeys(PRICES, 0.0)
    units["object calls"] = units["log events"] = 1
    units["object GB-s"] = OBJECT_MS / 1000 * OBJECT_GB
    units["rows written"] = count_kept_rows()
    return units


def count_kept_rows() -> float:
    """Rows that the book of responses writes for one. Each index that has a row is another."""
    sql = PlatformSQL()
    output = [{"id": f"msg_{n}", "type": "message"} for n in range(KEPT_OUTPUTS)]
    body = Raw(msgspec.json.encode({"id": "resp_1", "output": output}))
    given = (Raw(b'{"role":"user","content":"Hi"}'),) * KEPT_INPUTS
    ResponseBook(sql, 1000).keep(Exchange(id="resp_1", input=given, body=body), 0)
    rows = 0
    for (table,) in sql("SELECT name FROM sqlite_master WHERE type = 'table'"):
        [(count,)] = sql(f"SELECT count(*) FROM {table}")
        rows += count * (1 + len(sql(f"PRAGMA index_list({table})")))
    return rows * ROW


def _count_path(path: str, tally: Tally) -> dict[str, float]:
    misses, from_kv = tally.paths["miss"], tally.paths["kv"]
    calls = sum(tally.count_calls(method) for method in ALWAYS) / tally.requests
    rows = (FLUSH_ROWS * tally.count_calls(ADD) + GROUP_ROWS * tally.groups) / tally.requests
    units = dict.fromkeys(PRICES, 0.0)
    if path != "memory hit":
        units["KV reads"] = tally.operations["KV read"] / (misses + from_kv)
    if path in ("miss", "stream"):
        reports = count_pool_reports(tally.load, misses / tally.requests) * COUNTED
        reports /= tally.load.scale * misses
        calls += reports + sum(tally.count_calls(method) for method in AT_MISSES) / misses
        written = sum(STATE_ROWS.get(name, 0) * n for (name, _), n in tally.calls.items())
        rows += REPORT_ROWS * reports + written / misses
        units["KV writes"] = tally.operations["KV write"] / misses
    units["requests"] = units["data points"] = 1
    units["CPU ms"] = CPU_MS[path]
    units["object calls"] = calls
    units["object GB-s"] = calls * OBJECT_MS / 1000 * OBJECT_GB
    units["rows written"] = rows * ROW
    units["log events"] = LOG_EVENTS + OBJECT_LOG_EVENTS * calls
    return units
