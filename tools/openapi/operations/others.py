"""Models, what is passed on as it is, and how the proxy is."""

from proxy.api.me import Caller
from proxy.api.passthrough import NAMED
from proxy.routing.deployment import ProviderReport
from tools.openapi import answers, headers
from tools.openapi.errors import FINDS, OBJECTS, READS, SERVES
from tools.openapi.operation import (
    ANY_TYPE,
    STRING,
    Answer,
    Body,
    Operation,
    Parameter,
    listing,
    thing,
)
from tools.openapi.schemas import Named, refer

_NAMED_MODEL = headers.ANTHROPIC[:1]
_HEALTH = Named(
    "Health",
    thing(
        *("status", "version", "environment"),
        status={"const": "ok"},
        version=STRING,
        environment=STRING,
    ),
)
PROVIDERS = Named("Providers", listing("providers", refer("ProviderReport")), (ProviderReport,))
_NOTHING = Named("Nothing", {"type": "object", "additionalProperties": False})
_PASSED = Answer(
    what="The provider's own answer, as it came: its status, its headers, its body.",
    schema=answers.PASSED,
    media_type=ANY_TYPE,
    headers=("x-proxy-provider", "x-proxy-model"),
)
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ROOTS = {
    "/openai": "OpenAI's API",
    "/anthropic": "Anthropic's API",
    "/genai": "Gemini's API",
    "/p/PROVIDER": "a provider's API",
}


def _name(path: str) -> str:
    """A path in the words of an operation's id."""
    words = path.replace("/", " ").replace("_", " ").split()
    return "".join(word.capitalize() for word in words)


def _pass_below(root: str, whose: str, verb: str) -> Operation:
    bodies = () if verb in ("GET", "DELETE") else (_any_body(),)
    return Operation(
        id=f"{verb.lower()}{_name(root.removesuffix('/PROVIDER'))}",
        tag="Passthrough",
        summary=f"Pass a {verb} on to {whose}",
        detail="The provider's key takes the place of the caller's; nothing else is changed.",
        bodies=bodies,
        headers=(),
        answers={"default": _PASSED},
        errors=SERVES,
    )


def _any_body() -> Body:
    return Body(schema=answers.ANYTHING, media_type=ANY_TYPE, required=False)


def _pass_named(name: str) -> Operation:
    form = Body(schema=answers.NAMED_FORM, media_type=_FORMS[0])
    return Operation(
        id=f"create{_name(name)}",
        tag="Passthrough",
        summary=f"Pass {name} on to the provider of the model that it names",
        bodies=(Body(schema=answers.NAMED_MODEL, example={"model": "openai/gpt-4o"}), form),
        answers={"default": _PASSED},
        errors=READS + SERVES,
    )


OPERATIONS = {
    "GET /v1/models": Operation(
        id="listModels",
        tag="Models",
        summary="List the models on offer",
        detail="In OpenAI's form; in Anthropic's with the header `anthropic-version`, in Codex's"
        " with `client_version`.",
        query={"client_version": Parameter("Codex sends it.", STRING)},
        headers=_NAMED_MODEL,
        answers={200: Answer(what="The models.", schema=answers.MODELS, headers=())},
    ),
    "GET /v1/models/ID": Operation(
        id="getModel",
        tag="Models",
        summary="Show a model, by any name that a request may use",
        headers=_NAMED_MODEL,
        answers={200: Answer(what="The model.", schema=answers.ONE_MODEL, headers=())},
        errors=FINDS,
    ),
    "GET /": Operation(
        id="goHome",
        tag="Health",
        summary="Go to the dashboard",
        answers={
            200: Answer(what="To HEAD: somebody is there.", schema=_NOTHING),
            302: Answer(what="It is there.", headers=("location", *headers.NO_STORE)),
        },
    ),
    "GET /api/hello": Operation(
        id="sayHello",
        tag="Health",
        summary="Whether anybody is there",
        answers={200: Answer(what="Yes.", schema=_NOTHING)},
    ),
    "GET /health": Operation(
        id="showHealth",
        tag="Health",
        summary="Whether this Worker is alive",
        answers={200: Answer(what="It is.", schema=_HEALTH)},
    ),
    "GET /health/providers": Operation(
        id="showProviders",
        tag="Health",
        summary="Each provider's state and last check",
        answers={200: Answer(what="In the order of attempts.", schema=PROVIDERS)},
        errors=OBJECTS,
    ),
    "GET /me": Operation(
        id="showCaller",
        tag="Health",
        summary="Who the caller is, and its role",
        answers={200: Answer(what="The caller.", schema=Caller)},
    ),
    **{f"POST /v1/{name}": _pass_named(name) for name in NAMED},
    **{
        f"{verb} {root}": _pass_below(root, whose, verb)
        for root, whose in _ROOTS.items()
        for verb in _VERBS
    },
}
