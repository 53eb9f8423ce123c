"""Nothing outlives the one who started it: not children, not grandchildren, not stubborn ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import guard

GUARD = [sys.executable, guard.__file__]

FAMILY = """
import os, subprocess, sys, time
print(os.getpid(), flush=True)
child = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
subprocess.run([sys.executable, "-c", child])
"""
"""A program that prints its process id, starts another that does so too, and waits."""

STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead but not yet collected does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(found.stdout.strip()) and "Z" not in found.stdout


def wait_until_dead(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still alive: {pids}"
        time.sleep(0.02)


@pytest.fixture
def family() -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A guard, and the processes of the command and of its child."""
    process = subprocess.Popen(
        [*GUARD, sys.executable, "-c", FAMILY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        yield process, [int(process.stdout.readline()) for _ in range(2)]
        process.kill()


def test_all_end_when_standard_input_closes(
    family: tuple[subprocess.Popen[str], list[int]],
) -> None:
    process, pids = family
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_all_end_when_the_guard_is_told_to(
    family: tuple[subprocess.Popen[str], list[int]], number: signal.Signals
) -> None:
    process, pids = family
    process.send_signal(number)
    process.wait(10)
    assert not any(is_alive(pid) for pid in pids)


def test_a_grandchild_ends_with_the_command(
    family: tuple[subprocess.Popen[str], list[int]],
) -> None:
    process, (child, grandchild) = family
    os.kill(child, signal.SIGKILL)
    assert process.wait(10) == 128 + signal.SIGKILL
    assert not is_alive(grandchild)


def test_all_end_when_the_starter_is_killed(tmp_path: Path) -> None:
    output = tmp_path / "pids"
    starter = f"""
import subprocess, sys, time
subprocess.Popen([*{GUARD!r}, sys.executable, "-c", {FAMILY!r}],
                 stdin=subprocess.PIPE, stdout=open({str(output)!r}, "w"))
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", starter])
    while not output.exists() or output.read_text().count("\n") < 2:
        time.sleep(0.02)
    pids = [int(line) for line in output.read_text().split()]
    process.kill()
    process.wait()
    wait_until_dead(pids)


def test_who_ignores_sigterm_is_killed_after_the_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "GRACE_SECONDS", 0.2)
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, process_group=0
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        guard.end_group(process.pid)
        assert not is_alive(process.pid)


@pytest.mark.parametrize("status", [0, 3])
def test_the_exit_status_is_the_commands(status: int) -> None:
    command = [*GUARD, sys.executable, "-c", f"raise SystemExit({status})"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait(10) == status
