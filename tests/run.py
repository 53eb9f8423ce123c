"""Runs the tests: `python -m tests.run [unit | e2e]`, both without an argument.

Several parts run at once: a share of the files of the unit tests for each processor, and two
halves of the end-to-end tests, because those mostly wait. One part's output is shown as it comes,
the others' when that one is done.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Self

from tools.layout import ROOT

PYTEST = (sys.executable, "-m", "pytest")
COVERAGE = (sys.executable, "-m", "coverage")
COVERED = ("nice", *COVERAGE, "run", "--parallel-mode", "-m", "pytest")
"""The unit tests give way, because the end-to-end tests hold answers to deadlines."""
APART = (
    *("bombs", "crossings", "data_points", "dates", "deploy", "deployment", "fault_matrix"),
    *("floods", "fuzz", "growth", "isolates", "key_pools", "make_dev", "memory", "openapi"),
    *("routing", "secrets_store", "stream_modes", "vendors"),
)
"""Of the end-to-end tests those that start Workers which few others use: half of the time."""
HALVES = (
    (*PYTEST, *(f"tests/e2e/test_{name}.py" for name in APART)),
    (
        *(*PYTEST, "tests/e2e", "tests/browser"),
        *(f"--ignore=tests/e2e/test_{name}.py" for name in APART),
    ),
)


def run_unit() -> int:
    """The unit tests alone, without coverage."""
    return _run_at_once(_share_unit_tests(PYTEST))


def run_e2e() -> int:
    """The end-to-end tests alone."""
    return _run_at_once(HALVES)


def run_all() -> int:
    """All tests, with branch coverage of the pure modules."""
    status = _run_at_once([*_share_unit_tests(COVERED), *HALVES])
    combined = _run(*COVERAGE, "combine", "--quiet")
    return max(status, combined, _run(*COVERAGE, "report", "--skip-covered"))


def _share_unit_tests(command: Sequence[str]) -> list[Sequence[str]]:
    """Commands that run the unit tests: no process imports the files of another."""
    files = sorted(str(path) for path in (ROOT / "tests" / "unit").rglob("test_*.py"))
    count = os.cpu_count() or 1
    return [(*command, *files[number::count]) for number in range(count)]


def _run(*command: str) -> int:
    return abs(subprocess.run(command, cwd=ROOT, check=False).returncode)


def _run_at_once(commands: Sequence[Sequence[str]]) -> int:
    """The exit status: 0 if all passed."""
    shown, *others = commands
    with ExitStack() as stack:
        parts = [stack.enter_context(_Part(other)) for other in others]
        status = _run(*shown)
        print("\nWaiting for the other tests ...", flush=True)
        return max(status, *(part.wait() for part in parts))


class _Part:
    """Tests that run beside others; their output is kept."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    def __enter__(self) -> Self:
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=self._output, stderr=subprocess.STDOUT
        )
        return self

    def wait(self) -> int:
        """Wait for the end, print the output, and return the exit status, or a signal's number."""
        status = abs(self._process.wait())
        self._output.seek(0)
        sys.stdout.buffer.write(self._output.read())
        sys.stdout.flush()
        return status

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._output.close()


RUNS = {"unit": run_unit, "e2e": run_e2e, "": run_all}


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 if all passed."""
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what one process compiled, others just load
    try:
        return RUNS["".join(arguments)]()
    except KeyError:
        print(f"unknown: {' '.join(arguments)}; choose unit, e2e or nothing", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
