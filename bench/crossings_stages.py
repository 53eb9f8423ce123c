"""Where the time of a request goes inside the isolate: by room of the proxy, and by function."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

_FUNCTIONS = 40
"""Functions that are printed."""


class Spent(NamedTuple):
    """What a function took itself, with what it calls outside of Python, under the profiler."""

    file: str
    name: str
    calls: int
    own: float
    """Seconds of the isolate's clock."""


def stage(file: str) -> str:
    """The part of the Worker that a file belongs to: a room, or what drives its coroutines."""
    inside = file.rpartition("/proxy/")[2]
    if inside != file:
        return inside.partition("/")[0]
    return "asyncio, Pyodide" if "/asyncio/" in file or "pyodide" in file else "elsewhere"


def print_stages(requests: int, spent: Sequence[Spent]) -> None:
    """Prints what one of so many requests took: by stage, then the dearest functions."""
    own, calls = defaultdict[str, float](float), Counter[str]()
    for each in spent:
        own[stage(each.file)] += each.own
        calls[stage(each.file)] += each.calls
    total = sum(own.values())
    print(f"{'stage':20} {'µs':>7} {'share':>6} {'calls':>7}")
    for name, seconds in sorted(own.items(), key=lambda item: -item[1]):
        us = 1e6 * seconds / requests
        print(f"{name:20} {us:7.0f} {seconds / total:6.1%} {calls[name] / requests:7.1f}")
    print(f"{'all':20} {1e6 * total / requests:7.0f}\n")
    for each in sorted(spent, key=lambda each: -each.own)[:_FUNCTIONS]:
        us, place = 1e6 * each.own / requests, each.file.rpartition("/proxy/")[2]
        print(f"{us:7.1f} µs {each.calls / requests:6.1f} calls  {place} {each.name}")
