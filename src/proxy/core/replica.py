"""All of what an object keeps, as one isolate knows it: read anew in time by those who use it.

Promise: an isolate goes at once by what was changed in it. Where the object can't be reached, what
was read last goes on being used, and it is logged.
"""

from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from proxy.core.circuit import Circuit
from proxy.core.errors import Unavailable
from proxy.core.ports import Clock, Log, Objects
from proxy.core.rpc import Method

STORE_SECONDS = 2.0
"""What the object may take."""
UNREAD = -1
"""The version of an isolate that has never read."""


class Versioned(Protocol):
    """What an object answers to a version: what has changed since."""

    @property
    def version(self) -> int:
        """Grows with each change."""


A = TypeVar("A")
R = TypeVar("R")
V = TypeVar("V", bound=Versioned)


class Origin(Struct, Generic[V], frozen=True, kw_only=True):
    """Where something is kept."""

    what: str
    """In the plural, for the log and for errors."""
    store: str
    """The name of the object."""
    read: Method[int, V]
    code: str
    """Of the error where it can't be reached."""


class Replica(Generic[V]):
    """What one isolate knows; a subclass keeps what has come."""

    def __init__(self, origin: Origin[V], objects: Objects, clock: Clock, log: Log) -> None:
        self._origin = origin
        self._objects = objects
        self._clock = clock
        self._log = log
        self._circuit = Circuit(clock)
        self._read_at: float | None = None
        """When the last reading was begun that came back; None: what is known is no longer held."""
        self._begun_at: float | None = None
        self._failed_at: float | None = None
        self._readings = 0
        """Those that were begun: the clock may step back."""
        self._applied = 0
        """Which of them has come last."""
        self.version = UNREAD

    def take(self, found: V) -> None:
        """Keeps what has changed."""
        raise NotImplementedError

    async def read(self) -> None:
        """Reads what has changed; what can't be read stays as it is."""
        began = self._begun_at = self._clock.now()
        self._readings += 1
        number = self._readings
        try:
            found = await self.call(self._origin.read, self.version)
        except Unavailable:
            self._failed_at = self._clock.now()
            return
        if number < self._applied:  # a later one was faster
            return
        self._applied = number
        self.take(found)
        self.version, self._read_at, self._failed_at = found.version, began, None

    async def change(self, method: Method[A, R], argument: A) -> R:
        """Has the object change something, whatever comes of which is read at once. Raises
        InternalError (503) where it does not answer."""
        try:
            return await self.call(method, argument)
        finally:
            self._read_at = None
            await self.read()

    async def call(self, method: Method[A, R], argument: A) -> R:
        """The object's answer. Raises InternalError (503) where it gives none."""
        what = self._origin.what
        work = self._objects.call(method, self._origin.store, argument)
        try:
            return await self._circuit.call(what, work, STORE_SECONDS)
        except Exception as error:
            self._log("error", f"{what} unreachable", error=repr(error)[:500])
            raise self.unreachable() from None

    def unreachable(self) -> Unavailable:
        """The error of a request that needs what is not known."""
        return Unavailable(
            f"The {self._origin.what} can't be reached now. Try again.",
            code=self._origin.code,
            retry_after=1,
        )
