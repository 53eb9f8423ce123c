"""The paths of the past: figures, the request log, insights, and what Prometheus reads.

A user's key sees its own figures, an admin and a viewer everybody's.
"""

from operator import attrgetter
from typing import Literal
from urllib.parse import unquote

import msgspec

from proxy import __version__
from proxy.analytics.insights import find_insights, render_insights
from proxy.analytics.insights.model import Observations
from proxy.analytics.insights.query import read_insights_query
from proxy.analytics.query import parameters
from proxy.analytics.query.csv_text import CONTENT_TYPE as CSV
from proxy.analytics.query.exposition import CONTENT_TYPE
from proxy.analytics.query.log_groups import merge_groups, read_groups_query, render_groups
from proxy.analytics.query.pages import read_page_query, render_page, show_record
from proxy.analytics.query.prometheus import Gauges, render_metrics
from proxy.analytics.query.reason import show_reason
from proxy.analytics.query.report import read_report_query, render_report
from proxy.analytics.store.messages import LogFilters, LogQuery
from proxy.api.export import export_requests
from proxy.api.services import Services
from proxy.core.errors import InvalidRequest, NotFound, invalid
from proxy.core.web import FRESH_JSON, Response
from proxy.serving.context import RequestContext

_LOGGED_AT = attrgetter("logged_at")


async def show_figures(services: Services, context: RequestContext) -> Response:
    """GET /analytics. Raises ProxyError."""
    now = int(services.ports.clock.now())
    query = read_report_query(context.request.query, now, visible_user(context))
    sums = await services.reader.read_sums(query.sums)
    headers = FRESH_JSON | ({"content-type": CSV} if query.is_csv else {})
    return Response(headers=headers, body=render_report(query, sums))


async def show_requests(services: Services, context: RequestContext) -> Response:
    """GET /analytics/requests. Raises ProxyError."""
    shards, now = services.settings.analytics.shards, services.ports.clock.now()
    query = read_page_query(context.request.query, shards, now, visible_user(context))
    if query.is_csv:
        return await export_requests(services.reader, query)
    pages = await services.reader.read_pages(query.of_shard)
    return Response(headers=dict(FRESH_JSON), body=render_page(query, pages))


async def show_request(services: Services, context: RequestContext) -> Response:
    """GET /analytics/requests/ID: the newest of this id, which callers may choose. Raises
    NotFound, InvalidRequest."""
    parameters.check_names(context.request.query, ())
    id_ = unquote(context.request.path.rstrip("/").rpartition("/")[2])
    user = visible_user(context)
    filters: LogFilters = {"id": id_} if user is None else {"id": id_, "user": user}
    query = LogQuery(limit=1, filters=filters)
    pages = await services.reader.read_pages(lambda _: query)
    found = max((page.rows[0] for page in pages if page.rows), key=_LOGGED_AT, default=None)
    if found is None:
        raise NotFound(f"The request log has no request {id_[:100]!r}, or no longer.")
    record = found.record
    more = {"reason": show_reason(record), "bodyKept": record.body != ""}
    body = msgspec.json.encode(show_record(record) | more)
    return Response(headers=dict(FRESH_JSON), body=body)


async def list_sessions(services: Services, context: RequestContext) -> Response:
    """GET /analytics/sessions. Raises ProxyError."""
    return await _show_groups(services, context, "session")


async def list_tags(services: Services, context: RequestContext) -> Response:
    """GET /analytics/tags. Raises ProxyError."""
    return await _show_groups(services, context, "tag")


async def _show_groups(
    services: Services, context: RequestContext, by: Literal["session", "tag"]
) -> Response:
    now = services.ports.clock.now()
    query = read_groups_query(context.request.query, by, now, visible_user(context))
    groups = merge_groups(await services.reader.read_groups(query.sums))
    return Response(headers=dict(FRESH_JSON), body=render_groups(query, groups))


async def show_insights(services: Services, context: RequestContext) -> Response:
    """GET /analytics/insights. Raises ProxyError."""
    now, user = services.ports.clock.now(), visible_user(context)
    query = read_insights_query(context.request.query, int(now), user)
    reader = services.reader
    try:
        users, tried, models, past = [
            (await reader.read_sums(sums)).groups
            for sums in (query.users, query.tried, query.models, query.past)
        ]
    except InvalidRequest as error:
        raise invalid("window", "It holds too many users or models: take a shorter one") from error
    requests = sum(group.totals.requests for group in users)
    sample = await reader.read_sample(round((now - query.seconds) * 1000), user, requests)
    window = Observations(
        now=round(now * 1000),
        seconds=query.seconds,
        users=users,
        tried=tried,
        models=models,
        past=past,
        records=sample.records,
        repeats=sample.repeats,
        share=sample.share,
        ttl=services.settings.cache.ttl,
        market=services.market,
        openings=await services.board.read_openings(),
    )
    body = render_insights(window, find_insights(window), query.window)
    return Response(headers=dict(FRESH_JSON), body=body)


async def show_metrics(services: Services, context: RequestContext) -> Response:
    """GET /metrics. Raises ProxyError."""
    await services.watch.start(context.request.defer)
    ever = await services.reader.read_counters()
    configured, memory = services.selection.deployment.configured, services.cache.memory
    gauges = Gauges(
        version=__version__,
        environment=services.settings.access.environment,
        breakers={name: view.phase for name, view in services.watch.views().items()},
        configured={name: name in configured for name in services.catalog.providers},
        heap_bytes=services.ports.heap(),
        cache_entries=memory.entries,
        cache_bytes=memory.bytes,
        pending_records=services.recorder.pending,
        uptime=services.ports.clock.now() - services.began,
    )
    body = render_metrics(ever, gauges, services.catalog.models.keys())
    return Response(headers={**FRESH_JSON, "content-type": CONTENT_TYPE}, body=body)


def visible_user(context: RequestContext) -> str | None:
    """The only user whose requests the caller may see; None: all may be seen."""
    principal = context.principal
    return None if principal is None or principal.sees_all else principal.user
