"""A request as a data point of Workers Analytics Engine.

Promise: within the platform's limits whatever a record holds (20 blobs of 16 KB together, 20
doubles, one index of 96 bytes), for beyond them a point is dropped without a word. The columns
are `COLUMNS`; docs/analytics-engine.md has them with queries. A column keeps its place and its
meaning for as long as the data is kept (three months): new ones come at the end.

The index is the user. Sampling is equitable by index: each keeps about as many points, so a loud
user is sampled and a quiet one is not, and the sums by user stay true. By provider the few quiet
users of a busy provider would be lost; an index that is different for each request makes
queries slow.
"""

from operator import attrgetter

from proxy.analytics.record.request_record import RequestRecord
from proxy.core.chat import Attempt
from proxy.core.money import NANO
from proxy.core.ports import DataPoint

BLOBS = (
    "endpoint",
    "provider",
    "model",
    "asked",
    "user_name",
    "key_id",
    "error",
    "source",
    "cache",
    "tier",
    "strategy",
    "attempts",
    "ended",
    "cost_origin",
    "country",
    "colo",
    "request_id",
    "trace",
    "prompt",
    "session",
)
DOUBLES = (
    "status",
    "ms",
    "first_ms",
    "failed",
    "fell_back",
    "stream",
    "attempt_count",
    "failed_attempts",
    "input",
    "output",
    "cached",
    "reasoning",
    "cost_usd",
    "priced",
    "saved_usd",
    "bytes_in",
    "bytes_out",
)
COLUMNS: dict[str, str] = {
    **{name: f"blob{at}" for at, name in enumerate(BLOBS, 1)},
    **{name: f"double{at}" for at, name in enumerate(DOUBLES, 1)},
    "sampled_by": "index1",
}
"""Each column's name and what it is called in SQL."""

NOBODY = "(none)"
"""The index of requests that were not let in."""

_FIELD_OF_COLUMN = {
    "asked": "requested_model",
    "user_name": "user",
    "cache": "cache_status",
    "tier": "cache_tier",
    "request_id": "id",
    "prompt": "cache_key",
}
_ATTEMPTS = BLOBS.index("attempts")
_TEXTS = attrgetter(*(_FIELD_OF_COLUMN.get(name, name) for name in BLOBS if name != "attempts"))
_MAX_BLOB = 16 * 1024 // 20
_MAX_INDEX = 96


def build_data_point(record: RequestRecord) -> DataPoint:
    """A request's blobs, doubles and index. What is not known is an empty text or 0."""
    blobs, failed, cost = [*_TEXTS(record)], record.has_failed, record.cost
    attempts, fell_back = "", False
    sent: tuple[Attempt, ...] = ()
    if record.attempts:
        attempts = ", ".join([f"{a.provider}/{a.model}:{a.outcome}" for a in record.attempts])
        sent, fell_back = record.sent_attempts, record.has_fallen_back and not failed
    blobs.insert(_ATTEMPTS, attempts)
    doubles: list[float] = [
        record.status,
        record.ms,
        record.first_ms or 0,
        int(failed),
        int(fell_back),
        int(record.stream),
        len(sent),
        sum(map(record.has_failed_at, sent)) if sent else 0,
        record.input or 0,
        record.output or 0,
        record.cached or 0,
        record.reasoning or 0,
        (cost or 0) / NANO,
        int(cost is not None),
        record.saved / NANO,
        record.bytes_in,
        record.bytes_out,
    ]
    texts = "".join(blobs)
    if not texts.isascii() or len(texts) > _MAX_BLOB:  # seldom: all together are shorter than a cut
        blobs = [cut(blob, _MAX_BLOB) for blob in blobs]
    return DataPoint(blobs, doubles, (cut(record.user, _MAX_INDEX) or NOBODY,))


def cut(text: str, size: int) -> str:
    """A text's beginning that takes at most `size` bytes of UTF-8; no character is broken, and
    what UTF-8 can't hold is a question mark."""
    if text.isascii():
        return text[:size]
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
