"""The catalogue of providers and models (catalog.json): what is there, what it can do, what it
costs, and which model a name means. A user edits the data file; nothing here names a model.
"""

import json
import pkgutil
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from proxy.core.chat import TIERS, Cost, Usage

Dialect = Literal["openai", "gemini", "workers-ai"]
Ability = Literal["vision", "tools", "json", "reasoning"]
"""`json` means an answer that keeps to a JSON schema, not just any JSON."""
Price = Annotated[float, Meta(ge=0)]
Tokens = Annotated[int, Meta(gt=0)]
_SNAPSHOT = re.compile(
    r"-(?:20\d\d-[01]\d-[0-3]\d|20\d\d[01]\d[0-3]\d|0\d\d"
    r"|(?:preview|exp)-[01]\d-(?:[0-3]\d|20\d\d))$"
)
"""The end of a name that says which snapshot of a model it is: -2024-08-06, -20250929, and at
Google -001, -preview-05-20, -preview-09-2025. A bare month and day (-0528) is none: some of those
are models of their own, at another price."""


class ProviderSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a provider is spoken to, and its model for each tier."""

    name: str = ""
    dialect: Dialect
    base_url: str | None = None
    keyless: bool = False
    """Whether it is called without a key (a local server, a binding)."""
    headers: dict[str, str] = {}
    """Sent with every request, beside the key."""
    rename: dict[str, str] = {}
    """Fields that it calls by another name, e.g. {"max_tokens": "max_completion_tokens"}."""
    drop: tuple[str, ...] = ()
    """Fields that it refuses: left out and told to the caller."""
    defaults: dict[str, Any] = {}
    """What it takes for a field that is left out, where that is certain: saying it and
    leaving it out is one and the same request."""
    unknown_fields: bool = True
    """Whether a caller's fields that the proxy does not know are sent on to it."""
    roles: dict[str, str] = {}
    """Roles that it does not know and what they become, e.g. {"developer": "system"}."""
    stream_usage: bool = True
    """Whether it takes `stream_options.include_usage`."""
    fetches_images: bool = True
    """Whether it takes images by URL; for others the proxy fetches them."""
    tool_id_limit: int | None = None
    """The longest tool call id that it takes; longer ones are replaced, consistently."""
    message_drop: tuple[str, ...] = ()
    """Fields of a message, or of its tool calls, that it refuses: left out, where another
    provider's answer has come back in the history."""
    text_parts: bool = True
    """Whether it takes a message's texts as a list of parts; where not, they become one text."""
    tool_turn: dict[str, str] = {}
    """Fields that it wants on an assistant message with tool calls, and what to put where
    the message has none, e.g. {"reasoning_content": ""}."""
    json_schema: bool = True
    """Whether it takes a response_format of type json_schema; where not, json_object is
    sent and the schema goes into a system message."""
    efforts: dict[str, str] = {}
    """Values of reasoning_effort that it refuses and what they become, e.g.
    {"minimal": "low"}."""
    custom_tools: bool = False
    """Whether it has OpenAI's tools of type `custom`; requests with one go to no other provider."""
    probe_path: str = "/models"
    """What a health check asks for, under the base URL: it must need the key."""
    tiers: dict[str, str] = {}
    """Its model for each tier; a tier that is missing here is not offered."""
    embedding_model: str | None = None
    """The model for embeddings when none is named."""
    vendors: bool = False
    """Whether it resells other vendors' models and takes OpenRouter's `provider` object, which
    chooses among them."""
    embedding_inputs: Annotated[int, Meta(gt=0)] | None = None
    """How many inputs it embeds at once; more are sent in parts. None: all that a caller may."""


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model at a provider. Prices in US dollars per million tokens, None where unknown."""

    provider: str
    id: str
    mode: Literal["chat", "embedding"] = "chat"
    input: Price | None = None
    output: Price | None = None
    cached: Price | None = None
    """Input tokens read from the provider's prompt cache; None: as `input`."""
    cache_write: Price | None = None
    """Input tokens written to the provider's prompt cache; None: as `input`."""
    context: Tokens | None = None
    max_output: Tokens | None = None
    can: frozenset[Ability] | None = None
    """None: not known, so nothing is ruled out."""
    streams: bool = True
    """Whether it can stream its answer."""
    upstream: str | None = None
    """What the provider calls it, where `id` is not that (one of its models, in one mode)."""
    send: dict[str, Any] = {}
    """Fields of the body that it is sent where the caller does not give them."""
    with_tools: dict[str, Any] = {}
    """Fields that a request with tools must have there, whatever the caller says of them."""
    rename: dict[str, str] = {}
    drop: tuple[str, ...] = ()
    message_drop: tuple[str, ...] = ()
    efforts: dict[str, str] = {}
    json_schema: bool | None = None
    """None: as its provider."""

    @property
    def wire_id(self) -> str:
        """What the provider calls it."""
        return self.upstream or self.id

    def cost(self, usage: Usage | None) -> Cost:
        """What `usage` costs: the provider's own word where it gave one, else by the price.

        Cached and cache-writing tokens are part of the input tokens, reasoning tokens part
        of the output tokens: none is counted twice, and where a provider tells more of a part
        than of the whole, the whole counts. Whole nano-dollars, rounded half up.
        """
        if usage is None:
            return Cost(None)
        if usage.cost is not None:
            return Cost(usage.cost, "provider")
        if self.input is None or (self.output is None and usage.output):
            return Cost(None)
        cached = min(usage.cached or 0, usage.input)
        written = min(usage.cache_write or 0, usage.input - cached)
        pico = (
            (usage.input - cached - written) * _pico(self.input)
            + cached * _pico(self.input if self.cached is None else self.cached)
            + written * _pico(self.input if self.cache_write is None else self.cache_write)
            + usage.output * _pico(self.output or 0)
        )
        return Cost((pico + 500) // 1000, "computed")

    @property
    def is_priced(self) -> bool:
        """Whether the cost of any usage is known."""
        return self.input is not None and (self.output is not None or self.mode == "embedding")

    def most(self, usage: Usage) -> int:
        """The most that `usage` may cost by the price list, in nano-dollars: all of the input
        at the highest of its prices. For a model that is priced."""
        dearest = max(self.input or 0, self.cached or 0, self.cache_write or 0)
        pico = usage.input * _pico(dearest) + usage.output * _pico(self.output or 0)
        return -(-pico // 1000)


def _pico(dollars_per_million: float) -> int:
    """A price as whole pico-dollars a token, so that sums are exact."""
    return round(dollars_per_million * 1_000_000)


class _Outline(Struct, frozen=True, forbid_unknown_fields=True, rename={"about": "$about"}):
    """The file with its entries unread, to tell what is wrong with each of them."""

    providers: dict[str, Any]
    models: tuple[Any, ...]
    aliases: dict[str, str]
    about: Any = None


class _File(_Outline, frozen=True):
    providers: dict[str, ProviderSpec]
    models: tuple[Model, ...]


class Catalog:
    """The catalogue, indexed. Immutable once built."""

    def __init__(self, data: bytes) -> None:
        """Raises ValueError for a wrong file; the message lists each fault and its place."""
        try:
            file = msgspec.json.decode(data, type=_File)
        except (msgspec.MsgspecError, UnicodeError) as error:
            faults = _faults(data) or [str(error)]
            raise ValueError("catalog.json: " + "; ".join(faults)) from error
        self.providers = {
            name: msgspec.structs.replace(spec, name=name) for name, spec in file.providers.items()
        }
        self.models = {(model.provider, model.id): model for model in file.models}
        self.aliases = file.aliases
        self._by_id: dict[str, list[Model]] = {}
        for model in file.models:
            self._by_id.setdefault(model.id, []).append(model)
        wrong = self._strangers() + self._misplaced() + self._misleading()
        if wrong:
            raise ValueError("catalog.json: " + "; ".join(wrong))

    @classmethod
    def load(cls) -> "Catalog":
        """The catalogue that is deployed with the Worker."""
        data = pkgutil.get_data(__package__, "catalog.json")  # also out of a zip
        assert data is not None
        return cls(data)

    def _strangers(self) -> list[str]:
        """Models of no provider, and models that stand twice."""
        wrong = [
            f"model {id_}: there is no provider {provider}"
            for provider, id_ in self.models
            if provider not in self.providers
        ]
        for id_, models in self._by_id.items():
            of = [model.provider for model in models]
            wrong += [
                f"model {id_} of {name} stands {of.count(name)} times"
                for name in dict.fromkeys(of)
                if of.count(name) > 1
            ]
        return wrong

    def _misplaced(self) -> list[str]:
        """What the providers name that is not there or can't do what it is named for."""
        wrong: list[str] = []
        for name, spec in self.providers.items():
            named = {f"tier {tier}": id_ for tier, id_ in spec.tiers.items()}
            if spec.embedding_model:
                named["embedding_model"] = spec.embedding_model
            wrong += [
                f"provider {name}: no tier is called {tier} (there are {', '.join(TIERS)})"
                for tier in spec.tiers
                if tier not in TIERS
            ]
            for place, id_ in named.items():
                fault = _unfit(place, self.models.get((name, id_)))
                wrong += [f"provider {name}: {place} names {id_}, {fault}"] if fault else []
        return wrong

    def _misleading(self) -> list[str]:
        """Aliases that lead nowhere or hide what goes by that name."""
        wrong: list[str] = []
        for alias, meant in self.aliases.items():
            provider, _, id_ = meant.partition("/")
            if (provider, id_) not in self.models:
                wrong.append(f"alias {alias} names {meant}, which is not among the models")
            if alias in TIERS or alias in self._by_id:
                wrong.append(f"alias {alias} hides the tier or model of that name")
            if alias.partition("/")[0] in self.providers:
                wrong.append(f"alias {alias} begins with a provider's name, which means its models")
        return wrong

    def tier_model(self, provider: str, tier: str) -> Model | None:
        """The provider's model of a tier; None where it has none."""
        id_ = self.providers[provider].tiers.get(tier)
        return self.models[provider, id_] if id_ else None

    def find(self, provider: str, name: str) -> Model | None:
        """The model that a provider's name, or an alias of it, means: a listed one, or a dated
        snapshot of a listed one, which is the same model under its own name. None where the
        catalogue does not know it."""
        for known in (name, undated(name)):
            if listed := self.models.get((provider, known)):
                return _as_named(listed, name)
            alias = self.aliases.get(known, "")
            if alias.startswith(f"{provider}/"):
                return self.models[provider, alias.removeprefix(f"{provider}/")]
        return None

    def model(self, provider: str, name: str, mode: Literal["chat", "embedding"] = "chat") -> Model:
        """The model that `find` finds, or else one of that mode that nothing is known of: it is
        passed to the provider as it is, at an unknown price."""
        return self.find(provider, name) or Model(provider=provider, id=name, mode=mode)

    def dearest(self, provider: str, mode: str) -> Model:
        """A model at the highest prices for input and for output that are known: of the
        provider's models of that mode or, where none of them has a price, of all."""
        priced = [m for m in self.models.values() if m.mode == mode and m.is_priced]
        priced = [m for m in priced if m.provider == provider] or priced
        inputs = [max(m.input or 0, m.cached or 0, m.cache_write or 0) for m in priced]
        outputs = [m.output or 0 for m in priced]
        return Model(
            provider=provider, id="", input=max(inputs, default=0), output=max(outputs, default=0)
        )

    def offers(self, id_: str) -> list[Model]:
        """The providers' models of that very name."""
        return self._by_id.get(id_, [])

    def named(self, name: str) -> list[Model]:
        """The models that a name without a provider means, as in `find`: one for each provider
        that lists it."""
        for known in (name, undated(name)):
            if listed := self.offers(known):
                return [_as_named(model, name) for model in listed]
            if alias := self.aliases.get(known):
                provider, _, id_ = alias.partition("/")
                return [self.models[provider, id_]]
        return []

    def alike(self, name: str) -> list[str]:
        """`provider/id` of the models whose names differ from `name` in the vendor before it, the
        date behind it or the marks between only: what a caller may have meant."""
        bare = _bare(name)
        return [f"{provider}/{id_}" for provider, id_ in self.models if _bare(id_) == bare]

    def tier_of(self, model: Model) -> str:
        """The tier that a model stands for at its provider, `auto` where it stands for none:
        which model another provider puts in its place."""
        tiers = self.providers[model.provider].tiers
        names = (model.id, undated(model.id))
        return next((tier for tier in TIERS if tiers.get(tier) in names), "auto")


def undated(name: str) -> str:
    """A model's name without the mark of a snapshot."""
    return _SNAPSHOT.sub("", name)


def _as_named(listed: Model, name: str) -> Model:
    """A listed model under the name of one of its snapshots."""
    return listed if listed.id == name else msgspec.structs.replace(listed, id=name, upstream=None)


def _bare(name: str) -> str:
    """What of a name tells the model: without vendor and date, whatever marks stand between."""
    return re.sub(r"[^a-z0-9]+", "-", undated(name).rpartition("/")[2].lower())


def _unfit(place: str, model: Model | None) -> str | None:
    """Why `model` can't stand where a provider names it; None if it can."""
    if model is None:
        return "which is not among its models"
    mode = "embedding" if place == "embedding_model" else "chat"
    if model.mode != mode:
        return f"which is no {mode} model"
    ability = place.removeprefix("tier ")
    if ability in ("vision", "reasoning") and model.can is not None and ability not in model.can:
        return f"which has no {ability}"
    return None


def _faults(data: bytes) -> list[str]:
    """All that is wrong with the form of the file, each fault with its place."""
    try:
        raw = json.loads(data)
        outline = msgspec.convert(raw, _Outline)
    except (ValueError, msgspec.ValidationError) as error:  # json's own tells line and column
        return [str(error)]
    places: list[tuple[str, Any, type[Struct]]] = [
        (f"provider {name}", block, ProviderSpec) for name, block in outline.providers.items()
    ]
    for number, line in enumerate(outline.models, 1):
        name = line.get("id") if isinstance(line, dict) else None
        places.append((f"model {name or f'number {number}'}", line, Model))
    faults: list[str] = []
    for place, entry, kind in places:
        try:
            msgspec.convert(entry, kind)
        except msgspec.ValidationError as error:
            faults.append(f"{place}: {error}")
    return faults
