"""Money: whole nano-dollars inside, US dollars in what callers see."""

from typing import overload

NANO = 1_000_000_000
"""Nano-dollars of a dollar."""


@overload
def to_dollars(nano: float) -> float: ...
@overload
def to_dollars(nano: float | None) -> float | None: ...
def to_dollars(nano: float | None) -> float | None:
    """The dollars of an amount; None where it is not known."""
    return None if nano is None else nano / NANO


@overload
def to_nano(dollars: float) -> int: ...
@overload
def to_nano(dollars: float | None) -> int | None: ...
def to_nano(dollars: float | None) -> int | None:
    """The nano-dollars of an amount, rounded; None where it is not known."""
    return None if dollars is None else round(dollars * NANO)


def format_dollars(nano: float) -> str:
    """An amount of nano-dollars in words, to two digits at least: `$1,234.50`, `$0.0012`."""
    dollars = nano / NANO
    if dollars >= 1 or not dollars:
        return f"${dollars:,.2f}"
    return spell_dollars(float(f"{nano:.2g}"))


def spell_dollars(nano: float) -> str:
    """An amount of nano-dollars in full, with no more digits than it has: `$2.5`, `$0.00001`."""
    return "$" + f"{nano / NANO:,.9f}".rstrip("0").rstrip(".")
