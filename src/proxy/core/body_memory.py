"""How much of an isolate's memory bodies may take that are under way at once.

Cloudflare ends an isolate at 128 MB, with every request in it. A body takes up to three bytes of
the heap for each of its own (itself, its texts as strings, what is sent on), so what is counted
here is bytes of bodies, and of answers and of streams while they are held, which take as much.

A request whose end is not seen (a Worker's `finally` may never run) gives back what it held after
LAPSE_SECONDS.
"""

from proxy.core.errors import PayloadTooLarge, Unavailable
from proxy.core.json_guard import count_values

LAPSE_SECONDS = 660.0
"""Longer than any request."""
RETRY_SECONDS = 1
VALUE_BYTES = 16
"""What a value takes beside its text, in thirds."""
STEP = 64 * 1024
"""Bytes by which what is held grows, where it grows a little at a time."""


class BodyMemory:
    """What the requests of an isolate hold together, at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.now = 0.0
        """The last moment that is known: a look at the clock costs a crossing."""
        self._holds: dict[Hold, None] = {}

    def open(self) -> "Hold":
        """What a request holds: nothing yet."""
        return Hold(self)

    def take(self, hold: "Hold", more: int) -> bool:
        """Lets `hold` have more, if there is room."""
        if self.held + more > self.limit:
            self._drop_lapsed()
        if self.held + more > self.limit:
            return False
        if hold not in self._holds:
            hold.until = self.now + LAPSE_SECONDS
            self._holds[hold] = None
        self.held += more
        return True

    def give_back(self, hold: "Hold", less: int) -> None:
        """Takes back some of what `hold` has."""
        self.held -= less
        if hold.size == less:
            self._holds.pop(hold, None)

    def _drop_lapsed(self) -> None:
        for hold in [hold for hold in self._holds if hold.until <= self.now]:
            hold.release()


class Hold:
    """What a request holds."""

    def __init__(self, memory: BodyMemory) -> None:
        self.size = 0
        self.until = 0.0
        self.limit = memory.limit
        """Bytes that a request could hold if it were alone."""
        self._memory = memory

    @property
    def room(self) -> int:
        """Bytes that it could hold now."""
        return self.limit - self._memory.held + self.size

    def fork(self) -> "Hold":
        """What a part of the request holds beside it: nothing yet."""
        return self._memory.open()

    def keep(self, size: int) -> None:
        """Holds `size` bytes from now on, more or less than before. Raises PayloadTooLarge for
        more than there could ever be, InternalError (503) for more than there is now."""
        if size > self.limit:
            raise PayloadTooLarge(
                f"The request needs more memory than there is ({self.limit} bytes, "
                "BODY_MEMORY_BYTES): send it in smaller parts."
            )
        if not self.keeps(size):
            raise Unavailable(
                "Too many large requests are under way. Try again in a moment.",
                code="overloaded",
                retry_after=RETRY_SECONDS,
            )

    def keeps(self, size: int) -> bool:
        """Like `keep`, where what finds no room can be done without."""
        if size > self.size and not self._memory.take(self, size - self.size):
            return False
        if size < self.size:
            self._memory.give_back(self, self.size - size)
        self.size = size
        return True

    def release(self) -> None:
        """Holds nothing any more."""
        self.keeps(0)


def weigh(body: bytes, exact_from: int) -> int:
    """What a body counts for: its bytes, the objects that it is decoded to, and three times the
    strings that hold a character beyond U+FFFF: they take four bytes a character.
    exact_from: as long as they count for less, a text's own commas are taken for values, which is
    quick."""
    values = body.count(b",") + body.count(b"[") + body.count(b"{")
    if VALUE_BYTES * values > exact_from:
        values = min(values, count_values(body))
    return len(body) + VALUE_BYTES * values + 2 * _wide(body)


STEPS = 1000
"""Strings, and escaped quotes of a string, that are looked at singly; what is beyond counts."""
_BEYOND = tuple(bytes([lead]) for lead in range(0xF0, 0xF5))
_ESCAPED = (b"\\ud", b"\\uD")
_BACKSLASH = 0x5C


def _wide(body: bytes) -> int:
    """Bytes of the strings that hold a character beyond U+FFFF, rather more than less."""
    is_ascii, size = body.isascii(), 0
    if is_ascii and b"\\u" not in body:
        return 0
    for sign in _ESCAPED if is_ascii else (*_BEYOND, *_ESCAPED):
        found = body.find(sign)
        for _ in range(STEPS):
            if found < 0:
                break
            end = _string_end(body, found)
            size += end - _string_begin(body, found)
            found = body.find(sign, end)
        else:
            size += len(body) - max(found, 0)
    return min(size, len(body))


def _string_begin(body: bytes, at: int) -> int:
    for _ in range(STEPS):
        at = body.rfind(b'"', 0, at)
        if at <= 0 or body[at - 1] != _BACKSLASH:
            return max(at, 0)
    return 0


def _string_end(body: bytes, at: int) -> int:
    for _ in range(STEPS):
        at = body.find(b'"', at + 1)
        if at < 0:
            break
        if body[at - 1] != _BACKSLASH:
            return at
    return len(body)
