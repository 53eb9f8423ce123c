"""What the limiter is set to."""

from typing import Annotated, Literal

from msgspec import Struct

from proxy.core.settings.values import SWITCH, Setting, one_of, optional, whole

OnError = Literal["open", "closed"]

_PER_HOUR = whole(0, 10_000_000)
_BURST = whole(1, 1_000_000)


class ProviderLimits(Struct, frozen=True, kw_only=True):
    """The limits of each user at a provider; None: those of the deployment."""

    per_hour: Annotated[
        int | None,
        Setting("RATE_LIMIT_PER_HOUR", "", optional(_PER_HOUR)),
        "Requests an hour of each user there, if not `RATE_LIMIT_PER_HOUR`.",
    ]
    burst: Annotated[
        int | None,
        Setting("RATE_LIMIT_BURST", "", optional(_BURST)),
        "Requests at once of each user there, if not `RATE_LIMIT_BURST`.",
    ]


class LimitSettings(Struct, frozen=True, kw_only=True):
    """Limits."""

    per_hour: Annotated[
        int,
        Setting("RATE_LIMIT_PER_HOUR", "1000", _PER_HOUR),
        "Requests an hour that each user has at each provider; cache hits don't count. A key's own"
        " limit, then a provider's, stands before it.",
    ]
    burst: Annotated[
        int,
        Setting("RATE_LIMIT_BURST", "50", _BURST),
        "Requests at once that each user has at each provider (the capacity of its token bucket).",
    ]
    floor_per_hour: Annotated[
        int,
        Setting("RATE_LIMIT_FLOOR_PER_HOUR", "60", _PER_HOUR),
        "Requests an hour that a user keeps at a provider that is short, however heavy the others"
        " are.",
    ]
    lease: Annotated[
        int,
        Setting("RATE_LIMIT_LEASE", "256", whole(1, 1000)),
        "Tokens that an isolate may take from a bucket at a time; 1 is strict: one call of the"
        " Durable Object a request.",
    ]
    adaptive: Annotated[
        bool,
        Setting("RATE_LIMIT_ADAPTIVE", "on", SWITCH),
        "`on`: a provider's 429s and rate-limit headers shrink its buckets for a while.",
    ]
    default_max_tokens: Annotated[
        int,
        Setting("BUDGET_DEFAULT_MAX_TOKENS", "0", whole(0, 10_000_000)),
        "Tokens that an answer to a key with a budget may have, where the request gives no limit;"
        " 0: the model's longest answer. It is reserved and sent to the provider.",
    ]
    on_error: Annotated[
        OnError,
        Setting("LIMITER_ON_ERROR", "open", one_of(OnError)),
        "`open`: requests pass while the limiter's objects are out of reach; `closed`: they are"
        " answered with 503. Keys that can't be looked up are never let in, and of a budget"
        " [no more is spent than was last known to be left](api-reference.md#budgets).",
    ]
    timeout_ms: Annotated[
        int,
        Setting("LIMITER_TIMEOUT_MS", "1000", whole(1, 10_000)),
        "Milliseconds after which an object of the limiter counts as out of reach. It is then left"
        " alone for 5 s, before a request tries it again.",
    ]
    forget_seconds: Annotated[
        int,
        Setting("LIMITER_FORGET_SECONDS", "600", whole(1, 86_400)),
        "Seconds after which an object of the limiter that has nothing to remember (a full bucket,"
        " an account of a month that is over) drops its state.",
    ]
    providers: dict[str, ProviderLimits] = {}
