"""Models, what is passed on as it is, and how the proxy is."""

from proxy.api.me import Caller
from proxy.api.passthrough import NAMED
from proxy.routing.deployment import ProviderReport
from tools.openapi import answers, headers
from tools.openapi.errors import FINDS, OBJECTS, READS, SERVES
from tools.openapi.operation import ANY_TYPE, Answer, Body, Operation, Parameter, listing
from tools.openapi.schemas import STRING, Named, full, refer

_NAMED_MODEL = headers.ANTHROPIC[:1]
_HEALTH = Named("Health", full(status={"const": "ok"}, version=STRING, environment=STRING))
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
    anything = Body(answers.ANYTHING, media_type=ANY_TYPE, required=False)
    return Operation(
        f"{verb.lower()}{_name(root.removesuffix('/PROVIDER'))}",
        f"Pass a {verb} on to {whose}",
        {"default": _PASSED},
        SERVES,
        detail="The provider's key takes the place of the caller's; nothing else is changed.",
        bodies=() if verb in ("GET", "DELETE") else (anything,),
    )


def _pass_named(name: str) -> Operation:
    form = Body(schema=answers.NAMED_FORM, media_type=_FORMS[0])
    return Operation(
        f"create{_name(name)}",
        f"Pass {name} on to the provider of the model that it names",
        {"default": _PASSED},
        READS + SERVES,
        bodies=(Body(answers.NAMED_MODEL, {"model": "openai/gpt-4o"}), form),
    )


OPERATIONS = {
    "GET /v1/models": Operation(
        "listModels",
        "List the models on offer",
        Answer("The models.", answers.MODELS, headers=()),
        detail="In OpenAI's form; in Anthropic's with the header `anthropic-version`, in Codex's"
        " with `client_version`.",
        query={"client_version": Parameter("Codex sends it.", STRING)},
        headers=_NAMED_MODEL,
    ),
    "GET /v1/models/ID": Operation(
        "getModel",
        "Show a model, by any name that a request may use",
        Answer("The model.", answers.ONE_MODEL, headers=()),
        FINDS,
        headers=_NAMED_MODEL,
    ),
    "GET /": Operation(
        "goHome",
        "Go to the dashboard",
        {
            200: Answer("To HEAD: somebody is there.", _NOTHING),
            302: Answer("It is there.", headers=("location", *headers.NO_STORE)),
        },
    ),
    "GET /api/hello": Operation("sayHello", "Whether anybody is there", Answer("Yes.", _NOTHING)),
    "GET /health": Operation(
        "showHealth", "Whether this Worker is alive", Answer("It is.", _HEALTH)
    ),
    "GET /health/providers": Operation(
        "showProviders",
        "Each provider's state and last check",
        Answer("In the order of attempts.", PROVIDERS),
        OBJECTS,
    ),
    "GET /me": Operation(
        "showCaller", "Who the caller is, and its role", Answer("The caller.", Caller)
    ),
    **{f"POST /v1/{name}": _pass_named(name) for name in NAMED},
    **{
        f"{verb} {root}": _pass_below(root, whose, verb)
        for root, whose in _ROOTS.items()
        for verb in _VERBS
    },
}
