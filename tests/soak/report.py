"""The report of a soak, as docs/soak.md has it."""

import json
import platform
import time
from pathlib import Path

from msgspec import Struct

from tests.soak.ledger import Ledger, Sent, count_statuses, percentile
from tools.layout import ROOT

MB = 2**20


class Sample(Struct, frozen=True):
    """The Worker's memory at a moment, in bytes."""

    at: float
    life: int
    """How often it was started again before."""
    heap: int
    resident: int
    pending: int
    """Records that are not stored yet."""
    direct: float
    """Seconds that a provider took for a call without the proxy: what the machine makes of it."""


class Check(Struct, frozen=True):
    """What must hold, and what was found."""

    what: str
    holds: bool
    told: str


class Soaked(Struct, frozen=True, kw_only=True):
    """A run."""

    minutes: float
    seed: int
    seconds: float
    ledger: Ledger
    samples: list[Sample]


def write_report(soaked: Soaked, checks: list[Check], path: Path) -> None:
    """Writes what docs/soak.md is."""
    path.write_text("\n".join(_lines(soaked, checks)) + "\n", "utf-8")


def _lines(soaked: Soaked, checks: list[Check]) -> list[str]:
    ledger = soaked.ledger
    minutes = f"{soaked.minutes:g}"
    return [
        "# Soak",
        "",
        "Written by `make soak` ([what it holds](testing.md#the-soak)); don't edit it.",
        "",
        f"- command: `make soak MINUTES={minutes} SEED={soaked.seed}`",
        f"- date: {time.strftime('%Y-%m-%d')}",
        f"- versions: {_find_versions()}",
        f"- machine: {platform.machine()}, {_count_processors()} processors, which others used too",
        f"- sent: {len(ledger.sent):,} requests in {soaked.seconds / 60:.1f} minutes,"
        f" {len(ledger.outages)} kills of workerd"
        f" ({', '.join(f'away for {o.back - o.killed:.1f} s' for o in ledger.outages)})",
        "",
        "## What must hold",
        "",
        "| | holds | found |",
        "| --- | --- | --- |",
        *(f"| {c.what} | {'yes' if c.holds else '**no**'} | {c.told} |" for c in checks),
        "",
        "## What was sent",
        "",
        "| kind | requests | statuses | p50 ms | p95 ms | p99 ms |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
        *_kinds(ledger),
        "",
        "Status 0 is a connection that broke as workerd was killed.",
        "",
        "## Memory",
        "",
        "| workerd | minutes | heap MB, first and last | resident MB, first and last |",
        "| --- | ---: | ---: | ---: |",
        *_lives(soaked.samples),
    ]


def _kinds(ledger: Ledger) -> list[str]:
    rows = []
    for kind in sorted({each.kind for each in ledger.sent}):
        sent = [each for each in ledger.sent if each.kind == kind]
        told = ", ".join(f"{status}: {n:,}" for status, n in count_statuses(sent).items())
        times = " | ".join(
            f"{1000 * percentile(map(took, sent), p):.0f}" for p in (0.5, 0.95, 0.99)
        )
        rows.append(f"| {kind} | {len(sent):,} | {told} | {times} |")
    return rows


def took(sent: Sent) -> float:
    """Seconds."""
    return sent.ended - sent.began


def _lives(samples: list[Sample]) -> list[str]:
    rows = []
    for life in sorted({sample.life for sample in samples}):
        own = [sample for sample in samples if sample.life == life]
        first, last = own[0], own[-1]
        rows.append(
            f"| start {life + 1} | {(last.at - first.at) / 60:.1f} |"
            f" {first.heap / MB:.1f}, {last.heap / MB:.1f} |"
            f" {first.resident / MB:.0f}, {last.resident / MB:.0f} |"
        )
    return rows


def _find_versions() -> str:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    found = [
        f"{name} {packages[f'node_modules/{name}']['version']}" for name in ("wrangler", "workerd")
    ]
    return ", ".join((*found, f"Python {platform.python_version()} (the callers')"))


def _count_processors() -> int:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return text.count("processor\t")
