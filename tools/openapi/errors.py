"""The errors: for each kind of path the ones that it may answer, as the dialects render them.

What stands here are errors as the code raises them. Their statuses, their types and the examples
follow from that, by each dialect's own functions.
"""

import msgspec

from proxy.core.chat import Attempt
from proxy.core.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cause,
    InternalError,
    InvalidRequest,
    NoProviderAvailable,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    ProviderError,
    ProviderTimeout,
    ProxyError,
    RateLimitExceeded,
    Unavailable,
    UnsupportedMediaType,
)
from proxy.dialects.contract import ErrorForm
from tools.openapi.headers import EVERY, list_limits
from tools.openapi.schemas import (
    INTEGER,
    JSON,
    MAYBE,
    MOMENT,
    STRING,
    Named,
    Schemas,
    full,
    refer,
    thing,
)

Errors = tuple[ProxyError, ...]

OURS: Errors = (InternalError("The proxy made a mistake; it has been logged."),)
"""Of every path; the settings may be wrong, too."""
ADMITTED: Errors = (
    AuthenticationFailed("The key is not known here.", code="invalid_api_key"),
    RateLimitExceeded("Too many unknown keys came from this address.", retry_after=6),
    PermissionDenied("Cloudflare Access has signed in somebody who has no role here."),
    Unavailable("The keys can't be looked up now.", retry_after=1),
)
"""Where a caller must be let in."""
OPERATORS: Errors = (PermissionDenied("This needs the admin token."),)
READS: Errors = (
    InvalidRequest("temperature: Expected `float` <= 2.0", param="temperature"),
    PayloadTooLarge("The body is over 20971520 bytes."),
    UnsupportedMediaType("The body must be JSON: send `content-type: application/json`."),
    Unavailable("This isolate has too many large requests in flight.", retry_after=1),
)
"""Where a body is read."""
ASKED: Errors = (InvalidRequest("window: Must be a number of minutes, hours or days"),)
"""Where parameters are read."""
FINDS: Errors = (NotFound("There is nothing of this name."),)
TAKEN: Errors = (
    InvalidRequest("name: There is an alias 'house'.", param="name", cause=Cause(status=409)),
)
CHANGED: Errors = (
    InvalidRequest(
        "if-match: The alias 'house' is no longer as it was read.", cause=Cause(status=412)
    ),
)
LIMITED: Errors = (
    RateLimitExceeded("requests_per_minute is used up.", cause=Cause(limit="requests_per_minute")),
)
OBJECTS: Errors = (Unavailable("It can't be reached now. Try again.", retry_after=1),)
"""Where a Durable Object answers."""
_FAILED = (
    Attempt(
        provider="openai", model="gpt-4o", outcome="unavailable", ms=12, status=529, blame="model"
    ),
)
SERVES: Errors = (
    *LIMITED,
    *OBJECTS,
    InvalidRequest("messages: The provider refuses it.", cause=Cause(source="provider")),
    InvalidRequest("The provider refuses it.", cause=Cause(source="provider", status=422)),
    BudgetExceeded("budget_day is used up.", cause=Cause(limit="budget_day")),
    PermissionDenied("This key may not use this model."),
    NotFound("The model 'nope' is not known.", param="model", code="model_not_found"),
    PayloadTooLarge("The provider takes no more.", cause=Cause(source="provider")),
    ProviderError("All attempts failed.", cause=Cause(source="provider")),
    ProviderError("All attempts failed.", cause=Cause(source="provider", attempts=_FAILED)),
    NoProviderAvailable("No configured provider can do this."),
    ProviderTimeout("The last attempt ran out of time.", cause=Cause(source="provider")),
)
"""Where a model answers."""


def _list_types(kind: type[ProxyError]) -> set[str]:
    return {kind.type}.union(*map(_list_types, kind.__subclasses__()))


TYPES = sorted(_list_types(ProxyError))
_SOURCE: JSON = {"enum": ["proxy", "provider"]}
_ATTEMPTS: JSON = {"type": "array", "items": refer("Attempt")}


_NATIVE = full(
    success={"const": False},
    error=thing(
        *("type", "message", "code", "source"),
        type={"enum": TYPES},
        message=STRING,
        code={"type": "integer", "description": "The HTTP status."},
        source=_SOURCE,
        param={"type": "string", "description": "The path of the wrong field."},
        limit={"type": "string", "description": "The proxy's own limit that refused."},
        retryAfter={"type": "integer", "minimum": 0, "description": "Seconds."},
    ),
    metadata=thing(
        *("requestId", "timestamp"), requestId=STRING, timestamp=MOMENT, attempts=_ATTEMPTS
    ),
)
_OPENAI = full(
    error=thing(
        "message",
        message=STRING,
        type=MAYBE,
        param=MAYBE,
        code={"type": ["string", "integer", "null"]},
        error_type={"enum": TYPES},
        source=_SOURCE,
        request_id=STRING,
        limit=STRING,
        attempts=_ATTEMPTS,
    )
)
_ANTHROPIC = thing(
    *("type", "error"),
    type={"const": "error"},
    error=thing(
        *("type", "message"),
        type=STRING,
        message=STRING,
        details=thing(
            error_code=STRING, source=_SOURCE, param=STRING, limit=STRING, attempts=_ATTEMPTS
        ),
    ),
    request_id=MAYBE,
)
_GEMINI = full(
    error=thing(
        *("code", "message", "status"),
        code=INTEGER,
        message=STRING,
        status=STRING,
        details={"type": "array", "items": {"type": "object"}},
    )
)
FORMS = {
    "native": Named("NativeError", _NATIVE, (Attempt,)),
    "openai": Named("OpenAIError", _OPENAI, (Attempt,)),
    "responses": Named("ResponsesError", _OPENAI, (Attempt,)),
    "messages": Named("MessagesError", _ANTHROPIC, (Attempt,)),
    "gemini": Named("GeminiError", _GEMINI),
}
"""By the name of a dialect."""
_ID, _MOMENT = "req_7f4412cca881aef8c067dfdc", 1_768_472_000.0


class Refusals:
    """The responses of errors that operations have referred to so far."""

    def __init__(self, schemas: Schemas) -> None:
        self.components: JSON = {}
        self._schemas = schemas

    def add(self, form: ErrorForm, errors: Errors) -> JSON:
        """References to the responses of errors in a dialect, by status."""
        return {f"{form.status(error)}": self._add(form, error) for error in errors}

    def _add(self, form: ErrorForm, error: ProxyError) -> JSON:
        named, status = FORMS[form.NAME], form.status(error)
        name = f"{named.name}{status}"
        meaning = " ".join((type(error).__doc__ or "").split())
        found = self.components.setdefault(name, self._begin(form, named, status))
        if meaning not in found["description"]:
            found["description"] = f"{found['description']} {meaning}".strip()
        example = {"value": msgspec.json.decode(form.error(error, _ID, _MOMENT))}
        content = found["content"]["application/json"]
        content["examples"].setdefault(error.type, example)
        return {"$ref": f"#/components/responses/{name}"}

    def _begin(self, form: ErrorForm, named: Named, status: int) -> JSON:
        headers = [*EVERY, "retry-after", *list_limits(form.LIMIT_HEADERS)]
        headers += [*form.headers(_ID, InvalidRequest(""))]
        if status == 401:
            headers.append("www-authenticate")
        content = {"schema": self._schemas.add(named), "examples": {}}
        return {
            "description": "",
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
            "content": {"application/json": content},
        }
