"""Runs the tests: `python -m tests.run [unit | e2e]`, both without an argument.

The unit tests are spread over the processors. The end-to-end tests run in two halves at once,
because they mostly wait, and beside the unit tests. Their output comes when those are done.
"""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Self

from tools.layout import ROOT

PYTEST = (sys.executable, "-m", "pytest")
UNIT = ("tests/unit", "--numprocesses=auto", "--dist=worksteal")
COVERAGE = ("--cov", "--cov-report=term:skip-covered")
APART = (
    *("bombs", "crossings", "data_points", "dates", "deploy", "deployment", "fault_matrix"),
    *("floods", "fuzz", "growth", "isolates", "key_pools", "make_dev", "memory", "routing"),
    *("secrets_store", "vendors"),
)
"""Of the end-to-end tests those that start Workers which few others use: half of the time."""
HALVES = (
    [f"tests/e2e/test_{name}.py" for name in APART],
    [
        "tests/e2e",
        "tests/browser",
        *(f"--ignore=tests/e2e/test_{name}.py" for name in APART),
    ],
)


def run_unit() -> int:
    """The unit tests alone, without coverage."""
    return _run(*PYTEST, *UNIT)


def run_e2e() -> int:
    """The end-to-end tests alone."""
    return _run_beside(lambda: 0)


def run_all() -> int:
    """All tests, with branch coverage of the pure modules.

    The unit tests give way (`nice`), because the end-to-end tests hold answers to deadlines.
    """
    return _run_beside(lambda: _run("nice", *PYTEST, *UNIT, *COVERAGE))


def _run(*command: str) -> int:
    return abs(subprocess.run(command, cwd=ROOT, check=False).returncode)


def _run_beside(work: Callable[[], int]) -> int:
    """The exit status of `work` and the end-to-end tests beside it: 0 if all passed."""
    with ExitStack() as stack:
        halves = [stack.enter_context(_Half(half)) for half in HALVES]
        status = work()
        print("\nWaiting for the end-to-end tests ...", flush=True)
        return max(status, *(half.wait() for half in halves))


class _Half:
    """Tests that run beside others; their output is kept."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._tests = tests

    def __enter__(self) -> Self:
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [*PYTEST, *self._tests], cwd=ROOT, stdout=self._output, stderr=subprocess.STDOUT
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
