"""The one end of a request: its memory is given back and its record is handed on."""

from copy import copy

from proxy.analytics.record.log_line import build_line, choose_level
from proxy.analytics.record.recorder import Recorder
from proxy.analytics.record.request_record import without_quotes
from proxy.core.ports import Log
from proxy.serving.context import RequestContext
from proxy.serving.noting import Notes


class Closer:
    """Closes the requests of an isolate."""

    def __init__(
        self,
        recorder: Recorder | None,
        log: Log,
        notes: Notes | None = None,
        *,
        log_prompts: bool = False,
    ) -> None:
        """recorder: None: a record becomes a line in the log only. notes: of the body log, where
        there is one. log_prompts: whether a record keeps the words of providers, which may quote
        the prompt."""
        self._recorder = recorder
        self._log = log
        self._notes = notes
        self._log_prompts = log_prompts

    def close(self, context: RequestContext, status: int, size: int, body: bytes = b"") -> None:
        """Ends a request whose answer of `size` bytes is over; only the first call counts. What
        goes wrong with the record costs a line in the log, and no answer. body: the answer, where
        it is whole."""
        if context.is_closed:
            return
        context.is_closed = True
        context.release_memory()
        try:
            if context.note and self._notes:
                if body:
                    context.note.take_answer(body)
                self._notes.keep(context, context.note)
            self._record(context, status, size)
        except Exception as error:
            self._log("error", "event lost", request_id=context.id, error=repr(error)[:500])
        if context.meter:
            context.meter.let_go()

    def _record(self, context: RequestContext, status: int, size: int) -> None:
        record = context.record
        if record.stream:  # one that is given up after this still writes its end into the other
            context.record = copy(record)
        record.status, record.ms, record.bytes_out = status, context.ms, size
        if not self._log_prompts:
            record = without_quotes(record)
        if self._recorder:
            self._recorder.record(record, context.request.defer, counted=context.is_counted)
        else:
            self._log(choose_level(record), "request", build_line(record))
