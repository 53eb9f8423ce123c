"""The messages of a conversation, and the tools and forms that go with them: OpenAI's, since both
dialects that callers speak use them."""

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct, structs

JSONObject: TypeAlias = dict[str, Any]
"""JSON of a caller's or a provider's making, which goes on as it is."""
Role = Literal["system", "developer", "user", "assistant", "tool"]
FORMATS = ("text", "json_object", "json_schema")
NOTHING = Raw(b"")
"""The bytes of a field that is not there."""


class ImageURL(Struct, frozen=True, omit_defaults=True):
    """An image by https URL or as a `data:` URL."""

    url: str
    detail: str | None = None


class Part(Struct, frozen=True, omit_defaults=True):
    """One part of a message. `type` is `text`, `image_url`, `input_audio` or `file`; another type
    is a part that only a provider of OpenAI's dialect can take (its fields live in the raw
    message). Audio and files stay the caller's bytes: they may be large. A file is OpenAI's object
    (`file_data` as a data URL, `filename`, `file_id`) or holds a `file_url`."""

    type: str
    text: str | None = None
    image_url: ImageURL | None = None
    input_audio: Raw = NOTHING
    file: Raw = NOTHING
    cache_control: Any = None
    """Anthropic's mark: the provider is to cache the prompt up to here."""


class FunctionCall(Struct, frozen=True):
    """A call of a function. `arguments` is JSON text, as the model wrote it; None is the same as
    an empty object."""

    name: str
    arguments: str | None = "{}"

    def __post_init__(self) -> None:
        if self.arguments is None:
            structs.force_setattr(self, "arguments", "{}")


class CustomCall(Struct, frozen=True):
    """A call of a custom tool. `input` is any text."""

    name: str
    input: str


_NO_FUNCTION = FunctionCall("")


class ToolCallDelta(Struct, frozen=True, kw_only=True):
    """A piece of a tool call: the first of an index names it, later ones add arguments."""

    index: int = 0
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    """Of a `custom` tool, its input."""
    type: str = "function"
    extra_content: JSONObject | None = None


class ToolCall(Struct, frozen=True, omit_defaults=True):
    """A call of a tool by the model; that of a `custom` tool has its input for arguments.
    `extra_content` carries what the provider wants back on the next turn (Gemini:
    `{"google": {"thought_signature": …}}`)."""

    id: str
    function: FunctionCall = _NO_FUNCTION
    type: str = "function"
    extra_content: JSONObject | None = None
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

    def as_delta(self, index: int) -> ToolCallDelta:
        """The whole call as a piece of a stream."""
        return ToolCallDelta(
            index=index,
            id=self.id,
            name=self.function.name,
            arguments=self.function.arguments or "",
            type=self.type,
            extra_content=self.extra_content,
        )


class Message(Struct, frozen=True, omit_defaults=True):
    """A turn of a conversation.

    `extra_content` carries what a provider wants back of its own turn, by the provider's name
    (Gemini's by `google`): `{"anthropic": {"thinking_blocks": [...]}}`, `{"openai": {"reasoning":
    [items]}}`. It goes back to that provider only.
    """

    role: Role
    content: str | tuple[Part, ...] | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    extra_content: JSONObject | None = None
    is_error: bool = False
    """Whether the result of a tool is its failure, where the caller's dialect says so."""
    refusal: str | None = None
    """What the model has said in place of an answer."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts, whichever form it came in; a refusal where there is none."""
        if not isinstance(self.content, str | None):
            return self.content
        said = self.content or self.refusal
        return (Part(type="text", text=said),) if said else ()


_ONE_INPUT: JSONObject = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


class Function(Struct, frozen=True, omit_defaults=True):
    """A function that the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: JSONObject | None = None
    strict: bool | None = None


class CustomTool(Struct, frozen=True, omit_defaults=True):
    """A tool that takes any text, or what a grammar allows: `format` is OpenAI's."""

    name: str
    description: str | None = None
    format: JSONObject | None = None


class Tool(Struct, frozen=True, omit_defaults=True):
    """A tool on offer. `type` is `function`, or `custom` for providers that have those; other
    types pass on to OpenAI's dialect only."""

    type: str = "function"
    function: Function | None = None
    custom: CustomTool | None = None
    cache_control: Any = None
    """As in Part."""

    @property
    def named(self) -> Function | CustomTool | None:
        """What its type says it is."""
        return self.custom if self.type == "custom" else self.function

    def as_function(self) -> "Tool":
        """The tool for a provider without custom tools: what it takes is the argument `input`."""
        tool = self.custom
        if self.type != "custom" or tool is None:
            return self
        grammar = (tool.format or {}).get("definition")
        form = f"The input keeps to this grammar:\n{grammar}" if grammar else ""
        described = "\n\n".join(filter(None, (tool.description, form)))
        function = Function(tool.name, described or None, _ONE_INPUT)
        return structs.replace(self, type="function", function=function, custom=None)


class BridgedTool(Struct, frozen=True):
    """A tool of the caller's that providers know by another name or as another kind."""

    name: str
    namespace: str | None = None
    custom: bool = False
    """Whether it takes any text, which stands in the argument `input` of the function's calls."""


class JSONSchema(Struct, frozen=True, omit_defaults=True, rename={"schema_": "schema"}):
    """The schema that an answer must follow."""

    name: str = "answer"
    schema_: JSONObject | None = None
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(Struct, frozen=True, omit_defaults=True):
    """The form of the answer's text. `type` is in FORMATS."""

    type: str
    json_schema: JSONSchema | None = None
