"""What the lease server stores."""

import msgspec
from msgspec import Struct

from proxy.limits.lease_messages import Count
from proxy.limits.token_bucket import Fill, Rate


class Lent(Struct, frozen=True, array_like=True):
    """A lease that has not ended. lapse: the moment (ms) at which it does."""

    tokens: Count
    lapse: int
    model: str = ""


class StoredScope(Struct, frozen=True, array_like=True):
    """A scope in which the bucket is held down or closed."""

    rate: Rate | None
    fill: Fill | None
    closed_until: int


class StoredBucket(Struct, frozen=True):
    """A bucket. rate: the configured one; None: no request has come yet."""

    next_lease: Count
    rate: Rate | None
    fill: Fill | None
    leases: dict[int, Lent]
    squeezed: Rate | None
    closed_until: int
    scopes: dict[str, StoredScope] = {}


_STORED = msgspec.msgpack.Decoder(StoredBucket)


def read_state(state: bytes) -> StoredBucket:
    """Raises ValueError where it is none."""
    stored = _STORED.decode(state)  # msgspec's errors are ValueErrors
    if (stored.rate is None) != (stored.fill is None):
        raise ValueError("half the state of a bucket")
    return stored
