"""Answers requests for embeddings."""

from msgspec import structs

from proxy.core.embedding import EmbeddingRequest
from proxy.core.web import JSON, Response
from proxy.dialects import openai
from proxy.dialects.session import find_session
from proxy.limits.estimate import EmbeddingEstimate
from proxy.routing.manager import Manager
from proxy.routing.operations import RunOptions
from proxy.serving.accounting import describe_served, record_served, served_headers, settle
from proxy.serving.aliasing import Aliasing
from proxy.serving.context import RequestContext
from proxy.serving.task import TaskMaker, record_request, with_timeout


class EmbeddingService:
    """Answers the requests for embeddings of an isolate."""

    def __init__(self, tasks: TaskMaker, manager: Manager, aliasing: Aliasing) -> None:
        self._tasks = tasks
        self._aliasing = aliasing
        self._manager = manager

    async def answer(self, context: RequestContext, request: EmbeddingRequest) -> Response:
        """Answers by a provider. Raises ProxyError."""
        headers = context.request.headers
        request = await self._aliasing.apply_to_embedding(context, request)
        request = structs.replace(request, routing=with_timeout(request.routing, headers))
        retrying = self._tasks.retrying(headers)
        record_request(context.record, request.routing, request.metadata, headers)
        context.record.session = find_session(headers)
        if guard := self._tasks.guard:
            context.upstream_headers = guard.screen_headers(context.upstream_headers)
        meter = await self._tasks.admit(context)
        meter.estimate = EmbeddingEstimate(request)
        run = RunOptions(
            began=context.began,
            retry_policy=retrying,
            hold=context.hold,
            passed_on=context.upstream_headers,
            caller_keys=context.caller_keys,
        )
        try:
            vectors, success = await self._manager.embed(request, meter, run)
            usage = vectors.usage or meter.expected(None)
            cost = settle(context, success, usage, estimated=vectors.usage is None)
        finally:
            meter.close()
        served = describe_served(context, success, cost)
        record_served(context, served)
        headers = JSON | served_headers(served)
        return Response(headers=headers, body=openai.embeddings(vectors, served))
