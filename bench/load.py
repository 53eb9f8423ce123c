"""Requests over keep-alive connections, each as soon as the one before is answered."""

import asyncio
import time
from collections.abc import Callable, Mapping
from itertools import count
from statistics import quantiles
from typing import NamedTuple

from bench.answers import Expected, WrongAnswer, body_start, check, is_whole

NUMBER = "000000000000"
"""Where a body holds this, each request has a number of its own instead."""

_numbers = count(1)
_FEWEST = 20
_WAVES = 2
"""Answers that are counted at least, in all and for each connection: a slow server, whose answers
come in waves, is counted longer."""
_PATIENCE = 60
"""Seconds that it may take for them."""
_GLANCE = 0.02


class Load(NamedTuple):
    """What is sent to whom."""

    port: int
    path: str
    body: str
    headers: Mapping[str, str]
    expected: Expected

    def requests(self) -> Callable[[], bytes]:
        """What gives the next request."""
        lines = {"host": f"127.0.0.1:{self.port}", "content-type": "application/json"}
        lines |= {**self.headers, "content-length": f"{len(self.body.encode())}"}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        whole = f"POST {self.path} HTTP/1.1\r\n{head}\r\n{self.body}".encode()
        before, found, after = whole.partition(NUMBER.encode())
        if not found:
            return lambda: whole
        return lambda: b"%s%012d%s" % (before, next(_numbers), after)


class Sample(NamedTuple):
    """What one measurement has shown. Times in milliseconds."""

    rate: float
    """Answers a second."""
    cpu: float
    """CPU of an answer."""
    p50: float
    p95: float
    first: float
    """To the first byte of the body, at the median."""


class _Window:
    """The answers that came while the measurement ran."""

    def __init__(self, load: Load) -> None:
        self.next_request = load.requests()
        self.expected = load.expected
        self.is_counting = False
        self.is_over = False
        self.answers = 0
        self.answered: set[_Caller] = set()
        """Who has had an answer, whether or not it counted."""
        self.failure = asyncio.get_running_loop().create_future()
        self.taken: list[float] = []
        self.first: list[float] = []

    def count(self, began: float, first: float, ended: float, answer: bytes) -> None:
        try:
            check(answer, self.expected)
        except WrongAnswer as error:
            self.fail(error)
        self.taken.append(1000 * (ended - began))
        self.first.append(1000 * (first - began))

    def fail(self, error: Exception) -> None:
        self.is_over = True
        if not self.failure.done():
            self.failure.set_exception(error)


class _Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, window: _Window) -> None:
        self._window = window
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self) -> None:
        """Sends the next request, or leaves where the measurement is over."""
        if self._window.is_over:
            self._transport.close()
            return
        self._received = bytearray()
        self._start = -1
        self._first = 0.0
        self._began = time.perf_counter()
        self._transport.write(self._window.next_request())

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._start < 0:
            self._start = body_start(self._received)
        if self._start < 0 or len(self._received) == self._start:
            return
        now = time.perf_counter()
        self._first = self._first or now
        if not is_whole(self._received, self._start):
            return
        self._window.answers += 1
        self._window.answered.add(self)
        if self._window.is_counting:
            self._window.count(self._began, self._first, now, bytes(self._received))
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set_result(None)
        if not self._window.is_over:
            self._window.fail(error or WrongAnswer("the server closed a connection"))


class Timing(NamedTuple):
    """How a measurement runs, in seconds."""

    lead: float
    """Before it counts, at least, and until each connection has had an answer: the first may have
    come from no cache. They begin one after another, so that those that wait for a slow answer
    don't all wait for it at once."""
    counted: float
    """At least."""


async def measure(load: Load, connections: int, timing: Timing, cpu: Callable[[], float]) -> Sample:
    """Counts the answers of a steady load. cpu: the seconds that the server has used.

    Raises WrongAnswer, and TimeoutError where too few come.
    """
    window = _Window(load)
    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: _Caller(window), "127.0.0.1", load.port))[1]
        for _ in range(connections)
    ]
    for place, caller in enumerate(callers):
        loop.call_later(timing.lead / 2 * place / connections, caller.send)
    await _wait(window, timing.lead, lambda: len(window.answered) == connections)
    window.is_counting, began, used = True, time.perf_counter(), cpu()
    fewest = window.answers + max(_FEWEST, _WAVES * connections)
    await _wait(window, timing.counted, lambda: window.answers >= fewest)
    seconds, used = time.perf_counter() - began, cpu() - used
    window.is_counting, window.is_over = False, True
    async with asyncio.timeout(_PATIENCE):
        await asyncio.gather(*(caller.gone for caller in callers))
    return _sample(window, seconds, used)


async def _wait(window: _Window, seconds: float, is_enough: Callable[[], bool]) -> None:
    """Waits so long, and until there is enough. Raises what went wrong meanwhile."""
    began = time.perf_counter()
    async with asyncio.timeout(_PATIENCE):
        while time.perf_counter() < began + seconds or not is_enough():
            done, _ = await asyncio.wait((window.failure,), timeout=_GLANCE)
            for failed in done:
                failed.result()


def _sample(window: _Window, seconds: float, used: float) -> Sample:
    answers = len(window.taken)
    cuts = quantiles(window.taken, n=20)
    return Sample(
        rate=answers / seconds,
        cpu=1000 * used / answers,
        p50=cuts[9],
        p95=cuts[18],
        first=quantiles(window.first, n=2)[0],
    )
