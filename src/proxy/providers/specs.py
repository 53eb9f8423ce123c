"""The entries of the catalogue (catalog.json): how a provider is spoken to, what a model can do and
what it costs.
"""

import re
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, structs

from proxy.core.chat import Wire
from proxy.providers.prices import Prices
from proxy.providers.rates import Price, Rate, Tokens

Ability = Literal["vision", "tools", "json", "reasoning"]
"""`json` means an answer that keeps to a JSON schema, not just any JSON."""
Mode = Literal[
    "chat", "embedding", "completion", "moderation", "image", "speech", "transcription", "rerank"
]
"""What a model makes. Chats and embeddings are served; the others are passed through."""
_SNAPSHOT = re.compile(
    r"-(?:20\d\d-[01]\d-[0-3]\d|20\d\d[01]\d[0-3]\d|0\d\d"
    r"|(?:preview|exp)-[01]\d-(?:[0-3]\d|20\d\d))$"
)
"""The end of a name that says which snapshot of a model it is: -2024-08-06, -20250929, and at
Google -001, -preview-05-20, -preview-09-2025. A bare month and day (-0528) is none: some of those
are models of their own, at another price."""


class Endpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a provider speaks one dialect."""

    base_url: str | None = None
    """If not under the provider's; where the deployment has set that, everything is under it."""
    key_header: Literal["authorization", "x-api-key", "api-key", "x-goog-api-key"] = "authorization"
    """How the key is sent; `authorization`: as a bearer's."""
    headers: dict[str, str] = {}
    """Sent with every request, beside the provider's."""
    drop: tuple[str, ...] = ()
    """Fields that it refuses here, beside those that it refuses everywhere."""
    session_field: str | None = None
    session_header: str | None = None
    """Where it takes the name of a conversation, if not as the provider's other dialects."""
    plain_streams: bool = False
    """Whether its streams have the form of the dialect to the letter, with the usage once and in
    its own place: they can go to a caller of that dialect unread."""


class ProviderSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a provider is spoken to, and its model for each tier."""

    name: str = ""
    endpoints: Annotated[dict[Wire, Endpoint], Meta(min_length=1)]
    """By the dialect; the first serves callers of another."""
    base_url: str | None = None
    keyless: bool = False
    """Whether it is called without a key (a local server, a binding)."""
    headers: dict[str, str] = {}
    """Sent with every request, beside the key."""
    rename: dict[str, str] = {}
    """Fields that it calls by another name, e.g. {"max_tokens": "max_completion_tokens"}."""
    drop: tuple[str, ...] = ()
    """Fields that it refuses: left out, and named to the caller."""
    defaults: dict[str, Any] = {}
    """What it takes for a field that is left out, where that is certain: saying it and
    leaving it out is one and the same request."""
    unknown_fields: bool = True
    """Whether a caller's fields that the proxy does not know are sent on to it."""
    roles: dict[str, str] = {}
    """Roles that it does not know and what they become, e.g. {"developer": "system"}."""
    thoughts_in_total: bool = False
    """Whether it counts what a model thinks in a usage's total alone."""
    stream_usage: bool = True
    """Whether it takes `stream_options.include_usage`."""
    fetches_images: bool = True
    """Whether it takes images by URL; for others the proxy fetches them."""
    tool_id_limit: int | None = None
    """The longest tool call id that it takes; longer ones are replaced, consistently."""
    tool_id_length: int | None = None
    """The only length of a tool call id that it takes, of letters and digits alone; any other id
    is replaced, consistently."""
    message_drop: tuple[str, ...] = ()
    """Fields of a message, or of its tool calls, that it refuses: left out, where another
    provider's answer has come back in the history."""
    text_parts: bool = True
    """Whether it takes a message's texts as a list of parts; where not, they become one text."""
    tool_turn: dict[str, str] = {}
    """Fields that it wants on an assistant message with tool calls, and what to put where
    the message has none, e.g. {"reasoning_content": ""}."""
    tool_bridge: str | None = None
    """What the assistant says between a tool's result and a user's message, where it refuses the
    second right after the first."""
    prefill: dict[str, Any] = {}
    """Fields that it wants on an assistant's message that ends the conversation, which it is to
    go on with, e.g. {"prefix": true}."""
    reasoning_tag: str = "think"
    """The tag that parts reasoning at the beginning of the text from the answer."""
    json_schema: bool = True
    """Whether it takes a response_format of type json_schema; where not, json_object is
    sent and the schema goes into a system message."""
    efforts: dict[str, str] = {}
    """Values of reasoning_effort that it refuses and what they become, e.g.
    {"minimal": "low"}."""
    cache_marks: bool = False
    """Whether it takes Anthropic's `cache_control` on parts of messages, in chat completions."""
    custom_tools: bool = False
    """Whether it has OpenAI's tools of type `custom`; requests with one go to no other provider."""
    session_field: str | None = None
    """The field of the body in which it takes the name of a conversation."""
    session_header: str | None = None
    """The header in which it does."""
    probe_path: str | None = "/models"
    """What a health check asks for, under the base URL: it must need the key. None: there is
    nothing, and only its answers tell of its health."""
    tiers: dict[str, str] = {}
    """Its model for each tier; a tier that is missing here is not offered."""
    embedding_model: str | None = None
    """The model for embeddings when none is named."""
    vendors: bool = False
    """Whether it resells other vendors' models and takes OpenRouter's `provider` object, which
    chooses among them."""
    embedding_inputs: Annotated[int, Meta(gt=0)] | None = None
    """How many inputs it embeds at once; more are sent in parts. None: all that a caller may."""

    @property
    def is_server(self) -> bool:
        """Whether it is a server of one's own: nobody bills what it answers."""
        return self.keyless and self.main == "chat"

    @property
    def main(self) -> Wire:
        """The dialect that it is spoken to in where nothing else is said."""
        return next(iter(self.endpoints))


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A model at a provider. Prices in US dollars per million tokens, None where unknown."""

    provider: str
    id: str
    mode: Mode = "chat"
    input: Price | None = None
    output: Price | None = None
    cached: Price | None = None
    """Input tokens read from the provider's prompt cache; None: as `input`."""
    cache_write: Price | None = None
    """Input tokens written to the provider's prompt cache; None: as `input`."""
    cache_write_1h: Price | None = None
    """Those that are kept there for an hour; None: as `cache_write`."""
    rates: tuple[Rate, ...] = ()
    """What replaces these prices for a time; of several that hold the last counts."""
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
    endpoints: tuple[Wire, ...] = ()
    """Those of its provider's endpoints that have it, the preferred one first; empty: all."""
    tools_endpoint: Wire | None = None
    """The only one that a request with tools goes to; None: any."""
    rename: dict[str, str] = {}
    drop: tuple[str, ...] = ()
    message_drop: tuple[str, ...] = ()
    efforts: dict[str, str] = {}
    json_schema: bool | None = None
    """None: as its provider."""
    late_system: bool = False
    """Whether it takes system messages within the conversation, after a turn of the user's. It
    matters in Messages alone."""
    deprecated: date | None = None
    """The day on which its end was announced; None: not known."""
    shutdown: date | None = None
    """The first day (UTC) on which it does not answer; None: no end is known."""
    replaced_by: str | None = None
    """What its name means from then on: the id of a model of its provider, or `provider/id`."""
    replaces: str = ""
    """The name of the ended model that it answers for, where it is asked by that; never listed."""

    @property
    def wire_id(self) -> str:
        """What the provider calls it."""
        return self.upstream or self.id

    @cached_property
    def prices(self) -> Prices:
        """Its line of the price list."""
        base = (self.input, self.output, self.cached, self.cache_write, self.cache_write_1h)
        return Prices(*base, rates=self.rates)

    def on(self, day: date) -> "Model":
        """The model with the prices of a day."""
        if not any(rate.is_dated for rate in self.rates):
            return self
        prices = self.prices.on(day)
        return structs.replace(self, rates=prices.rates, **prices.as_fields)

    @property
    def kind(self) -> str:
        """Its mode in words: `an embedding model`."""
        return f"{'an' if self.mode[0] in 'aeio' else 'a'} {self.mode} model"

    def has_ended(self, day: date) -> bool:
        """Whether it does not answer any more on a day."""
        return self.shutdown is not None and self.shutdown <= day

    @property
    def is_priced(self) -> bool:
        """Whether the cost of any usage is known."""
        return self.input is not None and (self.output is not None or self.mode == "embedding")


def undated(name: str) -> str:
    """A model's name without the mark of a snapshot."""
    return _SNAPSHOT.sub("", name)
