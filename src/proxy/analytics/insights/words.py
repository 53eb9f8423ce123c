"""Figures in words."""

from datetime import UTC, datetime


def format_percent(share: float) -> str:
    """A share."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or value == round(value) else f"{value:.1f} %"


def format_moment(ms: int) -> str:
    """A moment, to the minute."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_period(begin: int, end: int) -> str:
    """A time from one moment to another, to the minute."""
    first, last = format_moment(begin), format_moment(end)
    if first == last:
        return f"at {first}"
    day, _, time = last.partition(" ")
    if first.startswith(day):
        return f"on {day} from {first.split()[1]} to {time}"
    return f"from {first} to {last}"


def format_window(seconds: int, end: int) -> str:
    """The time up to a moment."""
    return f"in the {format_duration(seconds)} up to {format_moment(end)}"


def format_duration(seconds: float) -> str:
    """A length of time, in the greatest unit of which there are two."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} seconds"
