"""Counts work, so that a test can say that it does not grow, without a clock."""

import gc
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_steps(function: Callable[[], object]) -> int:
    """The interpreter's instructions that a call takes. What C does in one of them counts as one,
    so what is tested must not hide its loops in C."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        steps += event == "opcode"
        return trace

    # The timer that stops coverage (conftest.py), which is a trace too, would stop this one.
    left, _ = signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    before = sys.gettrace()
    gc.disable()  # what other tests have left would be tidied up at this one's cost
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
        gc.enable()
        signal.setitimer(signal.ITIMER_VIRTUAL, left)
    return steps
