"""What a provider bears, shared among its users: one pool for each provider.

It learns from what the provider says (429s and headers) and from what the users' buckets report,
and tells each bucket what it may have. It is on no request's path: buckets report every few seconds
while they are used, isolates pass on the provider's words afterwards.

Pressure begins with the first 429 or telling header and is a capacity in requests an hour:

- a 429 halves what was admitted lately, at once, and no more often than every CUT_MS;
- little left by the headers means no more than that until the provider's limit is renewed;
- every RESTORE_MS without a 429 bring back a twentieth of the rate before the first cut, and
  beyond 1.5 times that rate the pressure is over: about 210 s after one cut, 310 s at the most.

Promises: the capacity is shared max-min fairly. Whoever asks for no more than the level keeps the
whole configured rate and burst, the others get the level. Nobody falls below the floor. What users
ask for within their shares is at most the capacity, or what they ask for within their floors.
"""

import math
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from proxy.limits.token_bucket import Rate

REPORT_MS, PRESSED_REPORT_MS = 5_000, 1_000
"""How soon a bucket in use is to report again, without and under pressure; then later where more
than a thousand users would make too many reports a second."""
LATELY_MS = 30_000
"""The time constant by which what was admitted is forgotten, not counting while it is closed."""
DEMAND_MS = 600_000
"""The time constant of a user's demand: a burst alone does not make a user heavy."""
CUT_MS, RESTORE_MS = 5_000, 10_000
LONGEST_CLOSED = 3_600_000
"""How long a provider can keep itself closed."""
LEVEL_MS = 1_000
"""How old the level may be that reports are answered by, unless the capacity has changed."""
IDLE_MS, USERS = 600_000, 5_000
"""After which a user without a report is forgotten, and how many are remembered at most: beyond,
those of the least demand are forgotten."""

_HOUR = 3_600_000
_MOST = 1_000_000  # of anything that is counted in one report or header, and of a floor

Weight = Annotated[float, Meta(ge=0, le=1e15)]


class Demand(Struct, frozen=True, kw_only=True):
    """What a user's bucket reports: tokens taken and refused since its last report."""

    user: str
    taken: int
    refused: int
    rate: Rate
    """The configured one."""


class Signal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a provider's answer tells of its limits."""

    limited: bool = False
    """It was a 429."""
    retry_after: float | None = None
    """Seconds, of a 429."""
    remaining: int | None = None
    """Requests, of `limit`, that may be sent within the next `reset` seconds."""
    limit: int | None = None
    reset: float | None = None


class Allocation(Struct, frozen=True, kw_only=True):
    """What a bucket may have."""

    rate: Rate | None
    """None: the configured one."""
    closed_until: int
    """The moment (ms) until which the provider is to be left alone; 0: it is open."""
    next_report: int
    """Milliseconds from now."""


class Share(Struct, frozen=True, kw_only=True):
    """A user as an operator sees it. demand: requests an hour, refused ones too, averaged over
    minutes; rate: None is the configured one."""

    user: str
    demand: int
    rate: Rate | None


class View(Struct, frozen=True, kw_only=True):
    """A pool as an operator sees it."""

    capacity: int | None
    """Requests an hour; None: no pressure."""
    closed_until: int
    users: tuple[Share, ...]
    """The greatest demand first."""


class _User(Struct, array_like=True):
    asked: Weight
    at: int
    rate: Rate

    def left(self, now: int) -> float:
        """What it asked for, as far as it isn't forgotten."""
        return self.asked * math.exp(-max(0, now - self.at) / DEMAND_MS)

    def asks(self, now: int) -> float:
        """Requests an hour."""
        return self.left(now) * _HOUR / DEMAND_MS

    def can_use(self, now: int) -> float:
        """The same, as far as the configured rate allows."""
        return min(self.asks(now), self.rate.per_hour)

    def share(self, level: int | None, now: int) -> Rate | None:
        """What is left of its rate at a level."""
        if level is None or self.can_use(now) <= level:
            return None
        return Rate(max(1, self.rate.burst * level // self.rate.per_hour), level)


class _State(Struct):
    users: dict[str, _User] = {}
    at: int = 0
    admitted: Weight = 0.0  # tokens taken, each forgotten by LATELY_MS
    capacity: Annotated[int, Meta(ge=0)] | None = None
    before: Annotated[int, Meta(ge=0)] = 0  # the rate before the first cut, a multiple of 20
    restored_at: int = 0  # from when on the next RESTORE_MS count
    cut_at: int = -CUT_MS
    closed_until: int = 0


_STATE = msgspec.msgpack.Decoder(_State)


class ProviderPool:
    """The pool of one provider. Moments are whole milliseconds; where the clock steps back,
    nothing is forgotten or restored until it goes on.

    floor_per_hour: what each user keeps, if no less is configured for it. state: what `state()`
    gave. Raises ValueError where it is none.
    """

    def __init__(self, floor_per_hour: int, state: bytes | None = None) -> None:
        self._floor = min(max(0, floor_per_hour), _MOST)
        self._state = _State() if state is None else _STATE.decode(state)  # raises ValueErrors
        self._level: int | None = None
        self._level_until: int | None = None

    def state(self) -> bytes:
        """What to store. One that is seconds old does little harm: users report again."""
        return msgspec.msgpack.encode(self._state)

    def report(self, demand: Demand, now: int) -> Allocation:
        """Takes note of a user's demand; what its bucket may have now."""
        self._advance(now)
        user = self._counted(demand, now)
        pressed = max(PRESSED_REPORT_MS, len(self._state.users))
        return Allocation(
            rate=user.share(self._level_at(now), now),
            closed_until=self._closed(now),
            next_report=REPORT_MS if self._state.capacity is None else pressed,
        )

    def signal(self, signal: Signal, now: int) -> int:
        """Takes note of what the provider said; until when (ms) it is closed, 0 if it is open.
        What makes no sense is ignored or bounded."""
        self._advance(now)
        state = self._state
        reset, wait = _bounded(signal.reset), _bounded(signal.retry_after)
        if wait is None and signal.remaining == 0:
            wait = reset
        if wait is not None:
            until = now + min(math.ceil(wait * 1000), LONGEST_CLOSED)
            state.closed_until = max(state.closed_until, until)
        if signal.limited:
            self._limited(now)
        elif reset is not None and _is_low(signal.remaining, signal.limit):
            left = min(signal.remaining or 0, _MOST)
            self._cut(math.floor(left * 3600 / reset), now)
        state.restored_at = max(state.restored_at, state.closed_until)
        return self._closed(now)

    def show(self, now: int) -> View:
        """For an operator."""
        self._advance(now)
        self._level_until = None
        level = self._level_at(now)
        shares = [
            Share(user=name, demand=round(user.asks(now)), rate=user.share(level, now))
            for name, user in self._state.users.items()
        ]
        return View(
            capacity=self._state.capacity,
            closed_until=self._closed(now),
            users=tuple(sorted(shares, key=lambda share: (-share.demand, share.user))),
        )

    def reset(self, now: int) -> None:
        """Forgets what the provider said and what its users asked for."""
        self._state = _State(at=now)
        self._level_until = None

    def idle(self, now: int) -> bool:
        """Whether there is nothing to remember."""
        view = self.show(now)
        return not view.users and view.capacity is None and not view.closed_until

    def _advance(self, now: int) -> None:
        """Lets the time pass."""
        state = self._state
        if now < state.at:
            state.cut_at = min(state.cut_at, now)
            state.restored_at = min(state.restored_at, now)
            for user in state.users.values():
                user.at = min(user.at, now)
        open_since = max(state.at, state.closed_until)
        if now > open_since:
            state.admitted *= math.exp((open_since - now) / LATELY_MS)
        state.at = now
        state.closed_until = min(state.closed_until, now + LONGEST_CLOSED)
        steps = (now - state.restored_at) // RESTORE_MS
        if state.capacity is not None and steps > 0:
            state.restored_at += steps * RESTORE_MS
            self._bear(state.capacity + steps * state.before // 20)

    def _counted(self, demand: Demand, now: int) -> _User:
        taken, refused = (min(max(0, n), _MOST) for n in (demand.taken, demand.refused))
        users = self._state.users
        self._state.admitted = min(self._state.admitted + taken, 1e15)
        before = users.get(demand.user)
        asked = min((before.left(now) if before else 0) + taken + refused, 1e15)
        user = users[demand.user] = _User(asked, now, demand.rate)
        if len(users) > USERS:
            self._forget(now)
        return user

    def _limited(self, now: int) -> None:
        state, lately = self._state, self._lately()
        if state.capacity is None or now - state.cut_at >= CUT_MS:
            state.cut_at = now
            borne = lately if state.capacity is None else min(state.capacity, lately)
            self._cut(borne // 2, now)
        state.restored_at = now

    def _cut(self, bearable: int, now: int) -> None:
        """Puts the capacity down to what is bearable, if that is less, but not below what is asked
        for within the floors."""
        state = self._state
        floors = sum(min(user.can_use(now), self._floor) for user in state.users.values())
        bearable = max(bearable, math.ceil(floors))
        if state.capacity is None:
            before = max(self._lately(), math.ceil(floors), self._floor, 1)
            state.before = -(-before // 20) * 20
            state.restored_at = now
        if state.capacity is None or bearable < state.capacity:
            self._bear(bearable)

    def _bear(self, capacity: int) -> None:
        state = self._state
        state.capacity = capacity if capacity <= state.before * 3 // 2 else None
        self._level_until = None

    def _level_at(self, now: int) -> int | None:
        """The rate above which nobody may go; None: all may."""
        if self._level_until is None or not 0 < self._level_until - now <= LEVEL_MS:
            self._forget(now)
            self._level_until = now + LEVEL_MS
            self._level = None
            if self._state.capacity is not None:
                wanted = [user.can_use(now) for user in self._state.users.values()]
                level = fair_level(self._state.capacity, wanted)
                self._level = None if level is None else max(level, self._floor)
        return self._level

    def _forget(self, now: int) -> None:
        """Forgets who is idle, and where they are too many a tenth of USERS at once."""
        users = self._state.users
        for name in [name for name, user in users.items() if now - user.at >= IDLE_MS]:
            del users[name]
        if len(users) > USERS:
            rising = sorted(users, key=lambda name: users[name].asks(now))
            for name in rising[: len(users) - USERS * 9 // 10]:
                del users[name]

    def _lately(self) -> int:
        """Requests an hour."""
        return round(self._state.admitted * _HOUR / LATELY_MS)

    def _closed(self, now: int) -> int:
        return self._state.closed_until if self._state.closed_until > now else 0


def fair_level(capacity: int, demands: Collection[float]) -> int | None:
    """Where to cut demands off so that together they are at most the capacity, max-min fairly.
    None: nowhere, all can be met."""
    left, count = float(capacity), len(demands)
    for met, demand in enumerate(sorted(demands)):
        if demand * (count - met) > left:
            return int(left / (count - met))
        left -= demand
    return None


_FORMS: tuple[str, ...] = ("x-ratelimit-{}-requests", "anthropic-ratelimit-requests-{}")
_FORMS += ("x-ratelimit-{}", "x-ratelimit-{}-requests-day")  # OpenRouter, Cerebras
_NAMES = [tuple(map(form.format, ("remaining", "limit", "reset"))) for form in _FORMS]
_NUMBER = re.compile(r"(\d{1,15})(?:\.\d+)?")
_DURATION = re.compile(
    r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?"
    r"(?:(\d{1,9}(?:\.\d+)?)s)?(?:(\d{1,9}(?:\.\d+)?)ms)?"
)
_UNITS = (3600, 60, 1, 0.001)


def signal_of(status: int, headers: Mapping[str, str], now: int) -> Signal | None:
    """What a provider's answer tells; None: nothing worth reporting, where it is no 429 and says
    of no limit, readably, that less than a tenth is left. Never raises.

    headers: their names in lower case. now: a moment (ms), for dates.
    """
    told = next((told for names in _NAMES if (told := _told(headers, names, now))), None)
    if status != 429:
        return told
    return replace(told or Signal(), limited=True, retry_after=_retry_after(headers, now))


def _told(headers: Mapping[str, str], names: tuple[str, ...], now: int) -> Signal | None:
    """One limit, if it is nearly used up.

    A reset that is a duration with units, or Anthropic's date, says when the limit would be whole
    again: it comes back bit by bit. By any other, all of it comes back then.
    """
    if names[0] not in headers:
        return None
    counts = [_NUMBER.fullmatch(headers.get(name, "").strip()) for name in names[:2]]
    remaining, limit = (int(count[1]) if count else None for count in counts)
    if remaining is None or limit is None or not _is_low(remaining, limit):
        return None
    text = headers.get(names[2], "").strip()
    if _NUMBER.fullmatch(text):
        reset = _until(float(text), now)
    elif (whole := _date(text, now) if "T" in text else _duration(text)) is None:
        return None
    else:
        reset = whole * max(1, remaining) / (limit - remaining)
    return Signal(remaining=remaining, limit=limit, reset=reset)


def _is_low(remaining: int | None, limit: int | None) -> bool:
    """Whether less than a tenth is left. Limits that aren't above 0 are no limits."""
    return remaining is not None and limit is not None and 0 <= remaining * 10 < limit


def _retry_after(headers: Mapping[str, str], now: int) -> float | None:
    """Seconds."""
    ms, text = (headers.get(name, "").strip() for name in ("retry-after-ms", "retry-after"))
    if _NUMBER.fullmatch(ms):
        return float(ms) / 1000
    if _NUMBER.fullmatch(text):
        return float(text)
    return _date(text, now) if text.endswith("GMT") else _duration(text)


def _until(told: float, now: int) -> float:
    """Seconds until a moment told, by its size, as seconds from now or since 1970 or as ms."""
    return told if told < 1e9 else max(0, (told if told > 1e11 else told * 1000) - now) / 1000


def _duration(text: str) -> float | None:
    """Seconds of a duration such as `6m0s`, `12ms` and `21m36.001s`."""
    if not text or not (units := _DURATION.fullmatch(text)):
        return None
    return sum(float(n) * unit for n, unit in zip(units.groups("0"), _UNITS, strict=True))


def _date(text: str, now: int) -> float | None:
    """Seconds until a date of HTTP or of RFC 3339."""
    try:
        if text.endswith("GMT"):
            date = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        else:
            date = datetime.fromisoformat(text)
        return max(0.0, date.timestamp() - now / 1000)
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float | None) -> float | None:
    """At least a millisecond, at most 116 days; None where there is none or it is negative."""
    return None if seconds is None or not seconds >= 0 else min(max(seconds, 0.001), 1e7)
