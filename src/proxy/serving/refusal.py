"""An error as the answer to a request, in the caller's dialect."""

import math

from proxy.core.errors import InternalError, MethodNotAllowed, ProxyError, drop_frames
from proxy.core.ports import Log
from proxy.core.web import JSON, Response
from proxy.serving.accounting import record_error
from proxy.serving.context import RequestContext

MISTAKE = "The proxy made a mistake; it has been logged."


def refuse(context: RequestContext, error: Exception, log: Log) -> Response:
    """Answers an error. One that is no ProxyError, and one that can't be rendered, is a bug: it is
    logged, and the caller learns no more than that. What the error has come through is freed."""
    drop_frames(error)
    if isinstance(error, ProxyError):
        try:
            return render_refusal(context, error)
        except Exception as bug:
            error = drop_frames(bug)
    return render_refusal(context, report_bug(context, error, log))


def report_bug(context: RequestContext, error: Exception, log: Log) -> InternalError:
    """Logs a bug and gives the caller's error for it."""
    log("error", "bug", request_id=context.id, error=repr(error)[:500])
    return InternalError(MISTAKE)


def render_refusal(context: RequestContext, error: ProxyError) -> Response:
    """Renders and records an error."""
    dialect = context.errors
    headers = JSON | dialect.headers(context.id, error)
    if error.retry_after is not None:
        headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = ", ".join(error.allow)
    status = dialect.status(error)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    record_error(context, error)
    body = dialect.error(error, context.id, context.clock.now())
    return Response(status=status, headers=headers, body=body)
