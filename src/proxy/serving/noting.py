"""Notes a request's body and its answer for the body log, where there is one: as much of each as is
kept, counted against the isolate's memory, and written after the answer."""

import asyncio

from proxy.analytics.record.log_line import OPERATIONS
from proxy.core.ports import Log
from proxy.dialects.cloudflare import allows_bodies
from proxy.privacy.body_log import JSON_TYPE, BodyLog, Note, RawBody
from proxy.serving.context import RequestContext


class Notes:
    """Notes the requests for models of an isolate."""

    def __init__(self, bodies: BodyLog, secrets: tuple[str, ...], log: Log) -> None:
        """secrets: the deployment's."""
        self.bodies = bodies
        self._secrets = secrets
        self._log = log

    def take_request(self, context: RequestContext, body: bytes) -> None:
        """Notes a request's body, unless its caller forbids it, or there is no room."""
        if context.record.endpoint not in OPERATIONS or not allows_bodies(context.request.headers):
            return
        most = self.bodies.most_read
        hold = context.hold and context.hold.fork()
        if hold and not hold.keeps(min(len(body), most) + most):  # its answer may be as large
            self._log("warning", "body not kept", request_id=context.id, why="no room in memory")
            return
        request = RawBody(JSON_TYPE, body[:most], len(body))
        context.note = Note(request=request, hold=hold, most=most)

    def keep(self, context: RequestContext, note: Note) -> None:
        """Has what was noted written after the answer, and named in the record."""
        context.record.body = name = self.bodies.name(context.record.user)
        secrets = (*self._secrets, *context.caller_keys)
        context.request.defer(self._write(context.id, name, note, secrets))

    async def _write(self, id_: str, name: str, note: Note, secrets: tuple[str, ...]) -> None:
        try:
            await asyncio.sleep(0)  # the answer goes first
            await self.bodies.write(name, note.request, note.answer, secrets)
        except Exception as error:
            self._log("error", "body not kept", request_id=id_, why=type(error).__name__)
        finally:
            if note.hold:
                note.hold.release()
