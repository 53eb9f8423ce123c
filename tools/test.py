"""Runs all tests: the unit tests here, the end-to-end tests in two halves beside them.

The latter mostly wait for workerd, so all take little longer than one of them. Their output
comes when the unit tests are done.
"""

import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from types import FrameType

from tools.layout import ROOT

UNIT = ["tests/unit", "tests/browser", "--cov", "--cov-report=term:skip-covered"]
APART = ("fault_matrix", "isolates", "make_dev", "routing")
"""Of the end-to-end tests those that start Workers of their own: half of the time."""
HALVES = (
    [f"tests/e2e/test_{name}.py" for name in APART],
    ["tests/e2e", *(f"--ignore=tests/e2e/test_{name}.py" for name in APART)],
)


def main() -> int:
    """0 if all passed."""
    signal.signal(signal.SIGTERM, _interrupt)
    command = [sys.executable, "-m", "pytest"]
    with ExitStack() as stack:
        halves = [stack.enter_context(_Half([*command, *half])) for half in HALVES]
        try:
            status = subprocess.run([*command, *UNIT], cwd=ROOT, check=False).returncode
            print("\nWaiting for the end-to-end tests ...", flush=True)
            return max(status, *(half.told() for half in halves))
        except KeyboardInterrupt:
            return 130


class _Half:
    """Tests that run beside others; their output is kept."""

    def __init__(self, command: list[str]) -> None:
        self._command = command

    def __enter__(self) -> "_Half":
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=self._output, stderr=subprocess.STDOUT
        )
        return self

    def told(self) -> int:
        """Waits for the end, prints what was put out, and gives the exit status."""
        status = self._process.wait()
        self._output.seek(0)
        sys.stdout.buffer.write(self._output.read())
        sys.stdout.flush()
        return status

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._output.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
