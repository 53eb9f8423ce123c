"""OpenAI's forms of messages, tools and answer formats, which both dialects use: the checks
that a type can't express, and the form of a tool call on its way out."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from proxy.core.errors import invalid
from proxy.core.messages import FORMATS, Message, Part, ResponseFormat, Tool, ToolCall
from proxy.dialects.reading import Name

IMAGE_BYTES = 20 * 1024 * 1024
"""Bytes of images, decoded, that one request may carry."""

Messages = Annotated[tuple[Message, ...], Meta(min_length=1, max_length=2048)]
Tools = Annotated[tuple[Tool, ...], Meta(max_length=512)]

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DATA_URL = re.compile(
    r"data:image/[a-zA-Z0-9.+-]{1,64}(?:;[a-zA-Z0-9=.+-]{1,64}){0,4};base64,(?=[a-zA-Z0-9+/]{2}[a-zA-Z0-9+/=]{2})"
)
_HTTPS_URL = re.compile(r"https://[^\s\x00-\x1f/?#][^\s\x00-\x1f]{0,8000}")


NAMED = ("function", "custom")
"""The types of tools that have names."""


class NamedFunction(Struct, frozen=True):
    """A function or a custom tool by its name."""

    name: Name


class NamedChoice(Struct, frozen=True):
    """OpenAI's `tool_choice` as an object. Types that are not named here have other fields."""

    type: str = "function"
    function: NamedFunction | None = None
    custom: NamedFunction | None = None

    @property
    def is_one_tool(self) -> bool:
        """Whether it names one tool."""
        return self.type in NAMED


ToolChoice = Literal["auto", "none", "required", "any"] | NamedChoice


def check_messages(messages: Sequence[Message]) -> None:
    """Raises InvalidRequest for messages that no model could take."""
    image_bytes, is_empty = 0, True
    for index, message in enumerate(messages):
        content = message.content
        if message.role == "tool" and not message.tool_call_id:
            path = f"messages[{index}].tool_call_id"
            raise invalid(path, "Missing; it says which tool call this message answers")
        if content is None and message.role != "assistant":
            raise invalid(f"messages[{index}].content", "Missing")
        if content or message.tool_calls:
            is_empty = False
        if isinstance(content, tuple):
            for number, part in enumerate(content):
                if part.type == "text" and part.text is not None:
                    continue
                path = f"messages[{index}].content[{number}]"
                image_bytes = _check_part(part, path, image_bytes)
    if is_empty:
        raise invalid("messages", "All are empty")


def check_tools(tools: Sequence[Tool]) -> None:
    """Raises InvalidRequest for functions and custom tools without a proper name of their own."""
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.type not in NAMED:
            continue
        if tool.named is None:
            raise invalid(f"tools[{index}].{tool.type}", "Missing")
        name, path = tool.named.name, f"tools[{index}].{tool.type}.name"
        if not _FUNCTION_NAME.fullmatch(name):
            raise invalid(path, "Expected 1 to 64 of a-z, A-Z, 0-9, _ and -")
        if name in names:
            raise invalid(path, f"There are two tools called {name}")
        names.add(name)


def check_choice(choice: ToolChoice | None, tools: Sequence[Tool], path: str) -> str | None:
    """The choice in the form of ChatRequest. Raises InvalidRequest for one that can't be met."""
    if choice == "any":  # Anthropic's and Mistral's word for it
        choice = "required"
    if choice == "required" and not tools:
        raise invalid(path, "There are no tools to choose from")
    if not isinstance(choice, NamedChoice):
        return choice
    kind = choice.type
    if not choice.is_one_tool:
        raise invalid(f"{path}.type", f"Expected {' or '.join(NAMED)}")
    chosen = choice.custom if kind == "custom" else choice.function
    if chosen is None:
        raise invalid(f"{path}.{kind}", "Missing")
    offered = (tool.named for tool in tools if tool.type == kind)
    if not any(tool and tool.name == chosen.name for tool in offered):
        raise invalid(f"{path}.{kind}.name", f"No tool is called {chosen.name}")
    return f"{kind}:{chosen.name}"


def check_format(wanted: ResponseFormat | None, path: str) -> None:
    """Raises InvalidRequest for a type that is not known (Hugging Face has `json`, `regex` and
    `grammar`, others their own), and for `json_schema` without a schema."""
    if wanted is None:
        return
    if wanted.type not in FORMATS:
        use = "use json_schema with a schema, json_object or text"
        raise invalid(f"{path}.type", f"There is no {wanted.type[:40]!r}; {use}")
    if wanted.type != "json_schema":
        return
    if wanted.json_schema is None:
        raise invalid(f"{path}.json_schema", "Missing")
    if wanted.json_schema.schema_ is None:
        raise invalid(f"{path}.json_schema.schema", "Missing")


def tool_call(call: ToolCall) -> dict[str, Any]:
    """A tool call in OpenAI's form, which can go back into `messages` as it is."""
    form: dict[str, Any] = {"id": call.id, "type": call.type}
    if call.type == "custom":
        form["custom"] = {"name": call.function.name, "input": call.function.arguments}
    else:
        form["function"] = call.function
    if call.extra_content:
        form["extra_content"] = call.extra_content
    return form


def _check_part(part: Part, path: str, before: int) -> int:
    """As `check_image`, for a part that is no text or lacks it."""
    if part.type == "text":
        raise invalid(f"{path}.text", "Missing")
    if part.type != "image_url":
        return before
    if part.image_url is None:
        raise invalid(f"{path}.image_url", "Missing")
    return check_image(part.image_url.url, f"{path}.image_url.url", before)


def check_image(url: str, path: str, before: int) -> int:
    """The bytes of a request's images with this one, which has none where it is only pointed to.
    before: those of the images before it. Raises InvalidRequest for any other URL than one of https
    or of data, and for more than IMAGE_BYTES."""
    if data := _DATA_URL.match(url):
        size = before + (len(url) - data.end()) * 3 // 4
        if size > IMAGE_BYTES:
            raise invalid(path, f"The images are over {IMAGE_BYTES >> 20} MB together")
        return size
    if not _HTTPS_URL.fullmatch(url):
        raise invalid(path, "Expected an https:// URL or data:image/…;base64,… with data")
    return before
