"""One record a request: the only source of every figure, log line and span about it."""

import re
from typing import Literal

from msgspec import Struct, field, structs

from proxy.core.chat import CANCELLED, Attempt, CacheStatus
from proxy.core.choices import Reason

TierName = Literal["", "memory", "kv", "r2"]
BATCH = "/v1/batch"
ITEM = "/v1/batch/item"
"""The endpoint of one request of a batch; the batch itself is one of /v1/batch."""
UNSENT = ("limited", "breaker_open")
"""Outcomes of attempts that never went out: their messages are the proxy's own."""
REFUSED = ("bad_request", "too_large")
"""Outcomes by which a provider refused what the caller had sent."""


def has_provider_failed(attempt: Attempt) -> bool:
    """Whether the provider failed at an attempt that went out: not where it may refuse a wrong
    request, and not by what the caller or the proxy caused."""
    if attempt.outcome == "ok":
        return False
    return attempt.outcome not in REFUSED and attempt.blame not in ("caller", "proxy")


class RequestRecord(Struct, kw_only=True, omit_defaults=True, gc=False):
    """What is known of one request; it is filled while the request runs.

    Empty text and None mean unknown, or that there is none. It holds no prompt and no secret: its
    user may see all of it. Renamed fields keep the names under which rows are stored.
    """

    at: int
    """When the request came: whole milliseconds since 1970."""
    id: str
    endpoint: str
    """The path as the interface names it, e.g. `/v1/models/ID`."""
    status: int
    """The HTTP status that was answered; 0 until then."""
    ms: int
    """Until the answer's end, in whole milliseconds."""
    method: str = "POST"
    dialect: Literal["native", "openai", "messages", "responses", "gemini"] = "native"
    user: str = ""
    """Empty: the request was not let in."""
    key_id: str = ""
    team: str = ""
    tags: tuple[str, ...] = ()
    """Those of the key, and those that the caller sends, as far as there is room."""
    error: str = ""
    """The type of the error that was answered, or that broke a stream (status is 200 then)."""
    source: Literal["", "proxy", "provider"] = ""
    """Where the error comes from."""
    provider: str = ""
    model: str = ""
    """The provider that answered, whose answer the cache kept or, where none answered, that was
    tried last. Empty: none was tried."""
    requested_model: str = field(default="", name="asked")
    """The model or tier that the caller named."""
    strategy: str = ""
    attempts: tuple[Attempt, ...] = ()
    reason: Reason | None = None
    """None: nothing decided but the request itself and the chain, or no candidate was tried."""
    cache_status: CacheStatus | Literal[""] = field(default="", name="cache")
    cache_tier: TierName = field(default="", name="tier")
    """Where a hit was found; empty for one that another request's flight brought."""
    stream: bool = False
    ended: str = ""
    """How a stream ended: `ok`, `client_gone`, a kind of fault (core.errors.FaultKind), or
    `internal_error`: by a mistake of the proxy's."""
    first_ms: int | None = None
    """Until a stream's first content, in whole milliseconds."""
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    """Tokens, as in core.chat.Usage. Those of a hit are 0: nothing was used."""
    cost: int | None = None
    """Nano-dollars; 0 for a hit; None where no price is known or nothing was answered."""
    cost_origin: Literal["", "provider", "computed", "estimated"] = ""
    saved: int = 0
    """Nano-dollars that the answer of the cache had cost when it was made."""
    bytes_in: int = 0
    bytes_out: int = 0
    country: str = ""
    colo: str = ""
    session: str = ""
    """The conversation, as the caller names it: up to 128 characters without a space."""
    metadata: dict[str, str] = {}
    """The caller's labels."""
    logged: bool = True
    """Whether the request appears in the log and the request log, or in the figures only."""
    body: str = ""
    """The name of what the body log keeps of it; empty: nothing."""
    cache_key: str = field(default="", name="prompt")
    """The first 16 hexadecimal digits of the cache's key: the same for the same question of the
    same tenant."""
    trace: str = ""
    """The trace's id, 32 hexadecimal digits (W3C Trace Context)."""
    span: str = ""
    parent: str = ""
    """This request's span and the caller's, 16 hexadecimal digits each."""

    @property
    def has_failed(self) -> bool:
        """Whether the caller was answered an error, or its stream broke. A caller who left did
        not fail."""
        return self.status >= 400 or self.error != ""

    @property
    def is_unpriced(self) -> bool:
        """Whether a model answered whose price is not known."""
        return self.cost is None and self.provider != "" and self.status < 400

    @property
    def sent_attempts(self) -> tuple[Attempt, ...]:
        """The attempts that went out to a provider."""
        return tuple([attempt for attempt in self.attempts if attempt.outcome not in UNSENT])

    def has_failed_at(self, attempt: Attempt) -> bool:
        """Whether the provider failed at an attempt of this request: at once, or by breaking off
        the stream that it had begun."""
        if attempt.outcome == "ok":
            return self.error != "" and self.source == "provider"
        return has_provider_failed(attempt)

    @property
    def has_fallen_back(self) -> bool:
        """Whether another provider or model answered than the first that was tried."""
        first = next((each for each in self.attempts if each.outcome != CANCELLED), None)
        return first is not None and (first.provider, first.model) != (self.provider, self.model)


_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def without_quotes(record: RequestRecord) -> RequestRecord:
    """The record without the words of providers, which may quote the prompt: of a failed attempt
    the outcome, the status and the code stay."""
    for attempt in record.attempts:
        if attempt.message or attempt.code:
            return structs.replace(record, attempts=tuple(map(_strip_quotes, record.attempts)))
    return record


def _strip_quotes(attempt: Attempt) -> Attempt:
    return structs.replace(
        attempt,
        code=attempt.code if attempt.code and _WORD.fullmatch(attempt.code) else None,
        message=attempt.message if attempt.outcome in UNSENT else None,
    )
