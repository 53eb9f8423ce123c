"""A stream on its way from its provider to its caller."""

import asyncio
from contextlib import suppress
from itertools import chain

from msgspec import Struct, structs

from proxy.cache.coalescing import Leader
from proxy.core.body_memory import STEP
from proxy.core.chat import Answer, Chunk, Served
from proxy.core.collect import Collector
from proxy.core.errors import (
    CALLER_GONE,
    GIVEN_UP,
    OK,
    ClientGone,
    Fault,
    Outcome,
    ProxyError,
)
from proxy.core.ports import Log, Sink
from proxy.privacy.body_log import Note
from proxy.privacy.restoring import StreamRestoring
from proxy.routing.deadline import out_of_time
from proxy.routing.failure import as_proxy_error
from proxy.routing.fallback import Success
from proxy.routing.stream import Stream
from proxy.serving.accounting import describe_chat, record_error, record_served, settle_chat
from proxy.serving.keeping import Keeper
from proxy.serving.refusal import report_bug
from proxy.serving.task import ChatTask

PING_SECONDS = 15.0
"""Seconds of silence after which a caller gets a sign of life."""


class Begun(Struct, frozen=True, kw_only=True):
    """A stream whose first content has come."""

    stream: Stream
    success: Success
    served: Served
    """How it is served, as far as that is known now."""
    key: str
    """The key under which its answer is kept."""
    leader: Leader | None
    """Publishes the answer to the followers."""


class Relay:
    """Passes one stream on as it comes, and reports its end: done, or the error that broke it.

    Whatever happens, the attempt ends, what was used is settled, and the followers get an outcome.
    """

    def __init__(
        self, task: ChatTask, begun: Begun, keeper: Keeper, log: Log, *, finish_gone: bool
    ) -> None:
        """task: without the caller's texts; finish_gone: whether to finish for a caller who has
        left."""
        self._task = task
        self._begun = begun
        self._keeper = keeper
        self._log = log
        self._finish_gone = finish_gone
        self._leader = begun.leader
        if self._leader:
            self._leader.note_progress()
        self._collector = Collector()
        self._writer = task.context.dialect.writer(task.call, begun.served)
        self._settled: Served | None = None
        self._outcome: Outcome = GIVEN_UP
        self._ended = "client_gone"
        restoring = task.context.restoring
        self._restored = StreamRestoring(restoring) if restoring else None
        plain = "" if restoring else begun.stream.plain
        self._flows = plain != "" and plain == self._writer.takes
        """Whether the provider's bytes go to the caller as they are."""
        self._first: Chunk | None = None
        self._last: Chunk | None = None
        """The ends of what has flowed."""
        self._held = task.context.hold.size if task.context.hold else 0
        """What is held of the request meanwhile."""
        self._sink: Sink

    async def run(self, sink: Sink) -> None:
        """Writes the stream."""
        self._sink, stream = sink, self._begun.stream
        try:
            if self._flows:
                await stream.flow(sink, finish=self._finish_gone)
            else:
                stream.gather()
            await self._take_all()
            if self._flows:
                await stream.hand_back()
            await self._complete()
            await stream.linger()
        except ClientGone:
            self._outcome = CALLER_GONE
        except Exception as error:
            await self._break_off(error)
        finally:
            self._close()

    async def _take_all(self) -> None:
        """Passes the answer on to its end. Raises what breaks it off."""
        pinging = None
        if self._writer.pings and not self._flows:
            pinging = asyncio.create_task(self._send_pings())
        try:
            await self._begun.stream.pass_on(self._pass_on, self._seconds_left())
        finally:
            if pinging:
                pinging.cancel()

    async def _send_pings(self) -> None:
        """Sends the dialect's sign of life while the provider is silent."""
        while not self._sink.gone:
            sent = self._sink.sent
            await asyncio.sleep(PING_SECONDS)
            if self._sink.sent == sent:
                with suppress(ClientGone):  # the next piece finds it too
                    await self._sink.write(self._writer.ping())

    def _seconds_left(self) -> float | None:
        """The seconds that are left for the stream; None: the request sets no time."""
        timeout_ms = self._task.call.routing.timeout_ms
        return (timeout_ms - self._task.context.ms) / 1000 if timeout_ms else None

    async def _pass_on(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self._collector.add(chunk)
        if not self._fits():
            self._collector.overflow()
            if hold := self._task.context.hold:
                hold.keeps(self._held)
        if not self._flows:
            await self._send(self._write(chunks))
        elif chunks:
            self._first, self._last = self._first or chunks[0], chunks[-1]
        if self._leader:
            self._leader.note_progress()

    def _write(self, chunks: list[Chunk]) -> bytes:
        """Renders chunks for the caller, with what was masked in the request."""
        restored, restoring = self._restored, self._task.context.restoring
        if restored is None or restoring is None:
            return b"".join(map(self._writer.chunk, chunks))
        shown = chain.from_iterable(map(restored.restore, chunks))
        return restoring.restore_json(b"".join(map(self._writer.chunk, shown)))

    def _write_end(self, answer: Answer, served: Served) -> bytes:
        """Renders the end of a complete answer, before it what has waited."""
        restored, restoring = self._restored, self._task.context.restoring
        if restored is None or restoring is None:
            return self._writer.done(answer, served)
        answer = restoring.restore_answer(answer)
        waiting = b"".join(map(self._writer.chunk, restored.flush()))
        return waiting + restoring.restore_json(self._writer.done(answer, served))

    async def _send(self, data: bytes) -> None:
        """Sends bytes, unless the caller has left. Raises ClientGone where the stream is not to be
        finished without it."""
        if self._is_finished_alone:
            return
        try:
            await self._sink.write(data)
        except ClientGone:
            if not self._finish_gone:
                raise

    @property
    def _is_finished_alone(self) -> bool:
        """Whether the stream goes on without its caller."""
        return self._finish_gone and self._sink.gone

    async def _complete(self) -> None:
        """Sends the caller's last event, then keeps the answer, even if nobody has taken it."""
        answer = self._collector.answer()
        served = self._settle()
        last = self._end_flow() if self._flows else self._write_end(answer, served)
        self._outcome, self._ended = OK, "ok"
        try:
            await self._send(last)
        finally:
            entry = self._keeper.keep(
                self._task, self._begun.key, self._begun.success, answer, served.cost
            )
            self._keep_response(answer)
            leader, self._leader = self._leader, None
            if leader:
                self._keeper.publish(self._task.context, leader, entry)

    def _keep_response(self, answer: Answer) -> None:
        """Hands on the whole answer, as it was written or has gone by."""
        context = self._task.context
        response = self._writer.response or (answer.native and answer.native.body)
        if response and context.keep_response:
            if context.restoring:
                response = context.restoring.restore_json(response)
            context.keep_response(response)

    def _end_flow(self) -> bytes:
        """What a stream lacks that has gone on as it was. The provider may have left its last line
        open."""
        return b"" if self._begun.stream.is_closed else b"\n\n" + self._writer.close()

    async def _break_off(self, error: Exception) -> None:
        """Records what ended the stream before its end, and sends the error, if the last event is
        still to come."""
        context = self._task.context
        is_complete = self._ended == "ok"
        refusal = self._read_error(error)
        record_error(context, refusal)
        if not is_complete:
            await self._begun.stream.hand_back()
            for chunk in (self._first, self._last):
                if chunk:  # the error goes on where the flow has ended
                    self._writer.chunk(chunk)
            waiting = self._restored.flush() if self._restored else []
            last = b"".join(map(self._writer.chunk, waiting))
            last += self._writer.error(refusal, context.id, context.clock.now())
            with suppress(ClientGone):
                await self._send(self._writer.cut + last if self._flows else last)

    def _read_error(self, error: Exception) -> ProxyError:
        attempts = self._begun.success.attempts
        if isinstance(error, TimeoutError):
            error = out_of_time()
        if isinstance(error, Fault):
            self._outcome, self._ended = error.outcome, error.kind
            return as_proxy_error(error, attempts, begun=True)
        refusal = report_bug(self._task.context, error, self._log)
        refusal.attempts = attempts
        self._outcome, self._ended = GIVEN_UP, refusal.type
        return refusal

    def _settle(self) -> Served:
        """Settles what was used, once, and describes how the answer was served."""
        if self._settled is None:
            task, success, collector = self._task, self._begun.success, self._collector
            cost = settle_chat(task, success, collector.usage, collector.characters)
            self._settled = describe_chat(task, success, cost)
        return self._settled

    def _close(self) -> None:
        context = self._task.context
        self._begun.stream.abort()
        is_gone = self._outcome is CALLER_GONE or self._is_finished_alone
        self._begun.success.watched.end(self._outcome)
        served = self._settle()
        record_served(context, served)
        if context.note:
            self._note_answer(context.note, served)
        context.record.ended = "client_gone" if is_gone else self._ended
        if self._leader:
            self._keeper.resign(context, self._leader, None)

    def _note_answer(self, note: Note, served: Served) -> None:
        """Notes the answer as far as it has come; one that broke ends by the word for that."""
        context, answer = self._task.context, self._collector.answer()
        if self._collector.overflowed:
            return
        if self._collector.finish_reason is None:
            answer = structs.replace(answer, finish_reason=self._ended)
        try:
            note.take_answer(context.dialect.answer(answer, self._task.call, served))
        except Exception as error:
            report_bug(context, error, self._log)

    def _fits(self) -> bool:
        """Whether there is room for what is kept of the stream, which is held from then on."""
        hold, size = self._task.context.hold, self._held + self._collector.size
        return hold is None or size <= hold.size + STEP or hold.keeps(size)
