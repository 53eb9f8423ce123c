"""Runs all tests: the unit tests here, the end-to-end tests beside them.

The latter mostly wait for workerd, so both take little longer than one of them. Their output
comes when the unit tests are done.
"""

import signal
import subprocess
import sys
import tempfile
from types import FrameType

from tools.layout import ROOT

UNIT = ["tests/unit", "--cov", "--cov-report=term:skip-covered"]
END_TO_END = ["tests/e2e"]


def main() -> int:
    """0 if all passed."""
    signal.signal(signal.SIGTERM, _interrupt)
    command = [sys.executable, "-m", "pytest"]
    with tempfile.TemporaryFile() as output:
        beside = subprocess.Popen(
            [*command, *END_TO_END], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            here = subprocess.run([*command, *UNIT], cwd=ROOT, check=False).returncode
            print("\nWaiting for the end-to-end tests ...", flush=True)
            there = beside.wait()
        except KeyboardInterrupt:
            here = there = 130
        finally:
            beside.terminate()
            beside.wait()
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return here or there


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
