"""Run a command so that nothing of it outlives the one who started it.

    python3 tools/guard.py COMMAND [ARGUMENT...]

The starter holds the other end of this process's standard input and never writes to it. When
it closes, because the starter wants the end or because it died in whatever way, or on SIGTERM,
or when the command ends by itself, every process in the command's group is ended: SIGTERM
first, SIGKILL after a grace period. Signals alone would not do: a starter killed by SIGKILL
sends none, and wrangler's workerd is a grandchild.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.1
_PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run the command until it ends or standard input closes; return its exit status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit())
    adopt_orphans()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    try:
        while child.poll() is None and not select.select([0], [], [], _POLL_SECONDS)[0]:
            pass
        status = child.returncode or 0
        return status if status >= 0 else 128 - status  # a signal, as a shell tells it
    finally:
        end_group(child.pid)


def adopt_orphans() -> None:
    """On Linux, become the parent of orphaned grandchildren, so that their end can be awaited."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_group(group: int) -> None:
    """End every process of the group and wait until there is none."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE_SECONDS
        try:
            os.killpg(group, number)
            while time.monotonic() < deadline:
                reap(group)
                os.killpg(group, 0)
                time.sleep(0.02)
        except (ProcessLookupError, PermissionError):  # macOS: not permitted once all are zombies
            return


def reap(group: int) -> None:
    """Collect what has ended, because a zombie still counts as a member of its group."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
