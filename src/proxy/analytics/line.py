"""An event as the request's line in the log: flat, under OpenTelemetry's names."""

from proxy.analytics.attributes import Attributes, Told, gen_ai, http, known, own
from proxy.analytics.event import Event


def level(event: Event) -> str:
    """`error` where the proxy or the providers failed the caller, its own mistakes are `info`."""
    broken = event.failed and event.status < 400
    return "error" if broken or event.status >= 500 else "info"


def fields(event: Event) -> Attributes:
    """What the line holds. `trace_id` and `span_id` are named as OpenTelemetry names them in
    logs of other formats than its own."""
    trace: Told = {"trace_id": event.trace, "span_id": event.span}
    return known(own(event) | http(event) | gen_ai(event) | trace)
