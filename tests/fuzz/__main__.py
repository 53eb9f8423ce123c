"""Sends hostile requests at the pipeline and at the Worker, and says how to repeat what fails.

    python -m tests.fuzz [--seed 1] [--pipeline 100000] [--worker 5000] [--only NUMBER]

docs/testing.md says what it holds.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.fuzz.run_pipeline import FEW, Finding, find_growth, run, run_share
from tests.fuzz.run_worker import run_worker

SHOWN = 5


def main() -> int:
    """The exit status: 0 where nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--pipeline", type=int, default=100_000, help="cases for the pipeline")
    parser.add_argument("--worker", type=int, default=5_000, help="cases for the Worker in workerd")
    parser.add_argument("--only", type=int, help="one case, by its number, at the pipeline alone")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    if given.only is not None:
        share = run_share(given.seed, range(given.only, given.only + 1))
        return _report(given.seed, share.findings, share.statuses, [])
    failed = _fuzz_pipeline(given.seed, given.pipeline) if given.pipeline else 0
    return (_fuzz_worker(given.seed, given.worker) if given.worker else 0) or failed


def _fuzz_pipeline(seed: int, count: int) -> int:
    began, processes = time.monotonic(), len(os.sched_getaffinity(0))
    shares = run(seed, range(count), processes, lambda done: _progress("pipeline", done, count))
    statuses = sum((share.statuses for share in shares), Counter[int]())
    grown = [find_growth(share.memory) for share in shares if count >= FEW * processes]
    print(f"\npipeline: {count:,} cases in {time.monotonic() - began:.0f} s")
    findings = [finding for share in shares for finding in share.findings]
    for share in shares:
        first, last = share.memory[0], share.memory[-1]
        print(f"  objects {first[0]:,} -> {last[0]:,}; process {first[1]:,} -> {last[1]:,} KB")
    return _report(seed, findings, statuses, [growth for growth in grown if growth])


def _fuzz_worker(seed: int, count: int) -> int:
    began = time.monotonic()
    share, growth = run_worker(seed, range(count), lambda done: _progress("worker", done, count))
    print(f"\nworker: {count:,} cases in {time.monotonic() - began:.0f} s")
    print(f"  heap {', '.join(f'{size / 2**20:.1f}' for _, size in share.memory)} MB")
    return _report(seed, share.findings, share.statuses, [growth] if growth else [])


def _progress(what: str, done: int, count: int) -> None:
    print(f"\r{what}: {done:,} of {count:,}", end="", flush=True)


def _report(
    seed: int, findings: Iterable[Finding], statuses: Counter[int], grown: Iterable[str]
) -> int:
    print(f"  statuses {dict(sorted(statuses.items()))}")
    found, grown = sorted(findings, key=lambda each: each.number), list(grown)
    for finding in found[:SHOWN]:
        print(f"\n{finding.told}\n  FAULTS: {'; '.join(finding.faults)}")
        print(f"  repeat: python -m tests.fuzz --seed {seed} --only {finding.number}")
    for growth in grown:
        print(f"\nMEMORY: {growth}")
    print(f"  {len(found)} cases with faults")
    return 1 if found or grown else 0


if __name__ == "__main__":
    sys.exit(main())
