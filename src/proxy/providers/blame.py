"""Who caused a refusal, and whose quota is used up.

Providers repeat in their messages what a caller wrote: a name of a model, a tool, a field, a part
of a prompt. No such text decides against a provider or a model here. Only these are believed: the
codes and types of an error, and the words with which its message begins, up to the first mark
behind which names stand. Where they say nothing, or the message speaks of something that the
request holds, the refusal is the caller's.
"""

import re

from msgspec import Struct

from proxy.core.chat import Blame
from proxy.core.errors import BLAMED, FaultKind, Quota
from proxy.providers.error_body import ErrorBody
from proxy.providers.target import Target

_NAME = "\0"
"""Stands for the model's own name, which a caller may have chosen."""
_ECHO = re.compile(r"[\"`\u201c\u2018\u00ab<\[{(\n]|(?<!\w)'|'(?!\w)|:(?=\s|$)")
"""From which character on a message may repeat what a caller wrote."""
_MODEL_CODE = re.compile(r"\bmodel_|\binvalid_model\b|deployment_?not_?found", re.IGNORECASE)
_MODEL = re.compile(rf"\bmodels?\b(?!\.\w)|(\b(access to|use|for) |^){_NAME}", re.IGNORECASE)
_MODEL_FIRST = re.compile(
    r"((the|this|that|an?|no|such|invalid|unknown|unsupported|requested|provided|specified"
    rf"|supported|api) ){{0,5}}(models?\b|{_NAME})",
    re.IGNORECASE,
)
_NO_ACCESS = re.compile(
    r"project [\"'`]?[\w-]{1,100}[\"'`]? does not have access to (the )?model\b", re.IGNORECASE
)
_KEY_CODE = re.compile(
    r"\bapi_key_|(invalid|expired)_api_key|authentication_error"
    r"|unsupported_country|consumer_(invalid|suspended)|service_disabled|billing_disabled",
    re.IGNORECASE,
)
_KEY_SENTENCE = re.compile(
    r"((((the|your|this) )?(provided )?api[ -]?key( provided)?( is| has)?( been)?"
    r" (not valid|invalid|expired|revoked|missing|not found))"
    r"|((invalid|incorrect|expired|wrong|missing|no)( or (missing|invalid|expired))?"
    r" (api[ -]?key|credentials|access token)( provided| supplied)?)"
    r"|(your credit balance is too low( to access the [\w ]{1,40})?)"
    r"|(you have reached your (specified )?(workspace )?api usage limits)"
    r"|(this organization has been disabled)"
    # The place that the proxy calls from, not the caller's: nothing the caller could mend.
    r"|(((the|your|user) )?(country|location|region)(,? (or )?(country|region|territory)){0,3}"
    r"( is)? not supported( for (the )?api use( without a billing account linked)?)?)"
    r"|(([\w']{1,20} ){0,8}(available|supported|allowed) in your"
    r" (country|location|region|territory)))(?=[.,;]|$)",
    re.IGNORECASE,
)
"""Whole sentences, so that no name at a message's beginning is taken for one."""
_CREDENTIALS = re.compile(
    r"api.?key|credential|authenti|authori[sz]|unregistered|permission|\bscopes?\b"
    r"|(access|auth|bearer|api|security) token|\btoken (is|was|has)\b"
    r"|billing|credits?\b|balance|payment|quota|limit exceeded"
    r"|\baccount|organi[sz]ation|\bproject\b|suspended|deactivated",
    re.IGNORECASE,
)
"""Words of a 403 for a key or an account that may not do what any request needs."""
_THINGS = re.compile(
    r"\b(files?(?! not found)|cached ?contents?|images?|urls?|documents?|videos?|audio|resource"
    r"|responses?|conversations?|items?|tools?|functions?|prompts?|inputs?|messages?|parameters?"
    r"|arguments?|fields?|schema|voice|vector stores?|assistants?|threads?|containers?"
    r"|(web|file) ?search|code (execution|interpreter)|computer use|features?|betas?|skills?)\b",
    re.IGNORECASE,
)
"""Words for what a request holds or refers to: that it is missing or forbidden says nothing of the
rest."""
_TOO_DEAR = re.compile(
    r"fewer max_tokens|can only afford|tokens limit exceeded: \d{1,15} > \d", re.IGNORECASE
)
"""Words of a 402 that a smaller request would not meet."""
_REQUESTS = frozenset({409, 411, 414, 415, 417, 428, 431})
"""Other statuses that speak of the request."""
_TOO_LARGE = re.compile(r"request too large\b", re.IGNORECASE)
_OVERSIZED = re.compile(
    r"\blimit:? ([\d,]{1,15})\b.{0,40}\brequested:? ([\d,]{1,15})", re.IGNORECASE
)
"""How OpenAI and Groq say how large a request is; where it exceeds the limit by itself, no waiting
helps."""
_EXHAUSTED_CODE = re.compile(r"\binsufficient_quota\b|^(3036|4006)\b", re.IGNORECASE)
_EXHAUSTED = re.compile(r"you have used up your daily (free )?allocation", re.IGNORECASE)
_FREE_MODELS = re.compile(r"(rate limit exceeded: )?free-models-per-", re.IGNORECASE)
_MODELS_RATE = re.compile(r"\bmodel\b|\btokens per min", re.IGNORECASE)
_ACCOUNTS = re.compile(
    r"\b(your|this|the) (account|organi[sz]ation|workspace|team|project|(api.?)?key|user)\b"
    r"|\b(account|organi[sz]ation|workspace|key)(-| )(wide|level|rate.limit|limit|quota)"
    r"|\ball models\b|\blog in or use\b",
    re.IGNORECASE,
)


class Words(Struct, frozen=True):
    """The words of an error, sorted by whether a caller can have written them."""

    error: ErrorBody
    """Its code and type are the provider's own. All of its message may hold anything, and decides
    only against the caller."""
    opening: str
    """The provider's own words with which the message begins, the model's name as _NAME."""

    @classmethod
    def of(cls, target: Target, error: ErrorBody) -> "Words":
        """Those of an error that a request for `target` met."""
        return cls(error, _cut_opening(target.model.wire_id, error.message))

    @property
    def codes(self) -> str:
        """The code and the type."""
        return f"{self.error.code or ''} {self.error.type or ''}"

    @property
    def names_model(self) -> bool:
        """Whether a code or the field at fault is about the model."""
        return self.error.param == "model" or _MODEL_CODE.search(self.codes) is not None

    @property
    def speaks_of_model(self) -> bool:
        """Whether the refusal is about the model."""
        found = _MODEL.search(self.opening) or _NO_ACCESS.match(self.error.message)
        return self.names_model or found is not None

    @property
    def refuses_key(self) -> bool:
        """Whether an error of any status is about the proxy's key, or where it calls from."""
        said = not self.refers and _KEY_SENTENCE.match(self.opening)
        return bool(said or _KEY_CODE.search(self.codes))

    @property
    def refers(self) -> bool:
        """Whether the refusal is about something that the request holds or refers to."""
        names_field = bool(self.error.param) or _THINGS.search(self.error.message) is not None
        return names_field and not self.names_model


def assign_blame(target: Target, words: Words, status: int, kind: FaultKind) -> Blame:
    """Who caused a refusal of that status, read as that kind."""
    blame = _find_culprit(target, words, status, kind)
    if blame == "provider" and words.error.relayed:
        blame = "model"
    return "caller" if blame == "model" and target.vendors_chosen else blame


def _find_culprit(target: Target, words: Words, status: int, kind: FaultKind) -> Blame:
    models: Blame = "model" if target.listed and not words.refers else "caller"
    if kind == "not_found":
        first = words.names_model or _MODEL_FIRST.match(words.opening)
        return models if first or status == 404 else "caller"
    if kind == "unauthorized" and status in (400, 403):
        if words.speaks_of_model:
            return models
        worded = _CREDENTIALS.search(f"{words.error.type or ''} {words.opening}")
        known = words.refuses_key or (worded and not words.refers)
        return "provider" if known else "caller"
    if (status == 402 and _TOO_DEAR.search(words.error.message)) or status in _REQUESTS:
        return "caller"
    if status == 424 and words.refers:  # a server of the caller's own, of which a tool is
        return "caller"
    return BLAMED[kind]


def is_oversized(words: Words) -> bool:
    """Whether a 429 says that the request alone exceeds the limit that refused it."""
    if _TOO_LARGE.match(words.opening):
        return True
    sizes = _OVERSIZED.search(words.error.message)
    limit, requested = (
        (int(size.replace(",", "") or 0) for size in sizes.groups()) if sizes else (0, 0)
    )
    return requested > limit


def find_quota(words: Words) -> Quota:
    """Whose quota a 429 says is used up: the model's where it doesn't say. Most name the
    organization and mean its quota of one model; token rates are a model's everywhere."""
    if quotas := words.error.quotas:
        return "model" if all("PerModel" in name for name in quotas) else "account"
    if words.error.relayed:
        return "model"
    if _EXHAUSTED_CODE.search(words.codes) or _EXHAUSTED.match(words.opening):
        return "exhausted"
    if _FREE_MODELS.match(words.error.message):
        return "free_models"
    if _NAME in words.opening or _MODELS_RATE.search(words.error.message):
        return "model"
    named = _ACCOUNTS.search(words.opening) and not words.refers
    return "account" if named else "model"


def _cut_opening(name: str, message: str) -> str:
    """The words with which a message begins, before any that a caller may have written."""
    message = message.replace(_NAME, " ").removeprefix("Error: ")
    if re.search(r"\w", name):
        spelled = rf"(?<![\w/.-])(models/)?{re.escape(name)}(?![\w/-])"
        message = re.sub(spelled, _NAME, message, flags=re.IGNORECASE)
    echo = _ECHO.search(message)
    return message[: echo.start()] if echo else message
