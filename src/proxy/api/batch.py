"""The path of batches, and their parts that other invocations run."""

from msgspec import structs

from proxy.analytics.record.request_record import BATCH
from proxy.analytics.record.trace import begin_trace
from proxy.api.body import read_body
from proxy.api.services import Services
from proxy.batch.answer import answer_batch, answer_chunk
from proxy.batch.chunks import CHUNK
from proxy.core.ports import Defer, Write
from proxy.core.web import Response
from proxy.dialects import native
from proxy.serving.context import RequestContext


async def run_batch(services: Services, context: RequestContext) -> Response:
    """POST /v1/batch."""
    return await answer_batch(services.batch, context, await read_body(services, context))


async def run_chunk(services: Services, data: bytes, defer: Defer, write: Write) -> None:
    """Runs a part of a batch that comes from another invocation. Raises ValueError for what is
    none."""
    chunk, ports = CHUNK.decode(data), services.ports
    context = RequestContext(chunk.as_request(defer), BATCH, native, ports.clock, ports.random)
    context.admit(chunk.principal)
    context.hold = services.memory.open()
    context.hold.keep(len(data))
    found = begin_trace(chunk.headers, ports.random)
    if found.parent:  # the batch's own span, which the batch itself records
        span = structs.replace(found, span=found.parent)
        context.join_trace(span, recorded=services.exporter is not None)
    await answer_chunk(services.batch, context, chunk, write)
