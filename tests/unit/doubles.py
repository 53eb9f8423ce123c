"""Stand-ins for the ports: a clock that is turned by hand, an upstream that is scripted."""

import asyncio
import functools
import selectors
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, ParamSpec
from urllib.parse import urljoin, urlsplit

import msgspec

from proxy.core import receive
from proxy.core.chat import Cost, Usage
from proxy.core.errors import ClientGone, Fault, FaultKind
from proxy.core.permit import Offer, Refusal, Reservation
from proxy.core.ports import ANSWER_BYTES, URL, Defer, Outgoing, Ports, Sink
from proxy.core.principal import ModelGrant
from proxy.core.receive import forward
from tests.unit.memory_objects import MemoryObjects
from tests.unit.memory_store import MemoryStore


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


class Caller:
    """A sink that keeps what a caller receives; it hangs up after so many pieces."""

    def __init__(self, gone_after: int | None = None) -> None:
        self.pieces: list[bytes] = []
        self.sent = 0
        self.gone = False
        self._gone_after = gone_after

    async def write(self, data: bytes) -> None:
        if self._gone_after is not None and len(self.pieces) >= self._gone_after:
            self.gone = True
            raise ClientGone
        self.pieces.append(data)
        self.sent += len(data)


def abandon(work: Awaitable[object]) -> None:
    """core.ports.Defer that does nothing."""
    assert isinstance(work, Coroutine)
    work.close()


class Unlimited:
    """A permit (core.permit) without limits, and the reservation of each attempt; `refusals` are
    given first, one a charge."""

    def __init__(self, *refusals: Refusal | None) -> None:
        self.grant = ModelGrant()
        self.user = "ann"
        self.defer: Defer = abandon
        self.lost = 0
        self.released = 0
        self.refusals = list(refusals)
        self.charged: list[str] = []
        self.observed: list[tuple[str, str, FaultKind | None]] = []
        self.usage = Usage(input=10, output=5)

    async def charge(self, offer: Offer) -> Refusal | Reservation:
        self.charged.append(offer.provider)
        refusal = self.refusals.pop(0) if self.refusals else None
        return refusal or self

    def output_limit(self, offer: Offer) -> int | None:
        return None

    def expected(self, max_output: int | None) -> Usage:
        return self.usage

    def lose(self) -> None:
        self.lost += 1

    def release(self) -> None:
        self.released += 1

    def settle(self, usage: Usage, cost: Cost) -> None:
        """Nothing was reserved."""

    def observe(
        self, provider: str, model: str, headers: Mapping[str, str], fault: Fault | None = None
    ) -> None:
        self.observed.append((provider, model, fault.kind if fault else None))


class CountingRandom:
    """Tokens that count up."""

    def __init__(self) -> None:
        self.count = 0

    def token(self, nbytes: int) -> str:
        self.count += 1
        return f"{self.count:0{2 * nbytes}x}"

    def fraction(self) -> float:
        return 0.5


def parse_url(text: str, base: str | None) -> URL | None:
    """The platform's URL, as far as plain addresses go."""
    try:
        parts = urlsplit(urljoin(base, text) if base else text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not parts.scheme or not host:
        return None
    host = f"[{host}]" if ":" in host else host
    return URL(
        href=parts.geturl(),
        scheme=parts.scheme,
        host=host,
        has_credentials="@" in parts.netloc,
        shown=f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}",
    )


class FakeReply:
    """An answer in pieces; an exception or a number of seconds among them is raised or waited."""

    def __init__(
        self,
        *pieces: bytes | Exception | float,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status, self.pieces, self._taken = status, pieces, 0
        self.headers: Mapping[str, str] = headers or {"content-type": "application/json"}
        self.aborted = self.gathers = False

    async def chunks(self) -> AsyncGenerator[bytes]:
        for taken, piece in enumerate(self.pieces, 1):
            self._taken = taken
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                yield piece

    async def read(self) -> bytes:
        return await receive.read_whole(self, ANSWER_BYTES, None)

    def gather(self) -> None:
        self.gathers = True

    def flow(self, sink: Sink, begun: bytes, *, finish: bool) -> AsyncGenerator[bytes]:
        return forward(FakeReply(*self.pieces[self._taken :]), sink, begun, finish=finish)

    pour = receive.pour

    def abort(self) -> None:
        self.aborted = True


Answerer = Callable[[Outgoing], FakeReply | Fault | float]


class FakeUpstream:
    """Answers by `answer`, which may give a Fault to raise or seconds to stay silent for."""

    def __init__(self, answer: Answerer) -> None:
        self.answer = answer
        self.sent: list[Outgoing] = []
        self.idles: list[float] = []

    async def send(self, request: Outgoing, *, idle: float) -> FakeReply:
        self.sent.append(request)
        self.idles.append(idle)
        answer = self.answer(request)
        if isinstance(answer, Fault):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            raise Fault("network", "gone")
        return answer


class MemoryBatches:
    """The objects that run parts of a batch; the calls numbered in `down` fail, `silent` makes all
    hang, `lost_after` ends each after so many results."""

    def __init__(self) -> None:
        self.run_chunk: Callable[[bytes, Any, Any], Coroutine[Any, Any, None]] | None = None
        self.defer: Any = None
        self.calls: list[tuple[str, bytes]] = []
        self.down: tuple[int, ...] = ()
        self.silent = False
        self.lost_after: int | None = None

    async def start(self, name: str, chunk: bytes) -> AsyncGenerator[bytes, None]:
        self.calls.append((name, chunk))
        if len(self.calls) - 1 in self.down:
            raise RuntimeError("the object is unreachable")
        if self.silent:
            await asyncio.sleep(10_000)
        return self._lines(chunk)

    async def _lines(self, chunk: bytes) -> AsyncGenerator[bytes, None]:
        assert self.run_chunk
        lines = asyncio.Queue[bytes | None]()
        gone = False
        taken = asyncio.Semaphore(0)

        async def write(data: bytes) -> None:
            lines.put_nowait(data)
            await taken.acquire()
            if gone:
                taken.release()  # for the others who wait
                raise ClientGone

        running = asyncio.ensure_future(self.run_chunk(chunk, self.defer, write))
        running.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            sent = 0
            while (line := await lines.get()) is not None:
                is_result = b'"result"' in line[:20]
                if is_result and sent == self.lost_after:
                    raise RuntimeError("the object is gone")
                sent += is_result
                taken.release()
                yield line.removesuffix(b"\n")
            await running
        finally:
            gone = True
            taken.release()


class Logbook:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def __call__(
        self, level: str, event: str, record: msgspec.Struct | None = None, /, **fields: object
    ) -> None:
        self.lines.append((level, event, msgspec.to_builtins(record) if record else fields))


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
        objects=MemoryObjects(clock),
        batches=MemoryBatches(),
        kv=MemoryStore(),
        r2=MemoryStore(),
        random=CountingRandom(),
        log=Logbook(),
        parse_url=parse_url,
        bindings=bindings,
    )
