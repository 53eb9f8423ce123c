"""Records and flushes for the tests, and what shards answer."""

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Raw

from proxy.analytics.query.report import merge_sums
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import Flush, Sums, SumsQuery
from proxy.analytics.store.shard import Shard
from proxy.core.chat import Attempt

NOW = 1_764_104_460
"""Seconds: 2025-11-25T21:01:00Z."""
NOW_MS = NOW * 1000


def make_record(**fields: Any) -> RequestRecord:
    given: dict[str, Any] = {
        "at": NOW_MS,
        "id": "req_1",
        "endpoint": "/v1/generate",
        "status": 200,
        "ms": 100,
    }
    return RequestRecord(**(given | fields))


def make_flush(isolate: str, number: int, *records: RequestRecord, lost: int = 0) -> Flush:
    encoded = Raw(msgspec.json.encode(records))
    return Flush(isolate=isolate, number=number, records=encoded, lost=lost)


def read_sums(query: SumsQuery, *shards: Shard) -> Sums:
    return merge_sums(query, (shard.read_sums(query) for shard in shards))


attempts = st.builds(
    Attempt,
    provider=st.sampled_from(["openai", "gemini"]),
    model=st.sampled_from(["small", "large"]),
    outcome=st.sampled_from(["ok", "timeout", "unavailable"]),
    ms=st.integers(0, 1000),
)
records = st.builds(
    RequestRecord,
    # A day and its eve, so that rows of all spans differ.
    at=st.integers(NOW_MS - 30 * 3_600_000, NOW_MS + 3_600_000),
    id=st.text("0123456789abcdef", min_size=4, max_size=4),
    endpoint=st.sampled_from(["/v1/generate", "/v1/chat/completions", "/admin/keys", "/v2"]),
    status=st.sampled_from([200, 402, 429, 502]),
    ms=st.integers(0, 600_000),
    user=st.sampled_from(["", "ann", 'böb"; --', "(other)"]),
    provider=st.sampled_from(["", "openai", "gemini"]),
    model=st.sampled_from(["", "small", "large", "7"]),
    error=st.sampled_from(["", "provider_error"]),
    attempts=st.lists(attempts, max_size=2).map(tuple),
    cache_status=st.sampled_from(["", "hit", "miss", "bypass", "stale"]),
    cache_tier=st.sampled_from(["", "memory", "kv", "r2"]),
    ended=st.sampled_from(["", "ok", "client_gone"]),
    first_ms=st.none() | st.integers(0, 60_000),
    input=st.none() | st.integers(0, 1_000_000),
    output=st.none() | st.integers(0, 100_000),
    cached=st.none() | st.integers(0, 1_000_000),
    reasoning=st.none() | st.integers(0, 100_000),
    cost=st.none() | st.integers(0, 10**12),
    saved=st.integers(0, 10**12),
    bytes_in=st.integers(0, 20_000_000),
    bytes_out=st.integers(0, 20_000_000),
)
