"""The fake model: a neutral question in, a neutral and predictable answer out.

It says "echo: <last user text>" unless the request or the directive asks for something else,
and counts tokens in words, so that a test can work out every number beforehand.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from .behaviour import Behaviour
from .reply import RejectedError

CALL_ARGUMENTS = {"city": "Paris"}
CALL_INPUT = 'weather --city "Paris"\n'
MOST_DIMENSIONS = 3072
"""Of a vector: those of the longest that OpenAI's and Google's models make."""


@dataclass(frozen=True)
class Question:
    """What any dialect's request comes down to."""

    prompt: str
    input_tokens: int
    images: list[str] = field(default_factory=list)
    """Media type of each image, "url" for one that is only pointed at."""
    tool: str | None = None
    """The tool that the model would call, if it calls any."""
    tools: frozenset[str] = frozenset()
    """All that it may call."""
    custom: frozenset[str] = frozenset()
    """Those of them that are OpenAI's of type `custom`."""
    must_call: bool = False
    tool_result: str | None = None
    """Text of a tool's result, if that is what the conversation ends with."""
    schema: Any = None
    """JSON schema of the answer; {} for any JSON object, None for plain text."""


@dataclass(frozen=True)
class Call:
    """A tool's name, and what it is called with."""

    name: str
    arguments: dict[str, Any]
    """Of a custom tool its text, as `input`."""
    is_custom: bool = False

    @property
    def text(self) -> str:
        """The arguments as the string that OpenAI's dialects want."""
        return str(self.arguments["input"]) if self.is_custom else json.dumps(self.arguments)


@dataclass(frozen=True)
class Answer:
    """What the model said, before a dialect writes it down."""

    pieces: list[str]
    """The text as it is streamed, word by word."""
    reasoning: str
    calls: list[Call]
    finish: str
    """stop, length, tool_calls, content_filter, or what a directive said."""
    input_tokens: int
    counted: bool
    """False where the provider shall tell no usage."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def reasoning_tokens(self) -> int:
        return words(self.reasoning)

    @property
    def answer_tokens(self) -> int:
        """Words of the text and of the calls, without the reasoning."""
        return words(self.text) + sum(words(f"{call.name} {call.text}") for call in self.calls)


def words(text: str) -> int:
    return len(text.split())


def think(question: Question, behaviour: Behaviour) -> Answer:
    """The answer to a question, bent by the directive's calls, text, finish, big_event, no_usage.

    Calls come before the text: it is said once the conversation ends with a tool's result.
    """
    calls = _scripted(question, behaviour.calls or [])
    if behaviour.text is None:
        calls = calls or _calls(question)
    if behaviour.big_event is not None:
        pieces = ["x" * behaviour.big_event]
    elif behaviour.text is not None and not calls:
        pieces = split_words(behaviour.text)
    else:
        pieces = [] if calls else split_words(_say(question))
    if behaviour.break_mid_utf8:
        pieces.append(" é")
    return Answer(
        pieces=pieces,
        reasoning=f"thinking about: {question.prompt}" if "think" in question.prompt else "",
        calls=calls,
        finish=behaviour.finish or ("tool_calls" if calls else "stop"),
        input_tokens=question.input_tokens,
        counted=not behaviour.no_usage,
    )


def embed(text: str, dimensions: int) -> list[float]:
    """A vector that depends on the text's bytes only, of length about one."""
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise RejectedError(400, f"Dimensions must be between 1 and {MOST_DIMENSIONS}.")
    seed = sum((i + 1) * byte for i, byte in enumerate(text.encode()))
    return [
        round(((seed * (i + 7)) % 199 - 99) / 100 / dimensions**0.5, 6) for i in range(dimensions)
    ]


def _scripted(question: Question, calls: list[dict[str, Any]]) -> list[Call]:
    """What a directive wants called, as far as the request offers it."""
    if question.tool_result is not None:
        return []
    return [
        Call(call["name"], call["arguments"], call["name"] in question.custom)
        for call in calls
        if call["name"] in question.tools
    ]


def _calls(question: Question) -> list[Call]:
    if question.tool is None:
        return []
    asked = "call the tool" in question.prompt and question.tool_result is None
    if not (question.must_call or asked):
        return []
    is_custom = question.tool in question.custom
    arguments = {"input": CALL_INPUT} if is_custom else CALL_ARGUMENTS
    return [Call(question.tool, arguments, is_custom)] * (2 if "twice" in question.prompt else 1)


def _say(question: Question) -> str:
    if question.schema is not None:
        instance = sample(question.schema) if question.schema else {"echo": question.prompt}
        return json.dumps(instance, ensure_ascii=False)
    if question.images:
        return f"saw {len(question.images)} images: {', '.join(question.images)}"
    if question.tool_result is not None:
        return f"tool said: {question.tool_result}"
    return f"echo: {question.prompt}"


def split_words(text: str) -> list[str]:
    """The text cut before each space, so that the pieces joined are the text."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def sample(schema: Any) -> Any:
    """A small value that a JSON schema (or Gemini's upper-case form of one) accepts."""
    if not isinstance(schema, dict):
        return None
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return sample(schema[union][0])
    kind = schema.get("type", "object")
    kind = (kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        return {name: sample(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {"type": "string"}))]
    return {"string": "text", "integer": 1, "number": 1.5, "boolean": True}.get(kind)
