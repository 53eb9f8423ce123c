"""What operators do: keys, aliases, limits, breakers, the cache."""

from proxy.aliases.model import Alias
from proxy.api.budgets import BudgetPage, ShownBudget
from proxy.api.key_bodies import BudgetBody, KeyBody, KeyView, KeyViewPage
from proxy.api.keys import _Rotation
from proxy.api.operations import CacheReport, ProviderLimit
from proxy.api.settings import SettingsReport
from proxy.limits.account_messages import AccountView
from proxy.limits.lease_messages import BucketView
from proxy.limits.pool_messages import PoolView
from proxy.privacy.body_log import Deleted
from proxy.routing.breaker import BreakerView
from tools.openapi.errors import ASKED, FINDS, OBJECTS, READS
from tools.openapi.errors import TAKEN as NAME_TAKEN
from tools.openapi.operation import (
    MAYBE,
    MOMENT,
    Answer,
    Body,
    Operation,
    Parameter,
    listing,
    number,
    text,
    thing,
)
from tools.openapi.schemas import Named, refer

_PAGE = {
    "limit": number("How many of a page.", 1, 500, 100),
    "cursor": text("`next` of the page before.", maxLength=2000),
}
_USAGE = {
    "usage": Parameter(
        "Whether the view says what each key has spent.", {"enum": ["true", "false"]}
    )
}
_PATCH = Named(
    "KeyPatch",
    {
        "type": "object",
        "additionalProperties": True,
        "description": "What POST takes but for `user`; null takes a field out (RFC 7396).",
    },
)
_ALIAS = Named("AliasView", thing("name", "updatedAt", updatedAt=MOMENT), like=Alias)
_ALIASES = Named("AliasPage", listing("aliases", _ALIAS, next=MAYBE), (_ALIAS,))
_EXAMPLE = {"name": "house", "targets": [{"model": "openai/gpt-4o"}, {"model": "groq/fast"}]}
_VIEWS = (PoolView, BucketView, AccountView)
_ALL_LIMITS = Named(
    "AllLimits",
    thing(
        "providers",
        providers={"type": "object", "additionalProperties": refer("ProviderLimit")},
    ),
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
}
_BREAKERS = Named(
    "Breakers",
    thing(
        "breakers",
        breakers={
            "type": "object",
            "additionalProperties": refer("BreakerView"),
            "description": "By `provider` and `provider/model`.",
        },
    ),
    (BreakerView,),
)
_DONE: dict[int | str, Answer] = {204: Answer(what="It is done.", headers=())}

OPERATIONS = {
    "GET /admin/keys": Operation(
        id="listKeys",
        tag="Keys",
        summary="List the keys, the oldest first",
        query=_PAGE | _USAGE,
        answers={200: Answer(what="A page of keys.", schema=KeyViewPage)},
        errors=ASKED + OBJECTS,
    ),
    "POST /admin/keys": Operation(
        id="issueKey",
        tag="Keys",
        summary="Issue a key",
        bodies=(Body(schema=KeyBody, example={"user": "ann", "budget": {"month": 40}}),),
        answers={201: Answer(what="The key, with its secret.", schema=KeyView)},
        errors=READS + OBJECTS,
    ),
    "GET /admin/keys/ID": Operation(
        id="getKey",
        tag="Keys",
        summary="Show a key",
        query=_USAGE,
        answers={200: Answer(what="The key.", schema=KeyView)},
        errors=ASKED + FINDS + OBJECTS,
    ),
    "PATCH /admin/keys/ID": Operation(
        id="changeKey",
        tag="Keys",
        summary="Change a key",
        bodies=(Body(schema=_PATCH, example={"team": "search", "note": None}),),
        answers={200: Answer(what="The key.", schema=KeyView)},
        errors=READS + FINDS + OBJECTS,
    ),
    "DELETE /admin/keys/ID": Operation(
        id="revokeKey",
        tag="Keys",
        summary="Revoke a key",
        answers=_DONE,
        errors=FINDS + OBJECTS,
    ),
    "POST /admin/keys/ID/rotate": Operation(
        id="rotateKey",
        tag="Keys",
        summary="Give a key another secret",
        bodies=(Body(schema=_Rotation, example={"overlapSeconds": 3600}, required=False),),
        answers={200: Answer(what="The key, with its new secret.", schema=KeyView)},
        errors=READS + FINDS + OBJECTS,
    ),
    "GET /admin/budgets": Operation(
        id="listBudgets",
        tag="Keys",
        summary="List the budgets of teams and tags",
        query=_PAGE,
        answers={200: Answer(what="A page of budgets.", schema=BudgetPage)},
        errors=ASKED + OBJECTS,
    ),
    "GET /admin/budgets/NAME": Operation(
        id="getBudget",
        tag="Keys",
        summary="Show the budget of a team or a tag",
        answers={200: Answer(what="The budget.", schema=ShownBudget)},
        errors=FINDS + OBJECTS,
    ),
    "PUT /admin/budgets/NAME": Operation(
        id="putBudget",
        tag="Keys",
        summary="Create or replace the budget of a team or a tag",
        bodies=(Body(schema=BudgetBody, example={"day": 20, "month": 300}),),
        answers={
            200: Answer(what="It is replaced.", schema=ShownBudget),
            201: Answer(what="It is created.", schema=ShownBudget),
        },
        errors=READS + OBJECTS,
    ),
    "DELETE /admin/budgets/NAME": Operation(
        id="deleteBudget",
        tag="Keys",
        summary="Delete the budget of a team or a tag",
        answers=_DONE,
        errors=FINDS + OBJECTS,
    ),
    "GET /admin/aliases": Operation(
        id="listAliases",
        tag="Aliases",
        summary="List the aliases, the oldest first",
        query=_PAGE,
        answers={200: Answer(what="A page of aliases.", schema=_ALIASES)},
        errors=ASKED + OBJECTS,
    ),
    "POST /admin/aliases": Operation(
        id="createAlias",
        tag="Aliases",
        summary="Create an alias",
        bodies=(Body(schema=Alias, example=_EXAMPLE),),
        answers={201: Answer(what="The alias.", schema=_ALIAS)},
        errors=READS + NAME_TAKEN + OBJECTS,
    ),
    "GET /admin/aliases/NAME": Operation(
        id="getAlias",
        tag="Aliases",
        summary="Show an alias",
        answers={200: Answer(what="The alias.", schema=_ALIAS)},
        errors=FINDS + OBJECTS,
    ),
    "PUT /admin/aliases/NAME": Operation(
        id="putAlias",
        tag="Aliases",
        summary="Create or replace an alias",
        bodies=(Body(schema=Alias, example={"targets": _EXAMPLE["targets"]}),),
        answers={
            200: Answer(what="It is replaced.", schema=_ALIAS),
            201: Answer(what="It is created.", schema=_ALIAS),
        },
        errors=READS + OBJECTS,
    ),
    "DELETE /admin/aliases/NAME": Operation(
        id="deleteAlias",
        tag="Aliases",
        summary="Delete an alias",
        answers=_DONE,
        errors=FINDS + OBJECTS,
    ),
    "GET /admin/limits": Operation(
        id="showLimits",
        tag="Operations",
        summary="Show all limits, a provider's pool, a bucket or what a key has used",
        query=_WHICH_LIMIT,
        answers={200: Answer(what="The limit.", schema=_LIMIT)},
        errors=ASKED + FINDS + OBJECTS,
    ),
    "DELETE /admin/limits": Operation(
        id="resetLimits",
        tag="Operations",
        summary="Reset a pool, a bucket or what a key has used",
        query=_WHICH_LIMIT,
        answers=_DONE,
        errors=ASKED + FINDS + OBJECTS,
    ),
    "DELETE /admin/bodies": Operation(
        id="deleteBodies",
        tag="Operations",
        summary="Delete what the body log keeps of a user",
        detail="Where `next` is no null there is more: ask again with it as `cursor`.",
        query={
            "user": Parameter(
                "Whose bodies.", {"type": "string", "minLength": 1, "maxLength": 256}, required=True
            ),
            "cursor": text("`next` of the answer before.", maxLength=80, pattern="^[0-9a-f-]*$"),
        },
        answers={200: Answer(what="How many are deleted.", schema=Deleted)},
        errors=ASKED + FINDS + OBJECTS,
    ),
    "GET /admin/breakers": Operation(
        id="showBreakers",
        tag="Operations",
        summary="Show the circuit breakers",
        answers={200: Answer(what="How each stands.", schema=_BREAKERS)},
        errors=OBJECTS,
    ),
    "DELETE /admin/breakers": Operation(
        id="resetBreakers",
        tag="Operations",
        summary="Close the circuit breakers",
        query={
            "provider": text("Those of this provider alone."),
            "model": text("That of this model of the provider alone."),
        },
        answers=_DONE,
        errors=ASKED + FINDS + OBJECTS,
    ),
    "GET /admin/cache": Operation(
        id="showCache",
        tag="Operations",
        summary="Show what this isolate keeps, and what was purged",
        answers={200: Answer(what="The cache.", schema=CacheReport)},
        errors=ASKED,
    ),
    "GET /admin/settings": Operation(
        id="showSettings",
        tag="Operations",
        summary="Show the settings in force, and where each comes from",
        answers={200: Answer(what="All settings; no secret.", schema=SettingsReport)},
        errors=ASKED,
    ),
    "DELETE /admin/cache": Operation(
        id="purgeCache",
        tag="Operations",
        summary="Purge the cache, by one of the parameters",
        query={
            "key": text("A cache key."),
            "model": text("A model."),
            "user": text("A user."),
            "all": Parameter("Everything.", {"enum": ["true"]}),
        },
        answers=_DONE,
        errors=ASKED + OBJECTS,
    ),
}
