"""What operators do: keys, aliases, limits, breakers, the cache."""

from proxy.aliases.model import Alias
from proxy.api.budgets import BudgetPage, ShownBudget
from proxy.api.key_bodies import BudgetBody, KeyBody, KeyView, KeyViewPage
from proxy.api.keys import _Rotation
from proxy.api.operations import AliasLimits, CacheReport, ProviderLimit
from proxy.api.settings import SettingsReport
from proxy.api.usage import TargetUse
from proxy.limits.account_messages import AccountView
from proxy.limits.lease_messages import BucketView
from proxy.limits.pool_messages import PoolView
from proxy.privacy.body_log import Deleted
from proxy.routing.breaker import BreakerView
from tools.openapi.errors import ASKED, CHANGED, FINDS, OBJECTS, READS
from tools.openapi.errors import TAKEN as NAME_TAKEN
from tools.openapi.headers import TAGGED
from tools.openapi.operation import Answer, Body, Operation, Parameter, listing, number, text
from tools.openapi.schemas import JSON, MAYBE, MOMENT, STRING, Named, full, refer, thing

_PAGE = {
    "limit": number("How many of a page.", 1, 500, 100),
    "cursor": text("`next` of the page before.", maxLength=2000),
}
_USAGE = {"usage": Parameter("Whether the view says what was used.", {"enum": ["true", "false"]})}
_PATCH = Named(
    "KeyPatch",
    {
        "type": "object",
        "additionalProperties": True,
        "description": "What POST takes but for `user`; null takes a field out (RFC 7396).",
    },
)
_USED: JSON = {
    "type": "object",
    "additionalProperties": refer("TargetUse"),
    "description": "With `usage=true`: by its id, each target that has a limit or a budget.",
}
_ALIAS = Named(
    "AliasView",
    thing("name", "updatedAt", "etag", updatedAt=MOMENT, etag=STRING, used=_USED),
    (TargetUse,),
    like=Alias,
)
_ALIASES = Named("AliasPage", listing("aliases", _ALIAS, next=MAYBE), (_ALIAS,))
_EXAMPLE = {"name": "house", "targets": [{"model": "openai/gpt-4o"}, {"model": "groq/fast"}]}
_VIEWS = (PoolView, BucketView, AccountView, AliasLimits)
_ALL_LIMITS = Named(
    "AllLimits",
    full(providers={"type": "object", "additionalProperties": refer("ProviderLimit")}),
    (ProviderLimit,),
)
_LIMIT = Named(
    "LimitView",
    {"anyOf": [*(refer(view.__name__) for view in _VIEWS), refer("AllLimits")]},
    (*_VIEWS, _ALL_LIMITS),
)
_WHICH_LIMIT = {
    "provider": text("The provider whose limit it is."),
    "user": text("The user whose bucket there it is."),
    "key": text("The id of the key whose bucket, or account, it is."),
    "alias": text("The alias whose targets' limits and budgets they are."),
    "target": text("The id of the one target of the alias."),
}
_BREAKERS = Named(
    "Breakers",
    full(
        breakers={
            "type": "object",
            "additionalProperties": refer("BreakerView"),
            "description": "By `provider` and `provider/model`.",
        }
    ),
    (BreakerView,),
)
_DONE: dict[int | str, Answer] = {204: Answer("It is done.", headers=())}

OPERATIONS = {
    "GET /admin/keys": Operation(
        "listKeys",
        "List the keys, the oldest first",
        Answer("A page of keys.", KeyViewPage),
        ASKED + OBJECTS,
        query=_PAGE | _USAGE,
    ),
    "POST /admin/keys": Operation(
        "issueKey",
        "Issue a key",
        {201: Answer("The key, with its secret.", KeyView)},
        READS + OBJECTS,
        bodies=(Body(KeyBody, {"user": "ann", "budget": {"month": 40}}),),
    ),
    "GET /admin/keys/ID": Operation(
        "getKey", "Show a key", Answer("The key.", KeyView), ASKED + FINDS + OBJECTS, query=_USAGE
    ),
    "PATCH /admin/keys/ID": Operation(
        "changeKey",
        "Change a key",
        Answer("The key.", KeyView),
        READS + FINDS + OBJECTS,
        bodies=(Body(_PATCH, {"team": "search", "note": None}),),
    ),
    "DELETE /admin/keys/ID": Operation("revokeKey", "Revoke a key", _DONE, FINDS + OBJECTS),
    "POST /admin/keys/ID/rotate": Operation(
        "rotateKey",
        "Give a key another secret",
        Answer("The key, with its new secret.", KeyView),
        READS + FINDS + OBJECTS,
        bodies=(Body(_Rotation, {"overlapSeconds": 3600}, required=False),),
    ),
    "GET /admin/budgets": Operation(
        "listBudgets",
        "List the budgets of teams and tags",
        Answer("A page of budgets.", BudgetPage),
        ASKED + OBJECTS,
        query=_PAGE,
    ),
    "GET /admin/budgets/NAME": Operation(
        "getBudget",
        "Show the budget of a team or a tag",
        Answer("The budget.", ShownBudget),
        FINDS + OBJECTS,
    ),
    "PUT /admin/budgets/NAME": Operation(
        "putBudget",
        "Create or replace the budget of a team or a tag",
        {200: Answer("It is replaced.", ShownBudget), 201: Answer("It is created.", ShownBudget)},
        READS + OBJECTS,
        bodies=(Body(BudgetBody, {"day": 20, "month": 300}),),
    ),
    "DELETE /admin/budgets/NAME": Operation(
        "deleteBudget", "Delete the budget of a team or a tag", _DONE, FINDS + OBJECTS
    ),
    "GET /admin/aliases": Operation(
        "listAliases",
        "List the aliases, the oldest first",
        Answer("A page of aliases.", _ALIASES),
        ASKED + OBJECTS,
        query=_PAGE | _USAGE,
    ),
    "POST /admin/aliases": Operation(
        "createAlias",
        "Create an alias",
        {201: Answer("The alias.", _ALIAS, headers=TAGGED)},
        READS + NAME_TAKEN + OBJECTS,
        bodies=(Body(Alias, _EXAMPLE),),
    ),
    "GET /admin/aliases/NAME": Operation(
        "getAlias",
        "Show an alias",
        Answer("The alias.", _ALIAS, headers=TAGGED),
        ASKED + FINDS + OBJECTS,
        query=_USAGE,
    ),
    "PUT /admin/aliases/NAME": Operation(
        "putAlias",
        "Create or replace an alias",
        {
            200: Answer("It is replaced.", _ALIAS, headers=TAGGED),
            201: Answer("It is created.", _ALIAS, headers=TAGGED),
        },
        READS + CHANGED + OBJECTS,
        bodies=(Body(Alias, {"targets": _EXAMPLE["targets"]}),),
        headers=("if-match",),
    ),
    "DELETE /admin/aliases/NAME": Operation(
        "deleteAlias",
        "Delete an alias",
        _DONE,
        FINDS + CHANGED + OBJECTS,
        headers=("if-match",),
    ),
    "GET /admin/limits": Operation(
        "showLimits",
        "Show all limits, a provider's pool, a bucket, or what a key or an alias has used",
        Answer("The limit.", _LIMIT),
        ASKED + FINDS + OBJECTS,
        query=_WHICH_LIMIT,
    ),
    "DELETE /admin/limits": Operation(
        "resetLimits",
        "Reset a pool, a bucket, or what a key or an alias has used",
        _DONE,
        ASKED + FINDS + OBJECTS,
        query=_WHICH_LIMIT,
    ),
    "DELETE /admin/bodies": Operation(
        "deleteBodies",
        "Delete what the body log keeps of a user",
        Answer("How many are deleted.", Deleted),
        ASKED + FINDS + OBJECTS,
        detail="Where `next` is no null there is more: ask again with it as `cursor`.",
        query={
            "user": Parameter(
                "Whose bodies.", {"type": "string", "minLength": 1, "maxLength": 256}, required=True
            ),
            "cursor": text("`next` of the answer before.", maxLength=80, pattern="^[0-9a-f-]*$"),
        },
    ),
    "GET /admin/breakers": Operation(
        "showBreakers", "Show the circuit breakers", Answer("How each stands.", _BREAKERS), OBJECTS
    ),
    "DELETE /admin/breakers": Operation(
        "resetBreakers",
        "Close the circuit breakers",
        _DONE,
        ASKED + FINDS + OBJECTS,
        query={
            "provider": text("Those of this provider alone."),
            "model": text("That of this model of the provider alone."),
        },
    ),
    "GET /admin/cache": Operation(
        "showCache",
        "Show what this isolate keeps, and what was purged",
        Answer("The cache.", CacheReport),
        ASKED,
    ),
    "GET /admin/settings": Operation(
        "showSettings",
        "Show the settings in force, and where each comes from",
        Answer("All settings; no secret.", SettingsReport),
        ASKED,
    ),
    "DELETE /admin/cache": Operation(
        "purgeCache",
        "Purge the cache, by one of the parameters",
        _DONE,
        ASKED + OBJECTS,
        query={
            "key": text("A cache key."),
            "model": text("A model."),
            "user": text("A user."),
            "all": Parameter("Everything.", {"enum": ["true"]}),
        },
    ),
}
