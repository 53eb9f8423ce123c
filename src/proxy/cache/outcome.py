"""The outcome of a flight's leader, as bytes: its answer, its error, or that there is nothing to
share."""

import hashlib

import msgspec
from msgspec import Struct

from proxy.cache.entry import CacheEntry, ForeignEntry, decode, encode
from proxy.core.chat import Attempt, Wire
from proxy.core.errors import Cause, InternalError, MethodNotAllowed, ProxyError, Source


class Effort(Struct, frozen=True):
    """What a request may do to get an answer: a leader's error is a follower's only where the
    leader could do all that the follower can."""

    candidates: tuple[str, ...] = ()
    """The models that may be tried, in the order of the settings."""
    order: tuple[str, ...] = ()
    """What the caller says of the order."""
    timeout: float = 0.0
    """Seconds."""
    attempts: int = 1
    """At each provider."""
    pause: tuple[int, str] = (0, "")
    """Milliseconds between these, and how they grow."""

    def covers(self, other: "Effort") -> bool:
        """Whether a request with the other effort would not have come further than with this."""
        alike = (self.order, self.pause) == (other.order, other.pause)
        more = self.timeout >= other.timeout and self.attempts >= other.attempts
        return alike and more and set(self.candidates) >= set(other.candidates)

    def name_flight(self, key: str) -> str:
        """The name of the flight of the requests with exactly this effort."""
        digest = hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()
        return f"{key}:{digest[:32]}"


class LeaderHadLess(Exception):
    """The leader met an error at which a follower, with more effort, would not have given up."""


class _Failure(Struct, frozen=True):
    effort: Effort
    type: str
    message: str
    status: int
    source: Source
    param: str | None = None
    code: str | None = None
    retry_after: float | None = None
    attempts: tuple[Attempt, ...] = ()
    native: tuple[Wire, bytes] | None = None


LEAST = Effort()
"""What every leader has."""
UNSHARED = b"-"
"""The outcome of a leader whose answer can't be shared: each goes alone, none in turn."""
_ANSWER, _FAILURE = b"A", b"E"
_DECODER = msgspec.msgpack.Decoder(_Failure)
_ERRORS = {kind.type: kind for kind in ProxyError.__subclasses__() if kind is not MethodNotAllowed}


def encode_answer(entry: CacheEntry) -> bytes:
    """The outcome of a leader that has an answer. Raises Unstorable."""
    return _ANSWER + encode(entry)


def encode_failure(error: ProxyError, effort: Effort = LEAST) -> bytes:
    """The outcome of a leader with this effort, which every provider failed."""
    return _FAILURE + msgspec.msgpack.encode(
        _Failure(
            effort=effort,
            type=error.type,
            message=error.message,
            status=error.status,
            source=error.source,
            param=error.param,
            code=error.code,
            retry_after=error.retry_after,
            attempts=error.attempts,
            native=error.native,
        )
    )


def is_leaders_alone(error: ProxyError, left: float, effort: Effort) -> bool:
    """Whether an error says nothing to followers: the leader's limits kept it from a provider, its
    isolate had no room, or its time was nearly up. left: its seconds."""
    limited = any(attempt.outcome == "limited" for attempt in error.attempts)
    return limited or isinstance(error, InternalError) or left < effort.timeout / 10


def read_outcome(outcome: bytes, effort: Effort = LEAST) -> tuple[CacheEntry, bytes]:
    """The leader's answer and its bytes, for a follower with this effort. Where there is none,
    raises the leader's error, or LeaderHadLess; ForeignEntry for bytes that are no outcome."""
    if outcome[:1] == _ANSWER:
        return decode(outcome[1:]), outcome[1:]
    try:
        failure = _DECODER.decode(outcome.removeprefix(_FAILURE))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ForeignEntry("no outcome of a flight") from error
    if not failure.effort.covers(effort):
        raise LeaderHadLess
    raise _ERRORS.get(failure.type, ProxyError)(
        failure.message,
        param=failure.param,
        code=failure.code,
        retry_after=failure.retry_after,
        cause=Cause(
            source=failure.source,
            status=failure.status,
            attempts=failure.attempts,
            native=failure.native,
        ),
    )
