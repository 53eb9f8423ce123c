"""Moments, and requests to a key's account."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from proxy.limits.account import Account
from proxy.limits.account_messages import AccountLimits, ReservationRequest

LIFETIME = 900_000
IDS = st.sampled_from("abcdef")


def at(*moment: int) -> int:
    """A moment of UTC in milliseconds: year, month, day, and as much of the time as is not 0."""
    year, month, day, hour, minute, second = (*moment, 0, 0, 0)[:6]
    date = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return round(date.timestamp() * 1000)


NOON = at(2024, 2, 28, 12)


def reservation(
    id: str = "a", tokens: int = 0, nano_usd: int = 0, **limits: int | None
) -> ReservationRequest:
    return ReservationRequest(
        id=id, tokens=tokens, nano_usd=nano_usd, limits=AccountLimits(**limits), lifetime=LIFETIME
    )


def granted(account: Account, request: ReservationRequest, now: int) -> bool:
    return account.reserve(request, now).limit is None
