"""What attempts become: a record of each, and one error for the caller where all failed."""

import math
from collections.abc import Sequence
from typing import Literal

from proxy.core.chat import Attempt
from proxy.core.errors import (
    BudgetExceeded,
    Cause,
    Fault,
    FaultKind,
    InvalidRequest,
    NoProviderAvailable,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    ProviderError,
    ProviderTimeout,
    ProxyError,
    RateLimitExceeded,
    drop_frames,
)
from proxy.core.permit import Refusal
from proxy.providers.target import Target

_ERRORS: dict[FaultKind, type[ProxyError]] = {
    "bad_request": InvalidRequest,
    "not_found": NotFound,
    "too_large": PayloadTooLarge,
    "rate_limited": RateLimitExceeded,
    "timeout": ProviderTimeout,
}

_OWN = (ProviderError, ProviderTimeout)
"""Errors in the proxy's own words."""


def record_attempt(
    target: Target, fault: Fault | None, began: float, start: float, end: float
) -> Attempt:
    """The record of an attempt of the request that began at `began`. Moments in seconds."""
    return Attempt(
        provider=target.spec.name,
        model=target.model.id,
        outcome=fault.kind if fault else "ok",
        ms=max(0, round((end - start) * 1000)),  # the platform's clock may step
        start=max(0, round((start - began) * 1000)),
        status=fault.status if fault else None,
        code=fault.code if fault else None,
        message=fault.message if fault else None,
        blame=fault.blame if fault else None,
        key=target.key_number or None,
        replaces=target.model.replaces or None,
    )


def as_proxy_error(
    fault: Fault, attempts: tuple[Attempt, ...], *, begun: bool = False
) -> ProxyError:
    """The caller's error after the last attempt failed with `fault`, which loses its frames. begun:
    after its answer had begun.

    The provider's 400, 404, 413, 422 and 429 keep their status and message; silence becomes 504,
    anything else (a refused key of the proxy's own, too) 502.
    """
    drop_frames(fault)
    kind = _ERRORS.get(fault.kind, ProviderError)
    message, code = fault.message, fault.code
    kept = fault.kind != "rate_limited"
    others_rest = fault.blame == "key" and kept and fault.retry_after is not None
    if others_rest:
        kind, message, code = RateLimitExceeded, "No key of the provider is free now.", None
    if begun:
        message = f"The answer of {attempts[-1].provider} broke off: {message}"
    elif kind in _OWN:
        code = None  # the provider's word for it concerns the proxy, not the caller
        tried = ", ".join(f"{a.provider} ({a.outcome})" for a in attempts) or "none"
        message = f"No provider gave an answer; tried {tried}. The last one: {message}"
    return kind(
        message,
        param=fault.param,
        code=code,
        retry_after=fault.retry_after,
        cause=Cause(
            source=fault.source,
            status=422 if fault.kind == "bad_request" and fault.status == 422 else None,
            attempts=attempts,
            native=None if begun or others_rest or kind in _OWN else fault.native,
        ),
    )


def record_unsent(
    target: Target, outcome: Literal["limited", "breaker_open"], message: str | None = None
) -> Attempt:
    """The record of an attempt that the limits or its breaker did not let out."""
    return Attempt(
        provider=target.spec.name,
        model=target.model.id,
        outcome=outcome,
        ms=0,
        message=message,
        replaces=target.model.replaces or None,
    )


def as_limit_error(refusals: Sequence[Refusal], attempts: tuple[Attempt, ...] = ()) -> ProxyError:
    """The caller's error where the limits let nothing out: that of the first to give way."""
    first = min(refusals, key=lambda r: math.inf if r.retry_after is None else r.retry_after)
    kind: type[ProxyError] = RateLimitExceeded
    if first.limit == "budget_unpriced":
        kind = PermissionDenied
    elif first.limit.startswith("budget_"):
        kind = BudgetExceeded
    elif first.limit == "limiter":
        kind = NoProviderAvailable
    cause = Cause(limit=first.limit, attempts=attempts)
    return kind(first.message, retry_after=first.retry_after, cause=cause)
