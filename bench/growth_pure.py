"""The rows of bench.growth that are measured on CPython, since workerd would take too long to fill:
the pure modules, with SQLite behind them where the objects have theirs."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import Raw, structs

from bench.growth_rows import Row
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import Flush, LogQuery, SumsQuery
from proxy.analytics.store.shard import Shard
from proxy.core.chat import Call
from proxy.limits.lease_client import LeaseClient, LeaseKey
from proxy.limits.lease_messages import TERM, LeaseGrant, LeaseRequest
from proxy.limits.lease_server import LeaseServer
from proxy.limits.token_bucket import Rate
from proxy.routing.manager import Manager
from tests.unit.analytics.shards import PlatformSQL
from tests.unit.doubles import Unlimited
from tests.unit.routing.making import call
from tests.unit.routing.making_many import make_manager

NOW = 1_764_100_000_000
DAY = 86_400
KEY = LeaseKey("openai:ann")
RATE = Rate(burst=1_000_000, per_hour=10_000_000)
LEASES = (10, 100, 1_000, 10_000)
"""That are out at once."""
ENDED = (10, 1_000, 10_000, 100_000)
COUNTED = (100, 10_000, 1_000_000)
FLUSHES = 1_000
PROVIDERS = (2, 10, 50)

Work = Callable[[], object]


def _end_leases(count: int) -> Work:
    """A request for a lease, where so many were given back lately and as many are held."""
    client, given = LeaseClient("a", 8), iter(range(1, 1 << 40))

    def request() -> None:
        client.build_request(KEY, RATE, 1, NOW)
        client.accept(KEY, LeaseGrant(next(given), 1, TERM, 0, 5, 0), NOW, NOW)
        client.spend(KEY, 1, NOW)
        client.collect_returns(NOW)

    for number in range(count):
        request()
        client.accept(LeaseKey(f"{number}"), LeaseGrant(1, 2, TERM, 0, 5, 0), NOW, NOW)
    return request


def _lend(count: int) -> Work:
    """An isolate's request to a bucket that has so many leases out."""
    server, isolates = LeaseServer(NOW), iter(range(1 << 40))

    def request(isolate: str) -> None:
        server.take(LeaseRequest(isolate, 8, RATE, returns=((0, 0),)), NOW)
        server.encode_state()

    for _ in range(count):
        request(f"i{next(isolates)}")
    return partial(request, "i0")


def _route(strategy: str, model: str, providers: int) -> Work:
    """A miss, from the plan to the provider's answer, without the app around it."""
    manager, permit = make_manager(providers, strategy), Unlimited()
    fallback = False if "/" in model else None
    made = call(model=model, fallback=fallback)
    return lambda: asyncio.run(_complete(manager, made, permit))


async def _complete(manager: Manager, made: Call, permit: Unlimited) -> None:
    """Twenty of them, beside which a loop of their own counts little."""
    for _ in range(20):
        await manager.complete(made, permit)


def _fill_shard(count: int) -> Shard:
    """So many requests of the last day, of six users."""
    shard, flushes = Shard(PlatformSQL()), min(count, FLUSHES)
    for number in range(flushes):
        at = NOW - (flushes - number) * DAY * 1000 // flushes
        shard.add(_make_flush(number + 1, count // flushes, at), at)
    return shard


def _make_flush(number: int, size: int, at: int) -> Flush:
    record = RequestRecord(
        at=at, id="r", endpoint="/v1/chat", status=200, ms=900, provider="openai", model="gpt"
    )
    records = [structs.replace(record, user=f"u{n % 6}") for n in range(size)]
    return Flush(isolate="a", number=number, records=Raw(msgspec.json.encode(records)))


def _page(shard: Shard) -> Work:
    return lambda: shard.read_page(LogQuery(limit=51))


def _figures(shard: Shard) -> Work:
    end = NOW // 60_000 * 60
    return lambda: shard.read_sums(SumsQuery(resolution="minute", begin=end - DAY, end=end))


def _flush(shard: Shard) -> Work:
    numbers = iter(range(1 << 20, 1 << 40))
    return lambda: shard.add(_make_flush(next(numbers), 50, NOW), NOW)


def _list_rows() -> list[tuple[Row, list[Work], int]]:
    """The rows, what is measured at each size, and how often in a round."""
    shards = [*map(_fill_shard, COUNTED)]
    counted: list[tuple[str, Callable[[Shard], Work]]] = [
        ("flush of 50 records", _flush),
        ("page of 50", _page),
        ("figures of a day", _figures),
    ]
    routed = [("a model by name", "priority", "p0/m")]
    routed += [(f"any of a tier, {strategy}", strategy, "fast") for strategy in STRATEGIES]
    return [
        (Row("leases", "the isolate's side", ENDED, True), [*map(_end_leases, ENDED)], 200),
        (Row("leases", "the object's side", LEASES, True), [*map(_lend, LEASES)], 20),
        *(
            (
                Row("providers", f"routing a miss: {name}", PROVIDERS, True),
                [_route(strategy, model, n) for n in PROVIDERS],
                5,
            )
            for name, strategy, model in routed
        ),
        *(
            (Row("requests counted", name, COUNTED, True), [*map(make, shards)], 10)
            for name, make in counted
        ),
    ]


STRATEGIES = ("priority", "cheapest", "fastest", "reliable", "balanced", "weighted")


def measure(rounds: int) -> list[Row]:
    """The rows, measured in turn."""
    rows = _list_rows()
    for number in range(rounds + 1):
        for row, works, times in rows:
            for work, costs in zip(works, row.costs, strict=True):
                began = time.process_time()
                for _ in range(times):
                    work()
                if number:  # the first round warms up
                    costs.append((time.process_time() - began) / times)
    return [row for row, _, _ in rows]
