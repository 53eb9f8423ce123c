"""Prometheus' text format 0.0.4."""

from collections.abc import Mapping
from typing import TypeAlias

from proxy.analytics.store.sketch import ERROR, Sketch, upper_bound

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Of the histograms' buckets, in seconds. A value counts where the middle of its sketch's bucket
does, which is within 5 % of it."""

Labels: TypeAlias = tuple[tuple[str, str], ...]


class Exposition:
    """A page of metrics that grows by one family after the other."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add_counters(
        self, name: str, meaning: str, sums: Mapping[Labels, int], digits: int = 0
    ) -> None:
        """Adds a family of counters, whole numbers of 10^-digits."""
        self._begin_family(name, "counter", meaning)
        for labels in sorted(sums):
            self._add_sample(name, labels, _format_decimal(sums[labels], digits))

    def add_gauges(self, name: str, meaning: str, values: Mapping[Labels, float]) -> None:
        """Adds a family of gauges."""
        self._begin_family(name, "gauge", meaning)
        for labels in sorted(values):
            self._add_sample(name, labels, str(values[labels]))

    def add_histograms(
        self, name: str, meaning: str, sums: Mapping[Labels, tuple[Sketch, int]]
    ) -> None:
        """Adds a family of histograms in seconds, from sketches and sums of milliseconds."""
        self._begin_family(name, "histogram", meaning)
        for labels in sorted(sums):
            sketch, ms = sums[labels]
            count = str(sum(sketch.values()))
            for limit, below in (*_count_below(sketch), ("+Inf", count)):
                self._add_sample(f"{name}_bucket", (*labels, ("le", limit)), below)
            self._add_sample(f"{name}_sum", labels, _format_decimal(ms, 3))
            self._add_sample(f"{name}_count", labels, count)

    def encode(self) -> bytes:
        """The whole page."""
        return ("\n".join(self._lines) + "\n").encode()

    def _begin_family(self, name: str, kind: str, meaning: str) -> None:
        self._lines += (f"# HELP {name} {meaning}", f"# TYPE {name} {kind}")

    def _add_sample(self, name: str, labels: Labels, value: str) -> None:
        text = ",".join(f'{label}="{_escape(own)}"' for label, own in labels)
        self._lines.append(f"{name}{{{text}}} {value}" if text else f"{name} {value}")


def clean_label(text: str) -> str:
    """A label that can be sent, and that is not endless; what becomes the same is one."""
    return text[:200].encode("utf-8", "replace").decode()


def _format_decimal(number: int, digits: int) -> str:
    """A whole number >= 0 of 10^-digits, written exactly."""
    if not digits:
        return str(number)
    whole, part = divmod(number, 10**digits)
    return f"{whole}.{part:0{digits}d}".rstrip("0").rstrip(".")


def _count_below(sketch: Sketch) -> list[tuple[str, str]]:
    """Each of BOUNDS, and how many values do not exceed it."""
    values = [(upper_bound(bucket) * (1 - ERROR), count) for bucket, count in sketch.items()]
    return [(str(most), str(sum(n for ms, n in values if ms <= most * 1000))) for most in BOUNDS]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
