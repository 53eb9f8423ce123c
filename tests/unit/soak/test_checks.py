"""What the soak holds the figures to."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from proxy.analytics.query.report import build_report, read_report_query
from proxy.analytics.store.shard import Shard
from tests.soak.checks import check_records
from tests.soak.ledger import Ledger, Sent
from tests.soak.report import Soaked
from tests.unit.analytics.making import NOW, NOW_MS, make_flush, make_record
from tests.unit.analytics.shards import PlatformSQL

ENDPOINTS = ("/v1/generate", "/openai", "/v1/responses/ID", "/v1/batch")


def test_what_was_sent_is_compared_with_all_that_is_counted_passthrough_too() -> None:
    ledger, shard = Ledger(), Shard(PlatformSQL())

    def ask(path: str) -> Any:
        query = read_report_query(dict(parse_qsl(path.partition("?")[2])), NOW)
        return msgspec.json.decode(
            msgspec.json.encode(build_report(query, shard.read_sums(query.sums)))
        )

    soaked = Soaked(minutes=1, seed=1, seconds=60, ledger=ledger, samples=[])
    for endpoint in ENDPOINTS:
        items = 4 if endpoint == "/v1/batch" else 0
        ledger.add(Sent("ann", "any", 1, 2, 200, items=items, endpoint=endpoint))
    counted = [*ENDPOINTS, *["/v1/batch/item"] * 4]
    records = [make_record(user="ann", endpoint=endpoint) for endpoint in counted]
    shard.add(make_flush("a", 1, *records), NOW_MS)
    assert check_records(soaked, ask, "ann").holds
    ledger.add(Sent("ann", "any", 3, 4, 200, endpoint="/openai"))
    missed = check_records(soaked, ask, "ann")
    assert not missed.holds
    assert "/openai: 1 of 2" in missed.told
