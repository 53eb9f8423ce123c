"""Figures, the request log, insights and metrics."""

from proxy.analytics.insights.model import Insight
from proxy.analytics.query.overview import TOPS
from proxy.analytics.query.pages import COLUMNS
from proxy.analytics.query.report import DIMENSIONS, GROUPED, OF_FIGURES
from proxy.core.chat import Attempt
from proxy.core.choices import Weighed
from proxy.limits.pool_messages import PoolView
from proxy.privacy.body_log import KeptBodies
from tools.openapi.errors import ASKED, FINDS, OBJECTS, OPERATORS
from tools.openapi.headers import NO_STORE
from tools.openapi.operation import Answer, Operation, Parameter, listing, number, text
from tools.openapi.operations.others import PROVIDERS
from tools.openapi.schemas import (
    INTEGER,
    JSON,
    MAYBE,
    MOMENT,
    NUMBER,
    STRING,
    Named,
    full,
    refer,
    thing,
)

_DURATION: JSON = {"type": "string", "pattern": "^[1-9][0-9]{0,6}[mhd]$", "examples": ["24h"]}
_STATUS: JSON = {"type": "string", "pattern": "^[1-5]([0-9]{2}|xx)$", "examples": ["200", "5xx"]}
_MEANT = {
    "status": Parameter("Only with this HTTP status, or of this class.", _STATUS),
    "id": text("Only the request of this id."),
    "key": text("Only of the key of this id."),
    "session": text("Only of this conversation."),
    "endpoint": text("Only of this path, as the interface names it."),
}
_COUNTED = (
    *("requests", "errors", "limited", "clientGone", "cacheHits", "fallbacks", "attempts"),
    *("failedAttempts", "inputTokens", "outputTokens", "cachedTokens", "reasoningTokens"),
    *("unpriced", "bytesIn", "bytesOut"),
)
_QUANTILES = {name: {"type": ["number", "null"]} for name in ("p50", "p95", "p99")}
_RATE: JSON = {"type": ["number", "null"]}
_FIGURES: dict[str, JSON] = {
    **dict.fromkeys(_COUNTED, INTEGER),
    **dict.fromkeys(("errorRate", "failureRate"), _RATE),
    "cost": NUMBER,
    "costSaved": NUMBER,
    "cache": {"type": "object", "additionalProperties": INTEGER},
    "latencyMs": thing(*_QUANTILES, **_QUANTILES, mean={"type": ["number", "null"]}),
    "firstTokenMs": full(**_QUANTILES),
}
_TOTALS = Named("Totals", full(**_FIGURES))
_STEP = Named("Step", {"allOf": [refer("Totals"), full(at=MOMENT)]}, (_TOTALS,))
_SERIES = {"type": "array", "items": refer("Step")}
_GROUP = Named(
    "Group",
    {"allOf": [refer("Totals"), thing("key", key={"type": "object"}, series=_SERIES)]},
    (_TOTALS, _STEP),
)
_WINDOW: dict[str, JSON] = {
    "window": STRING,
    "from": MOMENT,
    "to": MOMENT,
    "step": {"type": ["integer", "null"]},
    "resolution": INTEGER,
}
_REPORT = Named(
    "Report",
    listing("groups", _GROUP, **_WINDOW, total={"allOf": [refer("Totals"), thing(series=_SERIES)]}),
    (_GROUP,),
)
_NULLABLE = (
    *(
        "user",
        "keyId",
        "team",
        "provider",
        "model",
        "asked",
        "strategy",
        "error",
        "source",
        "cache",
    ),
    *("tier", "ended", "costOrigin", "country", "colo", "session", "traceId"),
)
_DOLLARS: JSON = {"type": ["number", "null"]}
_ROW: dict[str, JSON] = {
    "at": MOMENT,
    **dict.fromkeys(("requestId", "endpoint", "method", "dialect"), STRING),
    **dict.fromkeys(("status", "ms", "bytesIn", "bytesOut"), INTEGER),
    **dict.fromkeys(_NULLABLE, MAYBE),
    "attempts": {"type": "array", "items": refer("Attempt")},
    "tags": {"type": "array", "items": STRING},
    "stream": {"type": "boolean"},
    "firstMs": {"type": ["integer", "null"]},
    "usage": {
        "anyOf": [
            thing(
                *("inputTokens", "outputTokens", "totalTokens"),
                inputTokens=INTEGER,
                outputTokens=INTEGER,
                totalTokens=INTEGER,
                cachedTokens=INTEGER,
                reasoningTokens=INTEGER,
            ),
            {"type": "null"},
        ]
    },
    **dict.fromkeys(("cost", "costSaved"), _DOLLARS),
    "metadata": {"type": "object", "additionalProperties": STRING},
}
_RECORD = Named("RequestRecord", full(**_ROW), (Attempt,))
_REASON = Named(
    "Reason",
    full(
        words={"type": "array", "items": STRING, "description": "Sentences for people."},
        strategy=STRING,
        target=MAYBE,
        candidates={"type": "array", "items": refer("Weighed")},
        failed={"type": "array", "items": refer("Attempt")},
    ),
    (Attempt, Weighed),
)
_DETAIL = Named(
    "RequestDetail",
    {"allOf": [refer("RequestRecord"), full(reason=refer("Reason"), bodyKept={"type": "boolean"})]},
    (_RECORD, _REASON),
)
_SUMS: dict[str, JSON] = {
    **dict.fromkeys(("requests", "errors", "inputTokens", "outputTokens"), INTEGER),
    "cost": NUMBER,
    "first": MOMENT,
    "last": MOMENT,
}
_MORE: JSON = {"type": "boolean", "description": "Whether there are more than `limit`."}
_SESSIONS = Named(
    "Sessions", listing("sessions", full(session=STRING, user=MAYBE, **_SUMS), hasMore=_MORE)
)
_TAGS = Named("Tags", listing("tags", full(tag=STRING, **_SUMS), hasMore=_MORE))
_PAGE = Named("RequestPage", listing("requests", _RECORD, next=MAYBE), (_RECORD,))
_INSIGHTS = Named(
    "Insights",
    listing("insights", refer("Insight"), window=STRING, sample={"type": "object"}),
    (Insight,),
)
_GROUPS: JSON = {"type": ["array", "null"], "items": refer("Group")}
_OVERVIEW_PARTS: dict[str, JSON] = {
    **{name: schema for name, schema in _WINDOW.items() if name != "resolution"},
    "total": {"anyOf": [refer("Totals"), {"type": "null"}]},
    "series": {"type": ["array", "null"], "items": refer("Step")},
    **dict.fromkeys(("byProvider", *TOPS), _GROUPS),
    "providers": refer(PROVIDERS.name),
    "limits": {"type": ["object", "null"], "additionalProperties": refer("PoolView")},
    "unread": {"type": "object", "additionalProperties": STRING},
}
_OVERVIEW = Named("Overview", full(**_OVERVIEW_PARTS), (_GROUP, PROVIDERS, PoolView))


def _filter(name: str) -> Parameter:
    return _MEANT.get(name) or text(f"Only with this {name}.")


_FORMAT = Parameter("The form of the answer.", {"enum": ["json", "csv"], "default": "json"})
_ASKED_FIGURES: dict[str, Parameter] = {
    "window": Parameter("The time up to now.", _DURATION | {"default": "1h"}),
    "step": Parameter("Adds a series with a figure for each.", _DURATION),
    "format": _FORMAT,
    "group_by": Parameter(f"Some of {', '.join(GROUPED)}, with commas between them.", STRING),
    **{str(name): _filter(name) for name in DIMENSIONS},
}
_LABELS = "`label.NAME=VALUE` stands for a label that a request must have; up to 8."
_ROWS_ASKED: dict[str, Parameter] = {
    "from": Parameter("Only from this moment on.", MOMENT),
    "to": Parameter("Only before this moment.", MOMENT),
    **{name: _filter(name) for name in COLUMNS},
}


def _list_sums(what: str, answer: Named) -> Operation:
    return Operation(
        f"list{what.capitalize()}",
        f"What the {what} of the request log have cost, the dearest first",
        Answer("Their sums.", answer),
        ASKED + OBJECTS + FINDS + OPERATORS,
        detail=_LABELS,
        query={
            "window": Parameter("The time up to now, in the place of from and to.", _DURATION),
            "limit": number(f"{what.capitalize()} of the answer.", 1, 500, 100),
            **_ROWS_ASKED,
        },
    )


OPERATIONS = {
    "GET /analytics": Operation(
        "showFigures",
        "Sum up requests, cost, tokens and times",
        Answer("The figures.", _REPORT, csv="A row for each group."),
        ASKED + OBJECTS + FINDS + OPERATORS,
        detail="A user's key sees its own user's figures.",
        query=_ASKED_FIGURES,
    ),
    "GET /analytics/overview": Operation(
        "showOverview",
        "What a first screen shows, in one call",
        Answer("The overview.", _OVERVIEW),
        ASKED + OPERATORS,
        detail="A part that can't be read is null, and `unread` says why.",
        query={name: _ASKED_FIGURES[name] for name in OF_FIGURES},
    ),
    "GET /analytics/requests": Operation(
        "listRequests",
        "List requests, the newest first",
        Answer(
            "A page of the request log.",
            _PAGE,
            csv="A row for each request.",
            headers=("content-disposition", *NO_STORE),
        ),
        ASKED + OBJECTS + FINDS + OPERATORS,
        detail=_LABELS,
        query={
            "format": _FORMAT,
            "limit": number("Rows of a page.", 1, 500, 50),
            "cursor": text("`next` of the page before.", maxLength=2000),
            **_ROWS_ASKED,
        },
    ),
    "GET /analytics/requests/ID": Operation(
        "showRequest",
        "One request, with why it went where it did",
        Answer("The request.", _DETAIL),
        ASKED + OBJECTS + FINDS,
        detail="The newest of this id, which callers may choose.",
    ),
    "GET /analytics/sessions": _list_sums("sessions", _SESSIONS),
    "GET /analytics/tags": _list_sums("tags", _TAGS),
    "GET /analytics/requests/ID/body": Operation(
        "showBody",
        "Show what is kept of a request and its answer",
        Answer("Both, redacted.", KeptBodies),
        OBJECTS + FINDS + OPERATORS,
        detail="An admin may read all, a key its own user's, a viewer none.",
    ),
    "GET /analytics/insights": Operation(
        "showInsights",
        "Draw conclusions from the requests",
        Answer("Conclusions, the most important first.", _INSIGHTS),
        ASKED + OBJECTS + FINDS,
        query={"window": Parameter("The time up to now.", _DURATION | {"default": "7d"})},
    ),
    "GET /metrics": Operation(
        "showMetrics",
        "The figures for Prometheus",
        Answer("Prometheus' text format 0.0.4.", {"type": "string"}, media_type="text/plain"),
        OBJECTS + FINDS,
    ),
}
