"""The proxy, with its crossings counted inside the isolate (bench.crossings sends the requests).

Python's own monitoring counts, so the proxy runs as it is, whatever drives its coroutines. It does
not see: what JavaScript does by itself, a property that Python reads of a JavaScript object, and a
Python function that JavaScript calls while Python waits for it. The Durable Objects run elsewhere.
"""

import asyncio
import cProfile
import dis
import inspect
import json
import sys
from collections import Counter
from functools import cache
from types import CodeType, FrameType
from typing import Any

import js
from pyodide.ffi import JsProxy

from entry import *  # noqa: F403 -- workerd looks here for the scheduled handler
from proxy.host.isolate import started
from proxy.host.worker import respond

ENTRY = "entries"
"""JavaScript enters Python: a handler, a callback, a promise's value."""
CALL = "calls of JavaScript"
"""Python calls a JavaScript function, all that have a kind of their own below too."""
AWAIT = "awaits of promises"
"""A coroutine waits for a promise: a future that Pyodide makes for it, or a `then`."""
TASK = "tasks"
"""Tasks of asyncio that are made."""
CALLBACK = "callbacks scheduled"
"""Python has JavaScript call it back at once. Each comes back as an entry."""
TIMER = "timers"
"""Python has itself called back later. The entry is not counted: it comes when the time is over,
and in Pyodide's loop it comes for a timer that was cancelled too."""
CANCELLED = "timers cancelled"
PROXY = "proxies"
"""Python objects that JavaScript gets a hold of; those of an awaited promise are not seen."""
CONVERSION = "conversions"
"""Values that are copied from the one side to the other."""
CLOCK = "clock reads"
LOG = "log lines"
FETCH = "fetches"
OBJECT = "Durable Object calls"
KV = "KV operations"
R2 = "R2 operations"
POINT = "data points"
KINDS = (
    *(ENTRY, CALL, AWAIT, TASK, CALLBACK, TIMER, CANCELLED, PROXY, CONVERSION, CLOCK, LOG, FETCH),
    *(OBJECT, KV, R2, POINT),
)

_NAMED = {
    **dict.fromkeys(("setTimeout", "scheduleCallback", "queueMicrotask"), CALLBACK),
    "now": CLOCK,
    "then": AWAIT,
    "fetch": FETCH,
}
"""JavaScript functions by their names."""
_BUILT_IN = {
    **dict.fromkeys(("to_js", "to_py", "to_bytes", "to_string", "to_memoryview"), CONVERSION),
    **dict.fromkeys(("assign", "assign_to"), CONVERSION),
    **dict.fromkeys(("create_proxy", "create_once_callable"), PROXY),
    **dict.fromkeys(("new", "then", "catch", "finally_"), CALL),
}
"""Pyodide's functions by their names."""
_CLOCKS = frozenset({"time", "monotonic", "perf_counter"})
_CLASSES = {
    "RpcObjects": OBJECT,
    "RpcBatches": OBJECT,
    "KVStore": KV,
    "R2Store": R2,
    "EnginePoints": POINT,
}
"""The platform's classes, any of whose functions is one operation."""
_LONG = 0.5
"""Seconds of a timer from which on it is the flush that all requests of its time share."""
_monitoring: Any = vars(sys)["monitoring"]  # since Python 3.12; the tools run on 3.11 too
_EVENTS = _monitoring.events
_TOOL = 3
"""Of Python's monitoring; the profiler is 2."""


class Counting:
    """What has crossed since the last reset, by phase and kind."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.open = 0
        """Coroutines that have begun and not ended."""
        self._phase = "answer"
        self._before_entry = self.counts.copy()
        self._timers: dict[asyncio.Handle, float] = {}

    def reset(self) -> None:
        """Begins anew."""
        self.counts.clear()
        self._phase = "answer"
        self._before_entry = Counter()

    def forget_entry(self) -> None:
        """Undoes what the entry from JavaScript that runs has counted."""
        self.counts = self._before_entry.copy()

    def start(self) -> None:
        """Begins to watch Python."""
        tool = _TOOL
        _monitoring.use_tool_id(tool, "crossings")
        handlers = {
            _EVENTS.PY_START: self._begin,
            _EVENTS.PY_RESUME: self._resume,
            _EVENTS.PY_RETURN: self._return,
            _EVENTS.PY_UNWIND: self._end,
            _EVENTS.CALL: self._call,
        }
        for event, handler in handlers.items():
            _monitoring.register_callback(tool, event, handler)
        _monitoring.set_events(tool, sum(handlers))

    def _count(self, kind: str, frame: FrameType, times: int = 1) -> None:
        self.counts[self._phase, kind, _site(frame)] += times

    def _begin(self, code: CodeType, offset: int) -> None:
        frame = sys._getframe(1)
        if frame.f_back is None and not code.co_filename.startswith("<frozen"):
            self._enter(frame)
        if code.co_flags & inspect.CO_COROUTINE:
            self.open += 1
        owner, _, name = code.co_qualname.rpartition(".")
        if owner in _CLASSES and name != "__init__":
            self._count(_CLASSES[owner], frame)
        elif name == "create_future":
            self._count(AWAIT, frame)
        elif code.co_filename.endswith("/platform/log.py") and name == "log":
            self._count(LOG, frame)
        elif code.co_qualname == "_Timer.cancel":
            handle = frame.f_locals["self"]
            if handle in self._timers and not handle.cancelled():
                self._count(CANCELLED, frame)

    def _resume(self, code: CodeType, offset: int) -> None:
        frame = sys._getframe(1)
        if frame.f_back is None:
            self._enter(frame)

    def _enter(self, frame: FrameType) -> None:
        self._before_entry = self.counts.copy()
        local = frame.f_locals.values() if self._timers else ()
        handles = (value for value in local if isinstance(value, asyncio.Handle))
        handle = next((handle for handle in handles if handle in self._timers), None)
        if handle is None:
            self._count(ENTRY, frame)
        elif self._timers.pop(handle) >= _LONG and not handle.cancelled():
            self._phase = "flush"

    def _return(self, code: CodeType, offset: int, value: object) -> None:
        self._end(code, offset, value)
        if code.co_name == "call_later" and isinstance(value, asyncio.Handle):
            frame = sys._getframe(1)
            delay = frame.f_locals["delay"]
            if delay > 0:
                self._timers[value] = delay
                self._count(TIMER, frame)
        elif code.co_name == "build_response":
            self._phase = "after"

    def _end(self, code: CodeType, offset: int, value: object) -> None:
        if code.co_flags & inspect.CO_COROUTINE:
            self.open -= 1

    def _call(self, code: CodeType, offset: int, function: Any, first: object) -> None:
        frame = sys._getframe(1)
        if type(function).__name__ == "JsMethodCallSingleton":  # object.method(...)
            self._call_javascript(frame, _method(code, offset))
        elif isinstance(function, JsProxy):
            self._call_javascript(frame, function.name)
        elif isinstance(function, type):
            if issubclass(function, asyncio.Task):
                self._count(TASK, frame)
        else:
            self._call_python(frame, function, first)

    def _call_javascript(self, frame: FrameType, name: object) -> None:
        """name: no text where it is a method of a Durable Object."""
        self._count(CALL, frame)
        kind = _NAMED.get(name) if isinstance(name, str) else None
        if kind and not (kind == CALLBACK and _is_timer(frame)):
            self._count(kind, frame)

    def _call_python(self, frame: FrameType, function: Any, first: object) -> None:
        name, module = getattr(function, "__name__", ""), getattr(function, "__module__", "")
        owner = getattr(function, "__self__", first)
        if name == "create_future":
            self._count(AWAIT, frame, -1)  # not Pyodide's, for a promise
        elif module == "time" and name in _CLOCKS:
            self._count(CLOCK, frame)
        elif name in _BUILT_IN and (module == "_pyodide_core" or isinstance(owner, JsProxy)):
            self._count(_BUILT_IN[name], frame)
            if name == "then":
                self._count(AWAIT, frame)


def _is_timer(frame: FrameType | None) -> bool:
    """Whether a call in the frame arms a timer."""
    while frame and frame.f_code.co_name != "call_later":
        frame = frame.f_back
    return frame is not None and frame.f_locals["delay"] > 0


@cache
def _method(code: CodeType, offset: int) -> str:
    """The name of the method that a call in the code calls."""
    found, instructions = "", list(dis.get_instructions(code))
    begin = next(_begin(each) for each in instructions if each.offset == offset)
    for each in instructions:
        if each.offset < offset and each.opname == "LOAD_ATTR" and _begin(each) == begin:
            found = each.argval
    return found


def _begin(instruction: dis.Instruction) -> tuple[int | None, int | None]:
    """Where in the source the expression of an instruction begins."""
    positions = instruction.positions
    return (positions.lineno, positions.col_offset) if positions else (None, None)


def _site(frame: FrameType) -> str:
    """The proxy's function nearest to a frame, or the frame's own where there is none."""
    found: FrameType | None = frame
    while found and "/proxy/" not in found.f_code.co_filename:
        found = found.f_back
    code = (found or frame).f_code
    return f"{code.co_filename.rpartition('/')[2]} {code.co_qualname}"


def _spent(profile: cProfile.Profile) -> list[tuple[str, str, int, float]]:
    """File, name, calls and seconds of each function, with what it calls that is not Python."""
    rows = []
    for entry in profile.getstats():
        if isinstance(entry.code, CodeType):
            built_in = (call for call in entry.calls or () if isinstance(call.code, str))
            own = entry.inlinetime + sum(call.inlinetime for call in built_in)
            code = entry.code
            rows.append((code.co_filename, code.co_qualname, entry.callcount, own))
    return rows


_counting = Counting()
_counting.start()
_profile = cProfile.Profile()


def on_fetch(request: Any, env: Any, ctx: Any) -> Any:  # type: ignore[no-redef]
    """Answers as the proxy, but for what bench.crossings says to the Worker itself."""
    path = request.url.rpartition("/")[2]
    if path == "_profile":
        _monitoring.set_events(_TOOL, 0)
        _profile.enable()
        return js.Response.new("")
    if path == "_spent":
        _profile.disable()
        return js.Response.new(json.dumps(_spent(_profile)))
    if path not in ("_reset", "_report"):
        app = started(env)
        assert app  # no setting is bound to the Secrets Store
        return respond(app, request, ctx)
    _counting.forget_entry()
    counts = [[*key, count] for key, count in _counting.counts.items() if count]
    report = json.dumps({"kinds": KINDS, "open": _counting.open, "counts": counts})
    if path == "_reset":
        _counting.reset()
    response = js.Response.new(report)
    _counting.forget_entry()
    return response


on_fetch.__dict__["__signature__"] = ()  # as of the proxy's own, see entry.py
