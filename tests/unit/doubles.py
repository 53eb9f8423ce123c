"""Stand-ins for the ports: a clock that is turned by hand, an upstream that is scripted."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from proxy.core.errors import Fault
from proxy.core.ports import Outgoing, Ports


class ManualClock:
    """A clock that stands until it is turned."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


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


class Logbook:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def __call__(self, level: str, event: str, /, **fields: object) -> None:
        self.lines.append((level, event, fields))


def ports(answer: Answerer, *, bindings: frozenset[str] = frozenset()) -> Ports:
    """All ports at once."""
    return Ports(
        upstream=FakeUpstream(answer),
        clock=ManualClock(),
        random=CountingRandom(),
        board=MemoryBoard(),
        log=Logbook(),
        bindings=bindings,
    )
