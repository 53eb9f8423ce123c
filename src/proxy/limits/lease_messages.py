"""The messages between lease clients and the lease server; see limits.lease_server."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proxy.core.rpc import NOTHING, Method, as_text
from proxy.limits.token_bucket import Rate

TERM = 10_000
"""Milliseconds for which an isolate may spend from a lease, since it sent its request."""
SHORT_TERM = 2_000
"""The same of a lease that has no more than was needed at once."""
MARGIN = 1_000
"""Milliseconds after the term until the object counts an unreturned lease as spent."""
LATELY = 10_000
"""Milliseconds for which an isolate counts as sharing, since its last request."""
Count = Annotated[int, Meta(ge=1)]
Returns = tuple[tuple[int, int], ...]
"""Leases that an isolate has done with, by id, and how many tokens of each it left unused."""


class LeaseRequest(Struct, frozen=True, omit_defaults=True):
    """An isolate's request for tokens: `need` or nothing, and `want` where there is plenty."""

    isolate: str
    want: Count
    rate: Rate
    need: Count = 1
    returns: Returns = ()
    model: str = ""
    """What they are for; empty where no provider is limited."""


LimitKind = Literal["configured", "share", "closed"]
"""What refuses: the configured rate, the share of what the provider bears, or the provider itself,
which wants to be left alone."""


class LeaseGrant(Struct, frozen=True, omit_defaults=True):
    """The answer. Durations are milliseconds."""

    lease: int
    """Its id; 0 where nothing was granted."""
    tokens: int
    """At least what was needed, or 0."""
    term: int
    """For how long they may be spent, counted from when the isolate sent its request."""
    wait: int | None
    """Until `need` would be granted to a caller that is alone, if no lease is returned before it
    lapses. None: never, at the rate of now."""
    level: int
    """Whole tokens left in the bucket."""
    reset: int | None
    """Until the bucket is full, if no request comes. None: never."""
    rate: Rate | None = None
    """The share that is in effect; None: the configured rate is."""
    limit: LimitKind = "configured"
    """What has refused or, of several, will refuse for longest."""
    scope: str = ""
    """What `limit` applies to; see core.scopes."""


class Squeeze(Struct, frozen=True):
    """How a user is held down at some models. closed_until: a moment (ms); 0: they are open."""

    rate: Rate | None
    closed_until: int


class BucketView(Struct, frozen=True):
    """A bucket as an operator sees it. Moments and durations are milliseconds."""

    rate: Rate | None
    """The effective rate; None: no request has come yet."""
    squeezed: Rate | None
    closed_until: int
    level: int
    held: int
    """Tokens in leases that have not ended."""
    leases: int
    isolates: int
    """How many sent a request lately."""
    reset: int | None
    """Until it is full; None: never."""
    scopes: dict[str, Squeeze] = {}
    """The squeezes of models."""


TAKE = Method("RATE_BUCKET", "take", as_text(LeaseRequest), as_text(LeaseGrant))
GIVE_BACK = Method("RATE_BUCKET", "give_back", as_text(Returns), NOTHING)
SHOW_BUCKET = Method("RATE_BUCKET", "show", NOTHING, as_text(BucketView))
RESET_BUCKET = Method("RATE_BUCKET", "reset", NOTHING, NOTHING)
