"""Stand-ins for the ports: a clock that is turned by hand, an upstream that is scripted."""

import asyncio
import functools
import selectors
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Generic, ParamSpec, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from proxy.access.keys import Bound, Key, KeyBook
from proxy.cache.flight import Flight
from proxy.core.chat import Cost, Usage
from proxy.core.errors import ClientGone, Fault, FaultKind
from proxy.core.permit import Offer, Refusal, Reservation
from proxy.core.ports import URL, Outgoing, Ports
from proxy.core.principal import Grant
from proxy.limits.adaptive import ProviderPool
from proxy.limits.budget import Account, Reserve, Settlement
from proxy.limits.capacity import Signal
from proxy.limits.lease import LeasedBucket
from proxy.limits.lease_messages import Ask, Returns
from proxy.routing.watch import Board
from tests.unit.analytics.shards import MemoryStatistics


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
M = TypeVar("M")


def in_no_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs a test on a JumpingLoop: it may wait for hours."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class Unlimited:
    """A permit (core.permit) without limits, and the reservation of each attempt; `refusals` are
    given first, one a charge."""

    def __init__(self, *refusals: Refusal | None) -> None:
        self.grant = Grant()
        self.user = "ann"
        self.lost = 0
        self.released = 0
        self.refusals = list(refusals)
        self.charged: list[str] = []
        self.observed: list[tuple[str, str, FaultKind | None]] = []

    async def charge(self, offer: Offer) -> Refusal | Reservation:
        self.charged.append(offer.provider)
        refusal = self.refusals.pop(0) if self.refusals else None
        return refusal or self

    def output_limit(self, offer: Offer) -> int | None:
        return None

    def defer(self, work: Coroutine[Any, Any, object]) -> None:
        work.close()

    def expected(self, max_output: int | None) -> Usage:
        return Usage(input=10, output=5)

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
    """Tokens that tell which one they are."""

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
        self.status = status
        self.headers: Mapping[str, str] = headers or {"content-type": "application/json"}
        self.pieces = pieces
        self.aborted = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
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


class MemoryBoard:
    """The providers' shared state, in memory; `down` makes it fail."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.checks = "[]"
        self.down = False
        self.board = Board()
        self.exchanges = 0

    async def record_checks(self, checks_json: str) -> None:
        self.checks = checks_json

    async def exchange(self, told_json: str) -> str:
        self.exchanges += 1
        if self.down:
            raise RuntimeError("the object is unreachable")
        return self.board.exchange(told_json.encode(), round(self.clock.now() * 1000)).decode()

    async def read_checks(self) -> str:
        if self.down:
            raise RuntimeError("the object is unreachable")
        return self.checks

    async def read_openings(self) -> str:
        if self.down:
            raise RuntimeError("the object is unreachable")
        return self.board.openings().decode()


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


class Objects(Generic[M]):
    """Durable Objects by name, in memory; `down` makes them fail, `silent` makes them hang."""

    def __init__(self, clock: ManualClock, machine: Callable[[int], M]) -> None:
        self.clock = clock
        self.machine = machine
        self.held: dict[str, M] = {}
        self.calls: list[str] = []
        self.down = False
        self.silent = False

    async def at(self, name: str) -> tuple[M, int]:
        self.calls.append(name)
        if self.down:
            raise RuntimeError("the object is unreachable")
        if self.silent:
            await asyncio.sleep(10_000)
        now = round(self.clock.now() * 1000)
        return self.held.setdefault(name, self.machine(now)), now

    async def show(self, name: str) -> str:
        machine, now = await self.at(name)
        return msgspec.json.encode(machine.show(now)).decode()

    async def reset(self, name: str) -> None:
        machine, now = await self.at(name)
        machine.reset(now)


class MemoryBuckets(Objects[LeasedBucket]):
    """The token buckets."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, LeasedBucket)

    async def ask(self, name: str, ask_json: str) -> str:
        bucket, now = await self.at(name)
        grant = bucket.ask(msgspec.json.decode(ask_json, type=Ask), now)
        return msgspec.json.encode(grant).decode()

    async def give_back(self, name: str, returns_json: str) -> None:
        bucket, now = await self.at(name)
        bucket.give_back(msgspec.json.decode(returns_json, type=Returns), now)


class MemoryAccounts(Objects[Account]):
    """What keys have used."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, Account)

    async def reserve(self, key_id: str, reserve_json: str) -> str:
        account, now = await self.at(key_id)
        verdict = account.reserve(msgspec.json.decode(reserve_json, type=Reserve), now)
        return msgspec.json.encode(verdict).decode()

    async def settle(self, key_id: str, settlements_json: str) -> None:
        account, now = await self.at(key_id)
        for one in msgspec.json.decode(settlements_json, type=list[Settlement]):
            account.settle(one.id, one.tokens, one.nano_usd, now)


class MemoryPools(Objects[ProviderPool]):
    """What the providers bear."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, lambda _: ProviderPool(60))

    async def signal(self, provider: str, signal_json: str) -> None:
        pool, now = await self.at(provider)
        pool.signal(msgspec.json.decode(signal_json, type=Signal), now)


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

        async def write(data: bytes) -> None:
            if gone:
                raise ClientGone
            lines.put_nowait(data)

        running = asyncio.ensure_future(self.run_chunk(chunk, self.defer, write))
        running.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            told = 0
            while (line := await lines.get()) is not None:
                if told == self.lost_after:
                    raise RuntimeError("the object is gone")
                told += 1
                yield line.removesuffix(b"\n")
            await running
        finally:
            gone = True


class MemoryRows:
    """What a KeyBook keeps."""

    def __init__(self) -> None:
        self.bodies: dict[str, str] = {}
        self.secrets: dict[str, Bound] = {}

    def put(self, key_id: str, body: str) -> None:
        self.bodies[key_id] = body

    def get(self, key_id: str) -> str | None:
        return self.bodies.get(key_id)

    def page(self, after: int, limit: int) -> list[tuple[int, str]]:
        return list(enumerate(self.bodies.values(), 1))[after : after + limit]

    def bind(self, bound: Bound) -> None:
        self.secrets[bound.digest] = bound

    def bound(self, digest: str) -> Bound | None:
        return self.secrets.get(digest)

    def end(self, key_id: str, until: int) -> None:
        for digest, bound in self.secrets.items():
            if bound.key_id == key_id and (bound.until == 0 or bound.until > until):
                self.secrets[digest] = Bound(digest, key_id, until)

    def prefixes(self, length: int) -> str:
        return "".join(f",{digest[:length]}" for digest in self.secrets)

    def _ends(self, key_id: str) -> list[int]:
        key = msgspec.json.decode(self.bodies[key_id], type=Key)
        return [end for end in (key.revoked_at, key.expires_at) if end is not None]

    def first_end(self) -> int | None:
        ends = [end for key_id in self.bodies for end in self._ends(key_id)]
        return min([*ends, *(b.until for b in self.secrets.values() if b.until)], default=None)

    def prune(self, until: int) -> None:
        for key_id in list(self.bodies):
            if any(end <= until for end in self._ends(key_id)):
                del self.bodies[key_id]
        self.secrets = {
            digest: bound
            for digest, bound in self.secrets.items()
            if bound.key_id in self.bodies and not 0 < bound.until <= until
        }


class MemoryKeys:
    """The issued keys, in memory; `down` makes them fail, `silent` makes them hang; `slow`: the
    seconds before an answer."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.rows = MemoryRows()
        self.book = KeyBook(self.rows)
        self.lookups = 0
        self.lists = 0
        self.slow = 0.0
        self.down = False
        self.silent = False

    async def _ready(self) -> None:
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.down:
            raise RuntimeError("the object is unreachable")
        if self.silent:
            await asyncio.sleep(10_000)

    @property
    def now(self) -> int:
        return round(self.clock.now() * 1000)

    async def lookup(self, digest: str, address: str) -> str:
        self.lookups += 1
        await self._ready()
        return msgspec.json.encode(self.book.lookup(digest, address, self.now)).decode()

    async def issue(self, key_json: str, digest: str) -> None:
        self.book.issue(msgspec.json.decode(key_json, type=Key), digest)

    async def list_keys(self, after: int, limit: int) -> str:
        return msgspec.json.encode(self.book.page(after, limit)).decode()

    async def get_key(self, key_id: str) -> str:
        return msgspec.json.encode(self.book.get(key_id)).decode()

    async def list_prefixes(self) -> str:
        self.lists += 1
        await self._ready()
        return self.book.prefixes()

    async def revoke(self, key_id: str) -> str:
        return msgspec.json.encode(self.book.revoke(key_id, self.now)).decode()

    async def rotate(self, key_id: str, digest: str, overlap_ms: int) -> str:
        key = self.book.rotate(key_id, digest, overlap_ms, self.now)
        return msgspec.json.encode(key).decode()


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

    def __call__(
        self, level: str, event: str, told: msgspec.Struct | None = None, /, **fields: object
    ) -> None:
        self.lines.append((level, event, msgspec.to_builtins(told) if told else fields))


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
        keys=MemoryKeys(clock),
        buckets=MemoryBuckets(clock),
        accounts=MemoryAccounts(clock),
        pools=MemoryPools(clock),
        statistics=MemoryStatistics(clock),
        batches=MemoryBatches(),
        kv=MemoryStore(),
        r2=MemoryStore(),
        random=CountingRandom(),
        board=MemoryBoard(clock),
        log=Logbook(),
        parse_url=parse_url,
        bindings=bindings,
    )
