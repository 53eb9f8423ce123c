"""Records of requests to try things with."""

from typing import Any

from hypothesis import strategies as st
from msgspec import structs

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.totals import Totals, count_attempts
from proxy.core.chat import Attempt

HOSTILE = st.text(max_size=40) | st.builds(
    lambda text, times: text * times,
    st.sampled_from(['"', "\\", "\n", "é", "漢", "🦜", "a\u0000", "\r\n# HELP x\n", "\ud800"]),
    st.integers(0, 2000),
)
"""Texts that want to break what they are put into."""
COUNT = st.integers(0, 2**40)


def split_attempts(record: RequestRecord) -> list[tuple[RequestRecord, Totals]]:
    """What a request counts for, and where: as itself, and under each pair that was tried."""
    whole = Totals()
    whole.count([record])
    tried = [
        (structs.replace(record, provider=provider, model=model), totals)
        for (provider, model), totals in count_attempts([record]).items()
    ]
    return [(record, whole), *tried]


def make_record(**fields: Any) -> RequestRecord:
    """An ordinary answer of a provider, but for what is given."""
    ordinary: dict[str, Any] = {
        "at": 1_700_000_000_000,
        "id": "req_1",
        "endpoint": "/v1/chat/completions",
        "status": 200,
        "ms": 120,
        "user": "ann",
        "provider": "groq",
        "model": "llama-3.3-70b-versatile",
        "requested_model": "fast",
        "attempts": (make_attempt(start=4),),
        "cache_status": "miss",
        "input": 25,
        "output": 150,
        "cost": 200_000,
        "cost_origin": "computed",
    }
    return RequestRecord(**ordinary | fields)


def make_attempt(
    outcome: str = "ok", provider: str = "groq", ms: int = 116, **fields: Any
) -> Attempt:
    model = fields.pop("model", "llama-3.3-70b-versatile")
    return Attempt(provider=provider, model=model, outcome=outcome, ms=ms, **fields)


ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        provider=HOSTILE,
        model=HOSTILE,
        outcome=st.sampled_from(["ok", "timeout", "limited"]),
        ms=COUNT,
        start=st.none() | COUNT,
        status=st.none() | st.integers(100, 599),
        message=st.none() | HOSTILE,
    ),
    max_size=5,
).map(tuple)
RECORDS = st.builds(
    RequestRecord,
    at=st.integers(1, 2**42),
    id=HOSTILE,
    endpoint=HOSTILE,
    status=st.integers(100, 599),
    ms=COUNT,
    method=HOSTILE,
    user=HOSTILE,
    key_id=HOSTILE,
    error=HOSTILE,
    source=st.sampled_from(["", "proxy", "provider"]),
    provider=HOSTILE,
    model=HOSTILE,
    requested_model=HOSTILE,
    strategy=HOSTILE,
    attempts=ATTEMPTS,
    cache_status=st.sampled_from(["", "hit", "miss", "bypass", "stale"]),
    cache_tier=st.sampled_from(["", "memory", "kv", "r2"]),
    stream=st.booleans(),
    ended=HOSTILE,
    first_ms=st.none() | COUNT,
    input=st.none() | COUNT,
    output=st.none() | COUNT,
    cached=st.none() | COUNT,
    reasoning=st.none() | COUNT,
    cost=st.none() | COUNT,
    saved=COUNT,
    bytes_in=COUNT,
    bytes_out=COUNT,
    country=HOSTILE,
    colo=HOSTILE,
    cache_key=HOSTILE,
    session=HOSTILE,
    trace=st.sampled_from(["", "4bf92f3577b34da6a3ce929d0e0e4736"]),
    span=st.sampled_from(["", "00f067aa0ba902b7"]),
    parent=st.sampled_from(["", "b7ad6b7169203331"]),
)
"""Records of any content."""
