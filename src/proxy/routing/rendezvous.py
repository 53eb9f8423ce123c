"""Rendezvous hashing: a holder (a user, a conversation) meets the same candidate in every process,
and only the holders of a candidate move when it comes or goes."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from math import log


def place(name: str, holder: str) -> float:
    """A number in [0, 1) that is the holder's with that name, in every process."""
    digest = sha256(f"{name}\0{holder}".encode(errors="surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def draw(
    stakes: Sequence[tuple[str, float] | None], holder: str | None, random: Callable[[], float]
) -> int | None:
    """Which is drawn by the shares; None where there are none. stakes: the name and the share of
    each, None: it has none. holder: who decides; None: chance does.

    Each has an arrival time, exponentially distributed at the rate of its share, and the first to
    arrive wins, which is each with the probability of its share (the holder decides the times).
    When a share changes, only holders who come to it or leave it move, whatever the others are and
    their order.
    """
    arrivals: list[tuple[float, int]] = []
    for i, stake in enumerate(stakes):
        if stake:
            name, share = stake
            chance = random() if holder is None else place(name, holder)
            arrivals.append((-log(1.0 - chance) / share, i))
    return min(arrivals)[1] if arrivals else None
