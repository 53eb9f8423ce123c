"""The vocabulary of the house: what is asked, what comes back, what was tried.

Requests keep OpenAI's message form, since both dialects that callers speak use it.
Everything is frozen; raw JSON stays in dialects/ and providers/, but for the bytes
that may go on unchanged (`raw`), which no other room looks into.
"""

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core.money import to_dollars

Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Strategy = Literal["priority", "cheapest", "fastest", "reliable", "balanced"]
CacheMode = Literal["default", "refresh", "off"]
CacheStatus = Literal["hit", "miss", "bypass", "stale"]

TIERS = ("auto", "fast", "smart", "vision", "reasoning")


class ImageURL(Struct, frozen=True, omit_defaults=True):
    """An image by https URL or as a `data:` URL."""

    url: str
    detail: str | None = None


NOTHING = Raw(b"")
"""The bytes of a field that is not there."""


class Part(Struct, frozen=True, omit_defaults=True):
    """One part of a message. `type` is `text`, `image_url`, `input_audio` or `file`; another type
    is a part that only a provider of OpenAI's dialect can take (its fields live in the raw
    message). Audio and files stay the caller's bytes: they may be large."""

    type: str
    text: str | None = None
    image_url: ImageURL | None = None
    input_audio: Raw = NOTHING
    file: Raw = NOTHING


class FunctionCall(Struct, frozen=True):
    """The function that a model calls. `arguments` is JSON text, as the model wrote it; none is
    the same as an empty object."""

    name: str
    arguments: str | None = "{}"

    def __post_init__(self) -> None:
        if self.arguments is None:
            structs.force_setattr(self, "arguments", "{}")


class CustomCall(Struct, frozen=True):
    """The custom tool that a model calls. `input` is any text."""

    name: str
    input: str


_NO_FUNCTION = FunctionCall("")


class ToolCall(Struct, frozen=True, omit_defaults=True):
    """A call of a tool by the model; that of a `custom` tool has its input for arguments.
    `extra_content` carries what the provider wants back on the next turn (Gemini:
    `{"google": {"thought_signature": …}}`)."""

    id: str
    function: FunctionCall = _NO_FUNCTION
    type: str = "function"
    extra_content: dict[str, Any] | None = None
    custom: CustomCall | None = None
    """Where OpenAI's form has a custom tool; it is read into `function`, and None from then on."""

    def __post_init__(self) -> None:
        """Raises ValueError for a call of nothing."""
        if self.custom is not None:
            called = FunctionCall(self.custom.name, self.custom.input)
            structs.force_setattr(self, "function", called)
            structs.force_setattr(self, "type", "custom")
            structs.force_setattr(self, "custom", None)
        elif self.function is _NO_FUNCTION:
            kind = "custom" if self.type == "custom" else "function"
            raise ValueError(f"Object missing required field `{kind}`")

    def as_function_call(self) -> "ToolCall":
        """The call for a provider without custom tools: the input is an argument of that name."""
        if self.type != "custom":
            return self
        arguments = msgspec.json.encode({"input": self.function.arguments}).decode()
        return structs.replace(
            self, function=FunctionCall(self.function.name, arguments), type="function"
        )

    def as_delta(self, index: int) -> "ToolCallDelta":
        """The whole call as one piece of a stream."""
        return ToolCallDelta(
            index=index,
            id=self.id,
            name=self.function.name,
            arguments=self.function.arguments or "",
            type=self.type,
            extra_content=self.extra_content,
        )


class Message(Struct, frozen=True, omit_defaults=True):
    """One turn of a conversation, in OpenAI's form."""

    role: Role
    content: str | tuple[Part, ...] | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    extra_content: dict[str, Any] | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts, whichever form it came in."""
        if self.content is None:
            return ()
        if isinstance(self.content, str):
            return (Part(type="text", text=self.content),) if self.content else ()
        return self.content


class Function(Struct, frozen=True, omit_defaults=True):
    """A function that the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class CustomTool(Struct, frozen=True, omit_defaults=True):
    """A tool that takes any text, or one of a grammar: `format` is OpenAI's."""

    name: str
    description: str | None = None
    format: dict[str, Any] | None = None


class Tool(Struct, frozen=True, omit_defaults=True):
    """A tool on offer. `type` is `function`, or `custom` for providers that have those; other
    types pass on to OpenAI's dialect only."""

    type: str = "function"
    function: Function | None = None
    custom: CustomTool | None = None

    @property
    def named(self) -> Function | CustomTool | None:
        """What its type says it is."""
        return self.custom if self.type == "custom" else self.function


class JSONSchema(Struct, frozen=True, omit_defaults=True, rename={"schema_": "schema"}):
    """The schema that an answer must follow."""

    name: str = "answer"
    schema_: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


FORMATS = ("text", "json_object", "json_schema")


class ResponseFormat(Struct, frozen=True, omit_defaults=True):
    """The form that is wanted of the answer's text. `type` is one of FORMATS."""

    type: str
    json_schema: JSONSchema | None = None


class ChatRequest(Struct, frozen=True, kw_only=True):
    """What is asked of a model, whichever dialect it was asked in.

    None or an empty tuple means that the caller did not say: the provider's default holds.
    """

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
    """`auto`, `none`, `required`, or `function:NAME` or `custom:NAME` for one tool by name."""
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    vendors: str | None = None
    """OpenRouter's `provider` object, less its lists of providers: JSON, for OpenRouter alone."""
    extra: dict[str, Raw] = {}
    """OpenAI's fields that the proxy does not know, for a provider of that dialect."""
    raw_messages: tuple[Raw, ...] = ()
    """The messages' own bytes, one for each message: a re-serialised prefix would miss
    the provider's prompt cache, and fields unknown here survive."""
    raw_tools: Raw | None = None
    body: bytes | None = None
    """The caller's whole body, where it is OpenAI's dialect and may go on unchanged."""

    @property
    def wants_vision(self) -> bool:
        """Whether any message carries an image."""
        return any(
            part.type == "image_url"
            for message in self.messages
            if not isinstance(message.content, str)
            for part in message.parts
        )


LONGEST_TTL = 366 * 86400
"""Seconds that a kept answer may be fresh."""


class CacheControl(Struct, frozen=True, kw_only=True):
    """What the caller wants of the cache; times in seconds."""

    ttl: int | None = None
    """How long the answer may be kept."""
    mode: CacheMode = "default"
    """`refresh`: nothing is read; `off`: nothing is read or stored."""
    store: bool = True
    """Whether the answer may be stored."""
    max_age: int | None = None
    """The oldest entry that will do."""
    namespace: str | None = None
    """Entries of another namespace are not seen."""
    key: str | None = None
    """A key of the caller's own, in the place of the request's meaning."""


class Routing(Struct, frozen=True, kw_only=True):
    """Who shall answer, in the caller's words."""

    model: str = "auto"
    provider: str | None = None
    strategy: Strategy | None = None
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


class Call(Struct, frozen=True, kw_only=True):
    """A chat request with all that the proxy itself was told beside it."""

    chat: ChatRequest
    routing: Routing
    cache: CacheControl = CacheControl()
    user: str | None = None
    metadata: dict[str, str] = {}
    include_usage: bool = False
    """OpenAI's `stream_options.include_usage`."""
    functions: bool = False
    """Whether calls of tools are answered in OpenAI's form before `tools`: `function_call`."""
    passed_on: dict[str, str] = {}
    """Headers for the provider: the trace that the request belongs to."""
    caller_key: str = ""
    """The caller's own key, which no error may show."""


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """Texts (or token lists) to embed."""

    input: tuple[str, ...] | tuple[tuple[int, ...], ...]
    routing: Routing
    dimensions: int | None = None
    listed: bool = False
    """Whether the one input came in a list: it goes on as it came."""
    base64: bool = False
    """Vectors as base64 of little-endian float32 (OpenAI's `encoding_format`)."""
    user: str | None = None
    metadata: dict[str, str] = {}
    """Labels."""
    vendors: str | None = None
    """OpenRouter's `provider` object, less its lists of providers: JSON, for OpenRouter alone."""
    extra: dict[str, Raw] = {}
    """OpenAI's fields that the proxy does not know, for a provider of that dialect."""
    passed_on: dict[str, str] = {}
    caller_key: str = ""
    """Both as in Call."""


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of one exchange. `cached` is part of `input`, `reasoning` part of `output`."""

    input: int = 0
    output: int = 0
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    cost: int | None = None
    """Nano-dollars, where the provider itself tells the cost."""

    @property
    def total(self) -> int:
        """Input plus output."""
        return self.input + self.output


class Form(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an answer of OpenAI's dialect holds beside all that an Answer says, so that a kept one
    has the fields that it came with. That of a chunk tells what is new."""

    completion: dict[str, Any] = {}
    """Fields beside the choices: system_fingerprint, service_tier, a provider's own."""
    choice: dict[str, Any] = {}
    """Fields beside the message."""
    message: dict[str, Any] = {}
    """Fields of a whole message that hold nothing (`refusal: null`, `annotations: []`)."""
    calls: tuple[dict[str, Any], ...] = ()
    """Fields of each tool call of a whole message."""
    usage: dict[str, Any] | None = None
    reasoning: tuple[str, ...] = ()
    """The names of the message's fields that hold the reasoning."""
    inline: str = ""
    """The reasoning that stands in the content before the text, with its tags."""

    @property
    def constant(self) -> dict[str, Any]:
        """The fields of `completion` that stand in every chunk of a stream."""
        told = self.completion.items()
        return {name: value for name, value in told if name == "created" or isinstance(value, str)}


class Answer(Struct, frozen=True, kw_only=True):
    """A complete answer of a model."""

    text: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    """A FinishReason, or the provider's own word where it means none of them: nobody knows then
    whether the answer is whole."""
    usage: Usage | None = None
    model: str | None = None
    """The model as the provider names it."""
    id: str | None = None
    created: int | None = None
    logprobs: Any = None
    extra: dict[str, Any] = {}
    """Fields of the message that the proxy does not know (annotations, reasoning_details)."""
    form: Form | None = None
    raw: bytes | None = None
    """The provider's body, where it already is in OpenAI's dialect."""


class ToolCallDelta(Struct, frozen=True, kw_only=True):
    """A piece of a tool call: the first of an index names it, later ones add arguments."""

    index: int = 0
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    """Of a `custom` tool, its input."""
    type: str = "function"
    extra_content: dict[str, Any] | None = None


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
    logprobs: Any = None
    extra: dict[str, Any] = {}
    form: Form | None = None
    raw: bytes | None = None
    """The event's data, where it already is a chunk of OpenAI's dialect."""
    usage_only: bool = False
    """True for OpenAI's closing chunk that holds no choice: it is sent on only if asked for."""

    @property
    def has_content(self) -> bool:
        """Whether this is the answer itself, after which no other provider may take over."""
        written = self.text or self.reasoning or self.refusal
        return bool(written or self.tool_calls or self.extra.get("images"))


class Embeddings(Struct, frozen=True, kw_only=True):
    """Vectors in the order of the inputs: floats, or base64 text where that was asked for."""

    vectors: tuple[tuple[float, ...] | str, ...]
    model: str | None = None
    usage: Usage | None = None


Blame = Literal["provider", "model", "caller", "proxy"]
"""Who caused the failure of an attempt. Only the provider's and the model's own failures are held
against them."""


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try at one provider; `ms` to its answer's first content or to its failure."""

    provider: str
    model: str
    outcome: str
    """`ok`, or the kind of the fault (core.errors.FaultKind)."""
    ms: int
    status: int | None = None
    code: str | None = None
    """The provider's own word for its error."""
    message: str | None = None
    blame: Blame | None = None
    """Who caused the failure; None where the attempt did not fail or was not made."""


class Cost(Struct, frozen=True):
    """What an answer cost in nano-dollars and who says so. None: no price is known."""

    nano_usd: int | None
    origin: Literal["provider", "computed", "estimated"] | None = None

    @property
    def usd(self) -> float | None:
        """The cost in US dollars."""
        return to_dollars(self.nano_usd)


class Served(Struct, frozen=True, kw_only=True):
    """How a request was served: what the answer's metadata and headers tell of it."""

    request_id: str
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
    explained: list[dict[str, Any]] | None = None
    """How the candidates were ordered, for an operator who asked."""
    functions: bool = False
    """As in Call."""


class ModelEntry(Struct, frozen=True):
    """A model on offer, as a list of models tells it."""

    id: str
    owned_by: str
