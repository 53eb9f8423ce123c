"""The vocabulary of the house: requests, answers, and the attempts between them.

Everything is frozen; raw JSON stays in dialects/ and providers/, but for the bytes that may go on
unchanged (`raw`), which no other room looks into.
"""

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Raw, Struct, structs

from proxy.core.cache_control import CacheControl
from proxy.core.choices import Aliased, Reason
from proxy.core.messages import (
    BridgedTool,
    JSONObject,
    Message,
    ResponseFormat,
    Tool,
    ToolCall,
    ToolCallDelta,
)
from proxy.core.money import to_dollars

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Strategy = Literal["priority", "cheapest", "fastest", "reliable", "balanced"]
CacheStatus = Literal["hit", "miss", "bypass", "stale"]
Wire = Literal["chat", "messages", "responses", "gemini", "workers-ai"]
"""What is spoken with providers: OpenAI's chat completions, Anthropic's Messages, OpenAI's
Responses, and two that only one provider has. The first three are callers' dialects too."""

TIERS = ("auto", "fast", "smart", "vision", "reasoning")


class ChatRequest(Struct, frozen=True, kw_only=True):
    """A request to a model, whatever the caller's dialect. None or an empty tuple: the caller did
    not say, so the provider's default holds."""

    messages: tuple[Message, ...]
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    """`auto`, `none`, `required`, or `function:NAME` or `custom:NAME` for a tool by name."""
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    vendors: str | None = None
    """OpenRouter's `provider` object, less its lists of providers: JSON, for OpenRouter alone."""
    extra: dict[str, Raw] = {}
    """OpenAI's fields that the proxy does not know, for a provider of that dialect."""
    raw_messages: tuple[Raw, ...] = ()
    """The bytes of each message: a re-serialised prefix would miss the provider's prompt cache, and
    fields unknown here survive."""
    raw_tools: Raw | None = None
    dialect: Wire = "chat"
    """The dialect of `body`, and of the fields that only such a provider can take."""
    body: bytes | None = None
    """The caller's whole body, where it may go on unchanged to a provider of `dialect`."""
    native_only: str = ""
    """A message that names a field which no provider of another dialect can take; empty: none."""
    cache_control: JSONObject | None = None
    """Anthropic's mark on the whole prompt."""
    reasoning_summary: str | None = None
    """Whether the reasoning is to be shown: OpenAI's `auto`, `concise` or `detailed`."""
    bridges_custom: bool = False
    """Whether custom tools may be functions for a provider that has no others: the caller's dialect
    turns their calls back."""
    beside: tuple[Raw, ...] = ()
    """What `body` holds beside the fields here that may change the answer of a provider of
    `dialect`: it makes the request another one to the cache."""

    def list_given(self, names: Iterable[str]) -> dict[str, Any]:
        """The settings of these names that the caller has given."""
        return {name: v for name in names if (v := getattr(self, name)) not in (None, ())}

    def with_functions_only(self) -> "ChatRequest":
        """The request for a provider without custom tools, see `Tool.as_function`."""
        if all(tool.type != "custom" for tool in self.tools):
            return self
        return structs.replace(
            self,
            tools=tuple(tool.as_function() for tool in self.tools),
            raw_tools=None,
            tool_choice=self.tool_choice and self.tool_choice.replace("custom:", "function:", 1),
        )

    @property
    def wants_vision(self) -> bool:
        """Whether any message carries an image."""
        for message in self.messages:
            if isinstance(message.content, tuple) and any(
                part.type == "image_url" for part in message.content
            ):
                return True
        return False


class Routing(Struct, frozen=True, kw_only=True):
    """Who shall answer, in the caller's words, or in those of the alias that the caller names."""

    model: str = "auto"
    provider: str | None = None
    strategy: Strategy | Literal["weighted"] | None = None
    fallback: bool | tuple[str, ...] = True
    timeout_ms: int | None = None
    models: tuple[str, ...] = ()
    """Models to try after `model`, in this order (OpenRouter's `models`)."""
    order: tuple[str, ...] = ()
    """Providers to try first, in this order (OpenRouter's `provider.order`)."""
    only: tuple[str, ...] = ()
    """The only providers that may answer; empty: any."""
    ignore: tuple[str, ...] = ()
    """Providers that may not answer."""
    alias: Aliased | None = None
    """What `model` stands for, where it is an alias."""


class Call(Struct, frozen=True, kw_only=True):
    """A chat request with what its caller says to the proxy itself."""

    chat: ChatRequest
    routing: Routing
    cache: CacheControl = CacheControl()
    alias_cache: CacheControl = CacheControl()
    """What the alias wants of the cache, where the caller wants nothing."""
    alias_version: int | None = None
    """The state of the aliases by which the model's name was read; None: it can be no alias."""
    user: str | None = None
    metadata: dict[str, str] = {}
    include_usage: bool = False
    """OpenAI's `stream_options.include_usage`."""
    functions: bool = False
    """Whether calls of tools are answered in OpenAI's form before `tools`: `function_call`."""
    session: str = ""
    """The conversation that the request belongs to, as its body names it."""
    bridged: dict[str, BridgedTool] = {}
    """By the name that providers know."""
    rebuilt: bool = False
    """Whether a provider of the caller's own dialect gets a body built anew, so that it knows
    tools by the names of `bridged` too."""
    echo: JSONObject = {}
    """What the answer repeats of the request (Responses)."""
    prompted: bool = False
    """Whether an alias has put a system prompt into it, which no answer repeats."""
    dropped: tuple[str, ...] = ()
    """Fields that a provider of another dialect can't take, and that change no answer."""


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of an exchange. `cached` and `cache_write` are parts of `input`, `reasoning` is one
    of `output`."""

    input: int = 0
    output: int = 0
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    """The part of `cache_write` that is kept for an hour, at another price."""
    reasoning: int | None = None
    cost: int | None = None
    """Nano-dollars, where the provider itself reports the cost."""

    @property
    def total(self) -> int:
        """Input plus output."""
        return self.input + self.output


class Form(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an answer of OpenAI's dialect holds beside an Answer's fields, so that a kept answer has
    all that it came with. The form of a chunk holds what is new."""

    completion: JSONObject = {}
    """Fields beside the choices: system_fingerprint, service_tier, a provider's own."""
    choice: JSONObject = {}
    """Fields beside the message."""
    message: JSONObject = {}
    """Fields of a whole message that hold nothing (`refusal: null`, `annotations: []`)."""
    calls: tuple[JSONObject, ...] = ()
    """Fields of each tool call of a whole message."""
    usage: JSONObject | None = None
    reasoning: tuple[str, ...] = ()
    """The names of the message's fields that hold the reasoning."""
    inline: str = ""
    """The reasoning that stands in the content before the text, with its tags."""

    @property
    def constant(self) -> JSONObject:
        """The fields of `completion` that stand in every chunk of a stream."""
        return {
            name: value
            for name, value in self.completion.items()
            if name == "created" or isinstance(value, str)
        }


class Native(Struct, frozen=True):
    """A whole answer as its provider gave it, or as its events add up to it."""

    wire: Wire
    body: bytes
    """JSON: a `message` of Messages, a `response` of Responses."""


class Answer(Struct, frozen=True, kw_only=True):
    """A complete answer of a model."""

    text: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    """A FinishReason, or the provider's own word: nobody knows then whether it is whole."""
    usage: Usage | None = None
    model: str | None = None
    """The model as the provider names it."""
    id: str | None = None
    created: int | None = None
    logprobs: object = None
    extra: JSONObject = {}
    """Fields of the message that the proxy does not know (annotations, reasoning_details)."""
    form: Form | None = None
    native: Native | None = None
    """Where it came by Messages or Responses: a caller of that dialect gets it in every field, from
    the cache too."""
    raw: bytes | None = None
    """The provider's body, where it already is in OpenAI's dialect."""


class Chunk(Struct, frozen=True, kw_only=True):
    """A piece of a streamed answer."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    """As in Answer."""
    usage: Usage | None = None
    model: str | None = None
    id: str | None = None
    logprobs: object = None
    extra: JSONObject = {}
    form: Form | None = None
    native: Native | None = None
    """As in Answer: with the last chunk."""
    raw: bytes | None = None
    """The event's data, where it is one of its provider's dialect (of OpenAI's: a chunk), which
    goes on as it is to a caller of that dialect; of several in a row, the first to the last."""
    usage_only: bool = False
    """True for OpenAI's closing chunk without a choice: only a caller who wants it gets it."""

    @property
    def has_content(self) -> bool:
        """Whether this is the answer itself, after which no other provider may take over."""
        written = self.text or self.reasoning or self.refusal
        return bool(written or self.tool_calls or self.extra.get("images"))


Blame = Literal["provider", "model", "caller", "proxy", "key"]
"""The cause of an attempt's failure. Only the provider's and the model's own failures are held
against them; `key`: one of the provider's keys, of which others may do."""


CANCELLED = "cancelled"
"""The outcome of an attempt that was given up, since another one that raced it was faster."""


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An attempt at a provider; `ms` to its answer's first content or to its failure."""

    provider: str
    model: str
    outcome: str
    """`ok`, CANCELLED, or the kind of the fault (core.errors.FaultKind)."""
    ms: int
    start: int | None = None
    """Milliseconds from the beginning of the request that made it. None: a limit or a breaker kept
    it back, or an older version recorded it."""
    status: int | None = None
    code: str | None = None
    """The provider's own word for its error."""
    message: str | None = None
    blame: Blame | None = None
    """None where the attempt did not fail or was not made."""
    key: int | None = None
    """The number of the key that it was made with, where the provider has several."""
    replaces: str | None = None
    """The model that was asked for and has ended, where this one answers for it."""


class Cost(Struct, frozen=True):
    """What an answer cost in nano-dollars, and where that is from. None: no price is known."""

    nano_usd: int | None
    origin: Literal["provider", "computed", "estimated"] | None = None

    @property
    def usd(self) -> float | None:
        """The cost in US dollars."""
        return to_dollars(self.nano_usd)


class Served(Struct, frozen=True, kw_only=True):
    """How a request was served: what the answer's metadata and headers say of it."""

    request_id: str
    answer_id: str
    """What no other answer's has: a caller may give requests the same id."""
    provider: str
    model: str
    """The catalogue's name of the model that answered."""
    attempts: tuple[Attempt, ...] = ()
    dropped: tuple[str, ...] = ()
    """Parameters that the answering provider does not know and that were left out."""
    cost: Cost = Cost(None)
    cache_status: CacheStatus = "miss"
    cache_tier: Literal["memory", "kv", "r2"] | None = None
    ms: int = 0
    """The whole time until now, in milliseconds."""
    created: int = 0
    """When the answer was made, in whole seconds since 1970."""
    explained: list[JSONObject] | None = None
    """How the candidates were ordered, where an operator wants to know."""
    wire: Wire = "chat"
    """What was spoken with the provider."""
    reason: Reason | None = None
    """None: it is the one that was asked for, or the first of the chain."""

    @property
    def is_kept(self) -> bool:
        """Whether the answer came out of the cache, stale or not."""
        return self.cache_status in ("hit", "stale")
