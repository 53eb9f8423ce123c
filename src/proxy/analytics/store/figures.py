"""What can be asked of the roll-ups, and how the answers of several shards become one."""

from typing import Literal, TypeAlias

from msgspec import Raw, Struct

from proxy.analytics.store.totals import Totals

Dimension = Literal["provider", "model", "user", "endpoint", "status"]
Span = Literal["minute", "hour", "day", "ever"]
"""The rows that are read. `ever`: one that is never dropped, for counters that only grow."""
SPAN_SECONDS: dict[Span, int] = {"minute": 60, "hour": 3600, "day": 86400}
KEPT_SECONDS: dict[Span, int] = {"minute": 86400, "hour": 35 * 86400, "day": 730 * 86400}
"""For how long rows are kept."""
MOST = 12_000
"""Groups, each step of one counted, that an answer may have: eight with 1,500 steps."""
FLUSH_MOST = 1_000
"""Events that an isolate tells at once, at most."""
Key: TypeAlias = dict[Dimension, str | int]
"""What a group has in common; `status` is a number."""


class Query(Struct, frozen=True, kw_only=True):
    """Sums over [begin, end), both whole seconds since 1970 and borders of rows of `span`."""

    span: Span
    begin: int = 0
    end: int = 0
    step: int | None = None
    """Seconds, a multiple of the span's: sums for each step of it; None: one for all."""
    group_by: tuple[Dimension, ...] = ()
    only: Key = {}
    """What rows must have to be counted."""
    models_only: bool = True
    """Whether only requests for models (`/v1/…`) are counted."""


class Group(Struct, kw_only=True):
    """The sums of one group, and of one step of it where steps were asked for."""

    key: Key
    at: int | None = None
    """The step's begin, in whole seconds since 1970."""
    totals: Totals


class Sums(Struct, frozen=True, kw_only=True):
    """What one shard answers, or all of them together."""

    groups: list[Group]
    lost: int = 0
    """Events that isolates had to drop, ever."""
    cut: bool = False
    """Whether there were more than MOST groups, of which these are some."""


class Flush(Struct, frozen=True, kw_only=True):
    """What an isolate tells a shard, always the same one: events, told again with the same number
    until they were heard, and the next flush not before."""

    isolate: str
    number: int
    """Counts up from 1 for each isolate; what was heard before is not counted again."""
    events: Raw
    """At most FLUSH_MOST RequestRecords, a list in JSON, which the request log stores as it is."""
    lost: int = 0
    """Events that the isolate had to drop since the last flush that was heard."""
