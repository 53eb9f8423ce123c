"""Runs cases through the pipeline in several processes, and holds that memory stays flat."""

import asyncio
import gc
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import Manager
from pathlib import Path
from types import FrameType
from typing import Any

from msgspec import Struct

from tests.fuzz.pipeline import CPU_SECONDS, KEPT, VARIANTS, Fuzzed, TooLongError, try_case
from tests.unit.doubles import JumpingLoop

FLAT_BLOCKS = 0.10
FLAT_KILOBYTES = 30_000
"""By how much the last tenth may hold more objects (as a share) and kilobytes than the first."""
FEW = 10_000
"""Cases below which a process is still warming up, so that its memory says nothing."""


class Finding(Struct):
    """A case and what was wrong."""

    number: int
    faults: list[str]
    told: str


class Share(Struct):
    """What came of one process's cases."""

    findings: list[Finding]
    statuses: Counter[int]
    memory: list[tuple[int, int]]
    """Python's objects and the process's kilobytes at the end of each tenth."""


def run_share(seed: int, numbers: range, told: Any = None) -> Share:
    """Runs the cases of these numbers, one after the other in one isolate."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(_run_share(seed, numbers, told or (lambda _: None)))


async def _run_share(seed: int, numbers: range, told: Callable[[int], object]) -> Share:
    house, share = Fuzzed(numbers.start % len(VARIANTS)), Share([], Counter(), [])
    escaped: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: escaped.append(repr(context.get("exception") or context["message"]))
    )
    tenth = max(1, len(numbers) // 10)
    with _bounded():
        for count, number in enumerate(numbers):
            if count % KEPT == 0:
                await house.forget()
            signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
            case, answer, faults = await try_case(house, seed, number)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            faults += [f"something escapes: {text}" for text in escaped]
            escaped.clear()
            if answer:
                share.statuses[answer.status] += 1
            if faults:
                seen = answer and (answer.status, answer.body[:500])
                shown = f"{case.describe()}\n  answer: {seen}"
                share.findings.append(Finding(number, faults, shown))
            house.tidy()
            if count % tenth == tenth - 1:
                share.memory.append(_measure())
            if count % 100 == 99:
                told(100)
    return share


@contextmanager
def _bounded() -> Iterator[None]:
    """Ends a case that takes too long of the processor."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGVTALRM, interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _measure() -> tuple[int, int]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0
    return sys.getallocatedblocks(), pages * 4


def find_growth(memory: list[tuple[int, int]]) -> str | None:
    """What has grown between the first tenth and the last."""
    (first, small), (last, large) = memory[0], memory[-1]
    if last > first * (1 + FLAT_BLOCKS):
        return f"Python's objects grew from {first:,} to {last:,}"
    if large > small + FLAT_KILOBYTES:
        return f"the process grew from {small:,} to {large:,} KB"
    return None


def run(seed: int, numbers: range, processes: int, show: Callable[[int], None]) -> list[Share]:
    """Runs the cases in so many processes; show: is told how many are done."""
    processes += processes % len(VARIANTS)  # so that each process has cases of one deployment
    with Manager() as manager, ProcessPoolExecutor(processes) as pool:
        queue = manager.Queue()
        parts = [numbers[place::processes] for place in range(processes)]
        running = [pool.submit(run_share, seed, part, queue.put) for part in parts]
        done = 0
        while not all(share.done() for share in running) or not queue.empty():
            try:
                done += queue.get(timeout=0.5)
            except Exception:  # nothing has come
                continue
            show(done)
        return [share.result() for share in running]
