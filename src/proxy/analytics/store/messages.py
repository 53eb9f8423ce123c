"""What isolates and the shards of the statistics send each other."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Raw, Struct, field

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.totals import Totals

Dimension = Literal[
    "provider", "model", "user", "endpoint", "status", "session", "key", "team", "tag"
]
"""Those from `session` on are none of the roll-ups, as there may be more than can be kept: sums by
them are of the request log (query.log_sums)."""
GroupKey: TypeAlias = dict[Dimension, str | int]
"""What the requests of a group have in common; `status` is a number."""
Resolution = Literal["minute", "hour", "day", "ever"]
"""The rows that are read. The one row of `ever` is never dropped: its counters only grow."""
RESOLUTION_SECONDS: dict[Resolution, int] = {"minute": 60, "hour": 3600, "day": 86400}
KEPT_SECONDS: dict[Resolution, int] = {"minute": 86400, "hour": 35 * 86400, "day": 730 * 86400}
"""For how long rows are kept."""
MOST_GROUPS = 12_000
"""Groups, each step of one counted, that an answer may have: eight with 1,500 steps."""
FLUSH_MOST = 1_000
"""Records that an isolate sends at once, at most."""


class SumsQuery(Struct, frozen=True, kw_only=True):
    """Asks for sums over [begin, end), whole seconds since 1970 at borders of rows."""

    resolution: Resolution
    begin: int = 0
    end: int = 0
    step: int | None = None
    """Seconds, a multiple of the rows': sums for each step. None: one sum for all."""
    group_by: tuple[Dimension, ...] = ()
    filters: GroupKey = {}
    """What rows must have to be counted."""
    models_only: bool = True
    """Whether only requests for models (`/v1/…`) are counted."""
    tried_only: bool = False
    """Whether only those are counted for which a model was tried, or answered from the cache."""
    counters_only: bool = False
    """Without the sketches."""
    top: int | None = None
    """Only so many groups, those of the most requests and failed attempts; None: all."""


class SumsGroup(Struct, kw_only=True):
    """The totals of one group, and of one step of it where the query has steps."""

    key: GroupKey
    at: int | None = None
    """The step's begin, in whole seconds since 1970."""
    totals: Totals


class Sums(Struct, frozen=True, kw_only=True):
    """The answer of one shard, or of all shards together."""

    groups: list[SumsGroup]
    lost: int = 0
    """Records that isolates had to drop, ever."""
    is_cut: bool = False
    """Whether there are more than MOST_GROUPS groups; none of them is here then."""


class Flush(Struct, frozen=True, kw_only=True):
    """What an isolate sends a shard, always the same one. It sends a flush with the same number
    again until the shard has accepted it, and the next one not before."""

    isolate: str
    number: int
    """Counts up from 1 for each isolate; the shard counts no number twice."""
    records: Raw = field(name="events")  # so that one deployment's isolates reach another's shards
    """At most FLUSH_MOST RequestRecords, a list in JSON, which the request log stores as it is."""
    lost: int = 0
    """Records that the isolate had to drop since the last flush that was accepted."""


LogColumn = Literal[
    "provider", "model", "user", "endpoint", "status", "error", "cache", "session", "key", "team",
    "tag", "id",
]  # fmt: skip
LogFilters: TypeAlias = dict[LogColumn, str | int]
"""What rows must have; `status` is a number, one of a digit the class of those that begin with it.
"""
Position = Annotated[int, Meta(ge=0, lt=2**53)]
"""Only rows with a smaller number are still to come."""


class LogQuery(Struct, frozen=True, kw_only=True):
    """Asks for a page of one shard's request log."""

    limit: int
    below: Position | None = None
    """None: from the newest row on."""
    filters: LogFilters = {}
    labels: dict[str, str] = {}
    """What the callers' labels must be."""
    begin: int = 0
    end: int | None = None
    """Only requests that came in [begin, end), in ms since 1970; None: it has no end."""
    bare: bool = False
    """Requests for models (`/v1/…`) alone, without what only people read: ids, labels, messages.
    It may be most of a row."""
    since: int = 0
    """Only requests that came to the log then or later, in ms since 1970."""
    share: float = 1.0
    """Below 1: only rows that store.drawing draws, at that probability."""


class LogRow(Struct, frozen=True, kw_only=True):
    """One request of the log."""

    number: int
    """Counts up from 1 for each shard, and never down again."""
    logged_at: int
    """When it came to the log, in ms since 1970."""
    record: RequestRecord


class LogPage(Struct, frozen=True, kw_only=True):
    """Rows, the newest first."""

    rows: list[LogRow]
    top: Position
    """Above the newest row that there was."""
    has_more: bool
    """Whether there are older rows, of which none was looked at yet."""
    end: Position = 0
    """The oldest row that was looked at."""


class LogGroupsQuery(Struct, frozen=True, kw_only=True):
    """Asks for sums of one shard's request log."""

    by: Literal["session", "tag"]
    rows: LogQuery
    """Which requests are summed up, as far as one call looks."""


class LogGroup(Struct, kw_only=True):
    """The sums of a conversation of a user, or of a tag. Money in nano-dollars."""

    name: str
    user: str = ""
    """Whose conversation it is; a tag has none."""
    requests: int = 0
    errors: int = 0
    input: int = 0
    output: int = 0
    cost: int = 0
    first: int
    last: int
    """When the first and the last request came, in ms since 1970."""


class LogGroups(Struct, frozen=True, kw_only=True):
    """Sums of a part of a shard's log."""

    groups: list[LogGroup]
    has_more: bool
    """Whether there are older rows, of which none was looked at yet."""
    end: Position
    """The oldest row that was looked at."""
