"""The table of paths: each with its methods, its dialect, and the callers that it admits."""

import re
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TypeAlias

from msgspec import Struct

from proxy.analytics.record.request_record import BATCH
from proxy.api import (
    absent,
    aliases,
    analytics,
    batch,
    bodies,
    budgets,
    chat,
    embeddings,
    health,
    keys,
    me,
    messages,
    models,
    operations,
    overview,
    passthrough,
    responses,
    settings,
)
from proxy.api.services import Services
from proxy.core.web import Response
from proxy.dialects import anthropic, gemini, native, openai
from proxy.dialects import responses as responses_dialect
from proxy.dialects.contract import Dialect, ErrorForm
from proxy.serving.context import RequestContext

Reaction: TypeAlias = Response | Coroutine[None, None, Response]
"""An answer, or the coroutine that gives it where it must wait."""
Handler = Callable[[Services, RequestContext], Reaction]


class Path(Struct, frozen=True):
    """A path of the interface."""

    name: str
    """As the interface names it; empty: there is nothing."""
    methods: dict[str, Handler]
    dialect: Dialect = native
    errors: ErrorForm | None = None
    """In which errors are read, if not in the dialect."""
    public: bool = False
    admin: bool = False
    """Whether it is the operators': admins may change what there is, viewers read it."""
    query_key: bool = False
    """Whether the caller's key may stand in the query, where Gemini's clients put it."""

    @property
    def is_own(self) -> bool:
        """Whether it is of the proxy's own: what viewers may read, for it costs nothing."""
        return OWN.match(self.name) is not None

    @property
    def allow(self) -> tuple[str, ...]:
        """The methods as the Allow header lists them (RFC 9110, 10.2.1); a page may try any where
        there is nothing, and read why it can't."""
        if not self.methods:
            return ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        head = ("HEAD",) if "GET" in self.methods else ()
        return (*self.methods, *head, "OPTIONS")


def _limited(handler: Handler) -> Handler:
    """Has users read no more often than limits.readings allows."""

    @wraps(handler)
    def read(services: Services, context: RequestContext) -> Reaction:
        assert context.principal  # no figures are public
        services.readings.admit(context.principal)
        return handler(services, context)

    return read


NOTHING = Path("", {}, openai)
"""Where there is nothing. In OpenAI's form, since it is its SDKs that look for other paths."""
NOTHING_OWN = Path("", {})
OWN = re.compile(r"/(?:admin|analytics|dashboard|health|me|metrics)(?:/|\Z)")
"""How the proxy's own paths begin, at which and below which its own form is read."""
ALL_PATHS: tuple[Path, ...] = (
    Path("", {"GET": health.redirect_home}, public=True),  # /, which is no traffic
    Path("/v1/generate", {"POST": chat.answer_chat}),
    Path(BATCH, {"POST": batch.run_batch}),
    Path("/v1/chat/completions", {"POST": chat.answer_chat}, openai),
    Path("/v1/messages", {"POST": chat.answer_chat}, anthropic),
    Path("/v1/messages/count_tokens", {"POST": messages.count_tokens}, anthropic),
    Path("/v1/responses", {"POST": responses.create_response}, responses_dialect),
    Path("/v1/responses/input_tokens", {"POST": responses.count_input}, responses_dialect),
    Path(
        "/v1/responses/ID",
        {"GET": responses.show_response, "DELETE": responses.delete_response},
        responses_dialect,
    ),
    Path("/v1/responses/ID/input_items", {"GET": responses.list_input}, responses_dialect),
    Path("/v1/embeddings", {"POST": embeddings.answer_embeddings}, openai),
    Path("/v1/models", {"GET": models.list_models}, openai),
    Path("/v1/models/ID", {"GET": models.show_model}, openai),
    Path("/api/hello", {"GET": health.say_hello}, public=True),
    Path("/health", {"GET": health.show_health}, public=True),
    Path("/health/providers", {"GET": _limited(health.show_providers)}),
    Path("/me", {"GET": me.show_caller}),
    Path("/analytics", {"GET": _limited(analytics.show_figures)}),
    Path("/analytics/insights", {"GET": _limited(analytics.show_insights)}),
    Path("/analytics/overview", {"GET": _limited(overview.show_overview)}),
    Path("/analytics/requests", {"GET": _limited(analytics.show_requests)}),
    Path("/analytics/requests/ID", {"GET": _limited(analytics.show_request)}),
    Path("/analytics/sessions", {"GET": _limited(analytics.list_sessions)}),
    Path("/analytics/tags", {"GET": _limited(analytics.list_tags)}),
    Path("/analytics/requests/ID/body", {"GET": _limited(bodies.show_body)}),
    Path("/metrics", {"GET": analytics.show_metrics}, admin=True),
    Path(
        "/admin/aliases",
        {"GET": aliases.list_aliases, "POST": aliases.create_alias},
        admin=True,
    ),
    Path(
        "/admin/aliases/NAME",
        {"GET": aliases.show_alias, "PUT": aliases.put_alias, "DELETE": aliases.delete_alias},
        admin=True,
    ),
    Path("/admin/bodies", {"DELETE": bodies.delete_bodies}, admin=True),
    Path(
        "/admin/breakers",
        {"GET": operations.show_breakers, "DELETE": operations.reset_breakers},
        admin=True,
    ),
    Path(
        "/admin/cache",
        {"GET": operations.show_cache, "DELETE": operations.purge_cache},
        admin=True,
    ),
    Path("/admin/keys", {"GET": keys.list_keys, "POST": keys.issue_key}, admin=True),
    Path("/admin/budgets", {"GET": budgets.list_budgets}, admin=True),
    Path(
        "/admin/budgets/NAME",
        {
            "GET": budgets.show_budget,
            "PUT": budgets.put_budget,
            "DELETE": budgets.delete_budget,
        },
        admin=True,
    ),
    Path(
        "/admin/keys/ID",
        {"GET": keys.show_key, "PATCH": keys.change_key, "DELETE": keys.revoke_key},
        admin=True,
    ),
    Path("/admin/keys/ID/rotate", {"POST": keys.rotate_key}, admin=True),
    Path(
        "/admin/limits",
        {"GET": operations.show_limits, "DELETE": operations.reset_limits},
        admin=True,
    ),
    Path("/admin/settings", {"GET": settings.show_settings}, admin=True),
)
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _pass(name: str, handler: Handler, dialect: Dialect, errors: ErrorForm | None = None) -> Path:
    methods = dict.fromkeys(_ANY, handler)
    return Path(name, methods, dialect, errors, query_key=errors is not None)


_OPENAI = _pass("/openai", passthrough.pass_below("/openai", "openai"), openai)
_ANTHROPIC = _pass("/anthropic", passthrough.pass_below("/anthropic", "anthropic"), anthropic)
_GENAI = _pass("/genai", passthrough.pass_below("/genai", "gemini"), openai, gemini)
_PROVIDER = "/p/PROVIDER"
_PASSED = (
    ("/openai/", _OPENAI),
    ("/anthropic/", _ANTHROPIC),
    ("/genai/", _GENAI),
    ("/p/anthropic/", _pass(_PROVIDER, passthrough.pass_to_provider, anthropic)),
    ("/p/gemini/", _pass(_PROVIDER, passthrough.pass_to_provider, openai, gemini)),
    ("/p/", _pass(_PROVIDER, passthrough.pass_to_provider, openai)),
)
"""By how their paths begin; the first that fits counts."""
ALL_PATHS += tuple(
    Path(f"/v1/{name}", {"POST": passthrough.pass_named}, openai) for name in passthrough.NAMED
)
PATHS = {path.name: path for path in ALL_PATHS}
PATTERNS = (
    (re.compile(r"/v1/responses/[^/]+"), PATHS["/v1/responses/ID"]),
    (re.compile(r"/v1/responses/[^/]+/input_items"), PATHS["/v1/responses/ID/input_items"]),
    (re.compile(r"/v1/messages/.*"), Path("", {}, anthropic)),
    (re.compile(r"/v1/models/.+"), PATHS["/v1/models/ID"]),
    (re.compile(r"/analytics/requests/[^/]+"), PATHS["/analytics/requests/ID"]),
    (re.compile(r"/analytics/requests/[^/]+/body"), PATHS["/analytics/requests/ID/body"]),
    (re.compile(r"/admin/aliases/[^/]+"), PATHS["/admin/aliases/NAME"]),
    (re.compile(r"/admin/budgets/[^/]+"), PATHS["/admin/budgets/NAME"]),
    (re.compile(r"/admin/keys/[^/]+"), PATHS["/admin/keys/ID"]),
    (re.compile(r"/admin/keys/[^/]+/rotate"), PATHS["/admin/keys/ID/rotate"]),
)
"""Paths that name something."""
WITHOUT_V1 = re.compile(
    r"/(?:chat/completions|embeddings|messages(?:/count_tokens)?|(?:models|responses)(?:/.+)?"
    rf"|{'|'.join(passthrough.NAMED)})"
)
"""Paths that clients of LiteLLM's proxy call without /v1; they mean the same."""


def find_path(path: str) -> Path:
    """Finds the path of a request, percent-encoded as it came."""
    full, path = path, path.rstrip("/")
    if found := PATHS.get(path):
        return found
    if found := next((passed for begin, passed in _PASSED if full.startswith(begin)), None):
        return found
    if WITHOUT_V1.fullmatch(path):
        path = f"/v1{path}"
    if absent.is_gemini(path):
        return NOTHING
    if found := PATHS.get(path) or next((p for r, p in PATTERNS if r.fullmatch(path)), None):
        return found
    return NOTHING_OWN if OWN.match(path) else NOTHING
