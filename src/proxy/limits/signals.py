"""What a provider's answer says of its own limits."""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from proxy.core.errors import Fault
from proxy.core.scopes import find_scope
from proxy.core.waits import parse_wait, read_retry_after
from proxy.limits.capacity import is_low
from proxy.limits.pool_messages import Signal

EXHAUSTED_SECONDS = 60.0
"""For how long an account that is used up is left alone where its provider names no time."""

_FORMS = (
    "x-ratelimit-{}-requests",
    "anthropic-ratelimit-requests-{}",
    "x-ratelimit-{}",  # OpenRouter
    "x-ratelimit-{}-requests-day",  # Cerebras
)
_NAMES = [tuple(map(form.format, ("remaining", "limit", "reset"))) for form in _FORMS]
_NUMBER = re.compile(r"(\d{1,15})(?:\.\d+)?", re.ASCII)


def read_signal(
    model: str, headers: Mapping[str, str], fault: Fault | None, now: int
) -> Signal | None:
    """What an answer says; None: nothing worth reporting, where it is no 429 and says of no limit,
    readably, that less than a tenth is left. Never raises.

    headers: their names in lower case. fault: what the answer means, if it is no success; a 429
    about the request itself, such as its size, is none of `rate_limited`, and one of a vendor that
    the caller chose limits nobody else. now: a moment (ms), for dates.
    """
    given = [names for names in _NAMES if names[0] in headers]
    if fault is None and not given:
        return None
    low = None
    for names in given:
        low = low or _read_limit(headers, names, now)
    if fault is None or fault.kind != "rate_limited" or fault.blame == "caller":
        return low and replace(low, scope=model)
    signal = low or Signal()
    wait = read_retry_after(headers, now / 1000)
    if wait is None and signal.remaining is None:
        wait = fault.retry_after
    if wait is None and fault.quota == "exhausted":
        wait = EXHAUSTED_SECONDS
    return replace(signal, scope=find_scope(fault.quota, model), limited=True, retry_after=wait)


def _read_limit(headers: Mapping[str, str], names: tuple[str, ...], now: int) -> Signal | None:
    """One limit, if it is nearly used up.

    A reset that is a duration with units, or Anthropic's date, says when the limit would be whole
    again: it comes back bit by bit. By any other, all of it comes back then.
    """
    counts = [_NUMBER.fullmatch(headers.get(name, "").strip()) for name in names[:2]]
    remaining, limit = (int(count[1]) if count else None for count in counts)
    if remaining is None or limit is None or not is_low(remaining, limit):
        return None
    text = headers.get(names[2], "").strip()
    reset, window = parse_wait(text, now / 1000), _NUMBER.fullmatch(text) is not None
    if reset is None:
        return None
    if not window:
        reset *= max(1, remaining) / (limit - remaining)
    return Signal(remaining=remaining, limit=limit, reset=reset, window=window)
