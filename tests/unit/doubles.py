"""Stand-ins for the ports: a clock that is turned by hand, an upstream that is scripted."""

import asyncio
import functools
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, ParamSpec

import msgspec

from proxy.cache.flight import Flight
from proxy.core.errors import Fault
from proxy.core.ports import Outgoing, Ports


class ManualClock:
    """A clock that stands until it is turned."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


class LoopClock(ManualClock):
    """A clock that goes with the running loop; to turn it is a step that the loop doesn't see."""

    def now(self) -> float:
        return self.time + asyncio.get_running_loop().time()


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: it notes how long it should have waited."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("Everything waits, and nothing will ever happen.")
        self.waited += max(timeout, 0)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop from 0 on whose time passes at once wherever everything waits for it."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.waited


P = ParamSpec("P")


def in_no_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs a test on a JumpingLoop: it may wait for hours."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class CountingRandom:
    """Tokens that tell which one they are."""

    def __init__(self) -> None:
        self.count = 0

    def token(self, nbytes: int) -> str:
        self.count += 1
        return f"{self.count:0{2 * nbytes}x}"


class FakeReply:
    """An answer in pieces; a Fault or a number of seconds among them is raised or waited."""

    def __init__(
        self,
        *pieces: bytes | Fault | float,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = headers or {"content-type": "application/json"}
        self.pieces = pieces
        self.aborted = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Fault):
                raise piece
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                yield piece

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.chunks()])

    def abort(self) -> None:
        self.aborted = True


Answerer = Callable[[Outgoing], FakeReply | Fault | float]


class FakeUpstream:
    """Answers by `answer`, which may give a Fault to raise or seconds to stay silent for."""

    def __init__(self, answer: Answerer) -> None:
        self.answer = answer
        self.sent: list[Outgoing] = []

    async def send(self, request: Outgoing, *, idle: float) -> FakeReply:
        self.sent.append(request)
        answer = self.answer(request)
        if isinstance(answer, Fault):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            raise Fault("network", "gone")
        return answer


class MemoryBoard:
    """The providers' shared state, in memory; `down` makes it fail."""

    def __init__(self) -> None:
        self.checks = "[]"
        self.down = False

    async def record_checks(self, checks_json: str) -> None:
        self.checks = checks_json

    async def read_checks(self) -> str:
        if self.down:
            raise RuntimeError("the object is unreachable")
        return self.checks


class MemoryLedger:
    """The purges, in memory; `down` makes it fail, `silent` makes it hang."""

    def __init__(self) -> None:
        self.purges: list[str] = []
        self.down = False
        self.silent = False
        self.reads = 0

    async def _ready(self) -> None:
        if self.down:
            raise RuntimeError("the object is unreachable")
        if self.silent:
            await asyncio.sleep(10_000)

    async def record_purge(self, purge_json: str) -> None:
        await self._ready()
        self.purges.append(purge_json)

    async def read_purges(self) -> str:
        self.reads += 1
        await self._ready()
        return f"[{','.join(self.purges)}]"


class MemoryFlights:
    """The flights, in memory; `down` makes them fail, `silent` makes them hang."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.flights: dict[str, Flight] = {}
        self.down = False
        self.silent = False

    async def _ready(self) -> None:
        if self.down:
            raise RuntimeError("the object is unreachable")
        if self.silent:
            await asyncio.sleep(10_000)

    async def board(self, key: str, patience: float) -> bytes:
        await self._ready()
        flight = self.flights.setdefault(key, Flight(self.clock))
        return msgspec.msgpack.encode(await flight.board(patience))

    async def renew(self, key: str, ticket: int) -> None:
        await self._ready()
        self.flights[key].renew(ticket)

    async def land(self, key: str, ticket: int, outcome: bytes | None) -> None:
        await self._ready()
        self.flights[key].land(ticket, outcome)


class MemoryStore:
    """A tier of the cache, in memory; `fault` makes it raise, `silent` makes it hang."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[bytes, int]] = {}
        self.fault: Exception | None = None
        self.silent = False

    async def _ready(self) -> None:
        if self.fault:
            raise self.fault
        if self.silent:
            await asyncio.sleep(10)

    async def get(self, key: str) -> bytes | None:
        await self._ready()
        held = self.held.get(key)
        return held[0] if held else None

    async def put(self, key: str, data: bytes, lifetime: int) -> None:
        await self._ready()
        self.held[key] = (data, lifetime)

    async def delete(self, key: str) -> None:
        await self._ready()
        self.held.pop(key, None)

    async def prune(self, prefix: str) -> int:
        await self._ready()
        over = [key for key in self.held if key.startswith(prefix)]
        for key in over:
            del self.held[key]
        return len(over)


class Logbook:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def __call__(self, level: str, event: str, /, **fields: object) -> None:
        self.lines.append((level, event, fields))


def ports(
    answer: Answerer,
    *,
    bindings: frozenset[str] = frozenset(),
    clock: ManualClock | None = None,
) -> Ports:
    """All ports at once."""
    clock = clock or ManualClock()
    return Ports(
        upstream=FakeUpstream(answer),
        clock=clock,
        purges=MemoryLedger(),
        flights=MemoryFlights(clock),
        kv=MemoryStore(),
        r2=MemoryStore(),
        random=CountingRandom(),
        board=MemoryBoard(),
        log=Logbook(),
        bindings=bindings,
    )
