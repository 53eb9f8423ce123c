"""The document itself, from the table of paths and what is said of each operation."""

import re
from collections.abc import Iterable

from proxy import __version__
from proxy.api.routes import _PASSED, ALL_PATHS, Path
from tools.openapi.errors import ADMITTED, FORMS, OPERATORS, OURS, Refusals
from tools.openapi.headers import ANSWERED, EVERY, SENT, list_limits
from tools.openapi.names import NAMES, REFINED
from tools.openapi.operation import CSV_TYPE, EVENTS_TYPE, JSON_TYPE, Answer, Operation, Parameter
from tools.openapi.operations import OPERATIONS
from tools.openapi.schemas import JSON, Schemas

SECURITY: dict[str, JSON] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "xApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
    "googleApiKey": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
}
_IN_QUERY = {"queryKey": {"type": "apiKey", "in": "query", "name": "key"}}
TAGS = {
    "Native": "The proxy's own dialect.",
    "OpenAI": "Chat completions and embeddings, for OpenAI's SDKs.",
    "Anthropic": "Messages, for Claude Code and Anthropic's SDKs.",
    "Responses": "Responses, for Codex and OpenAI's SDKs.",
    "Models": "The models on offer.",
    "Passthrough": "Requests that go on to a provider as they are.",
    "Analytics": "Figures, the request log, insights and metrics.",
    "Keys": "Callers' keys.",
    "Aliases": "Names of an operator's own for models.",
    "Operations": "Limits, breakers and the cache.",
    "Health": "How the proxy and its providers are.",
}
_TAGGED = (
    ("Native", ("/v1/generate", "/v1/batch")),
    ("OpenAI", ("/v1/chat/", "/v1/embeddings")),
    ("Anthropic", ("/v1/messages",)),
    ("Responses", ("/v1/responses",)),
    ("Models", ("/v1/models",)),
    ("Analytics", ("/analytics", "/metrics")),
    ("Keys", ("/admin/keys", "/admin/budgets")),
    ("Aliases", ("/admin/aliases",)),
    ("Operations", ("/admin/",)),
    ("Health", ("/api/hello", "/health", "/me")),
    ("Passthrough", ("/p/", "/openai", "/anthropic", "/genai", "/v1/")),
)
"""The tag of a path by how its name begins: the first that fits."""
ABOUT = (
    "An AI proxy that its users own. Every path with GET accepts HEAD, and every path accepts"
    " OPTIONS; any other method is a 405 with `Allow`, and any other path a 404, in the form of the"
    " nearest dialect. The paths below `/v1` are there without `/v1` too. A deployment without keys"
    " in development needs none. A slash at the end makes no difference."
)
EVENT: JSON = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
}
"""Of one event of a stream."""
PUBLIC = "Needs no key."
_ENDS: dict[str, Parameter] = {
    "id": Parameter("The id.", {"type": "string", "minLength": 1}),
    "name": Parameter("The name.", {"type": "string", "minLength": 1}),
    "provider": Parameter("A provider's name.", {"type": "string", "minLength": 1}),
    "path": Parameter(
        "The path at the provider; it may have slashes.", {"type": "string", "minLength": 1}
    ),
}
_VARIABLE = re.compile(r"\b(ID|NAME|PROVIDER)\b")


def list_paths() -> dict[str, Path]:
    """The paths by their names; of the roots that are passed on the last stands for all."""
    passed = {path.name: path for _, path in _PASSED}
    return {path.name or "/": path for path in ALL_PATHS} | passed


def template(path: Path) -> str:
    """The name of a path as OpenAPI writes it."""
    name = _VARIABLE.sub(lambda found: f"{{{found[0].lower()}}}", path.name or "/")
    return f"{name}/{{path}}" if path in [passed for _, passed in _PASSED] else name


def build() -> JSON:
    """The document. Raises ValueError for a method of a path of which nothing is said, and for what
    is said of none."""
    paths = list_paths()
    routes = {f"{method} {name}" for name, path in paths.items() for method in path.methods}
    if wrong := routes ^ OPERATIONS.keys():
        raise ValueError(f"Describe in tools/openapi/operations/, or take out: {sorted(wrong)}")
    return _Builder().build(paths)


class _Builder:
    def __init__(self) -> None:
        self._schemas = Schemas(NAMES, REFINED)
        self._refusals = Refusals(self._schemas)

    def build(self, paths: dict[str, Path]) -> JSON:
        items = {template(path): self._path(name, path) for name, path in paths.items()}
        return {
            "openapi": "3.1.0",
            "info": {"title": "AI edge proxy", "version": __version__, "description": ABOUT},
            "servers": [{"url": "/"}],
            "security": [{name: []} for name in SECURITY],
            "tags": [{"name": name, "description": what} for name, what in TAGS.items()],
            "paths": items,
            "components": {
                "schemas": dict(sorted(self._schemas.components.items())),
                "responses": dict(sorted(self._refusals.components.items())),
                "headers": {
                    name: {"description": what, "schema": schema}
                    for name, (what, schema) in ANSWERED.items()
                },
                "parameters": {
                    name: {"name": name, "in": "header", "description": what}
                    | _hold(schema, self._schemas)
                    for name, (what, schema) in SENT.items()
                },
                "securitySchemes": SECURITY | _IN_QUERY,
            },
        }

    def _path(self, name: str, path: Path) -> JSON:
        ends = re.findall(r"{(\w+)}", template(path))
        item: JSON = {"parameters": [_render(end, "path", _ENDS[end]) for end in ends]}
        for method in path.methods:
            item[method.lower()] = self._operation(path, method, OPERATIONS[f"{method} {name}"])
        return item if ends else {k: v for k, v in item.items() if k != "parameters"}

    def _operation(self, path: Path, method: str, said: Operation) -> JSON:
        operation: JSON = {
            "operationId": said.id,
            "tags": [_choose_tag(path.name)],
            "summary": said.summary,
            "description": " ".join(filter(None, (said.detail, _name_admitted(path, method)))),
            "parameters": [
                *(_render(name, "query", each) for name, each in said.query.items()),
                *({"$ref": f"#/components/parameters/{name}"} for name in said.read_headers),
            ],
        }
        if path.public:
            operation["security"] = []
        elif path.query_key:
            operation["security"] = [{name: []} for name in SECURITY | _IN_QUERY]
        if said.bodies:
            content: JSON = {}
            for body in said.bodies:
                content[body.media_type] = {"schema": self._schemas.add(body.schema)}
                if body.example is not None:
                    content[body.media_type]["example"] = body.example
            required = any(body.required for body in said.bodies)
            operation["requestBody"] = {"content": content, "required": required}
        operation["responses"] = self._responses(path, method, said)
        return operation

    def _responses(self, path: Path, method: str, said: Operation) -> JSON:
        """The answers by status. Where a provider may answer anything, the proxy's own errors are
        no more than one form of that."""
        errors = said.errors + OURS
        if not path.public:
            errors += ADMITTED
        if _name_admitted(path, method) not in (PUBLIC, ""):
            errors += OPERATORS
        form = path.errors or path.dialect
        limits = () if path.public else list_limits(form.LIMIT_HEADERS)
        own = tuple(form.headers("", None))
        answers = {
            f"{status}": self._answer(answer, EVERY + own + limits)
            for status, answer in said.answers_by_status.items()
        }
        refusals = self._refusals.add(form, errors)
        if anything := answers.get("default"):
            forms = [self._schemas.add(FORMS[form.NAME]), {}]
            anything["content"]["application/json"] = {"schema": {"anyOf": forms}}
            anything["description"] += f" The proxy's own errors: {', '.join(sorted(refusals))}."
            return answers
        return dict(sorted((refusals | answers).items()))

    def _answer(self, answer: Answer, headers: Iterable[str]) -> JSON:
        names = dict.fromkeys((*headers, *answer.headers))
        response: JSON = {
            "description": answer.what,
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        }
        if answer.schema is not None:
            response["content"] = {answer.media_type: {"schema": self._schemas.add(answer.schema)}}
        if answer.events:
            response["content"][EVENTS_TYPE] = {"schema": EVENT | {"description": answer.events}}
        if answer.csv:
            csv = {"type": "string", "description": answer.csv}
            response["content"][CSV_TYPE] = {"schema": csv}
        return response


def _choose_tag(name: str) -> str:
    if not name:  # the root
        return "Health"
    for tag, begins in _TAGGED:
        if name.startswith(begins):
            return tag
    raise ValueError(f"No tag in tools/openapi/document.py fits {name}")


def _hold(schema: JSON, schemas: Schemas) -> JSON:
    """What a header holds: a value, or JSON of a type."""
    if kind := schema.get("json"):
        return {"content": {JSON_TYPE: {"schema": schemas.render(kind)}}}
    return {"schema": schema}


def _name_admitted(path: Path, method: str) -> str:
    """Which callers a method of a path admits; empty: all that the proxy knows."""
    if path.public:
        return PUBLIC
    if path.admin:
        return "For admins and viewers." if method == "GET" else "For admins."
    return "" if path.is_own and method == "GET" else "For users and admins."


def _render(name: str, place: str, parameter: Parameter) -> JSON:
    return {
        "name": name,
        "in": place,
        "required": parameter.required or place == "path",
        "description": parameter.what,
        "schema": parameter.schema,
    }
