"""The part of the request log that insights look at: all of it, or a sample where that is too much
for one invocation."""

from collections.abc import Iterable

from msgspec import Struct

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.drawing import is_drawn, is_prompt_drawn
from proxy.analytics.store.messages import LogRow
from proxy.analytics.store.request_log import KEPT

SAMPLED = 1_500
"""Requests that are looked at, about, where there are more."""


class Sample(Struct, frozen=True):
    """Requests of the log."""

    records: list[RequestRecord]
    """Each was drawn with the same probability."""
    repeats: list[RequestRecord]
    """All those of prompts that were drawn so: whether a prompt came again shows here only."""
    share: float
    """The probability."""


def choose_share(requests: int, shards: int) -> float:
    """The share of the log to look at, if so many came."""
    return min(1.0, SAMPLED / max(1, min(requests, KEPT * shards)))


def find_limit(shards: int) -> int:
    """Rows that a shard sends at most: twice what is expected of both samples, lest one prompt that
    comes again and again takes all the time."""
    return max(1, 4 * SAMPLED // shards)


def take_sample(rows: Iterable[LogRow], since: int, share: float) -> Sample:
    """The samples that the rows belong to. since: from this moment on (ms since 1970)."""
    current = [row for row in rows if row.record.at >= since]
    return Sample(
        records=[row.record for row in current if is_drawn(row.number, share)],
        repeats=[r.record for r in current if is_prompt_drawn(r.record.cache_key, share)],
        share=share,
    )
