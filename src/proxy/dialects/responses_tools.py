"""The tools of OpenAI's Responses as those of core.messages.

A namespace's tools become tools of their own under a longer name, and a name that not every
provider takes becomes a shorter one: `bridged` leads from it back to the caller's. Tools that
OpenAI's own servers run have no counterpart; they are named, and stay in the body for a provider
of Responses.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from proxy.core.errors import invalid
from proxy.core.messages import BridgedTool, CustomTool, Function, JSONObject, Tool
from proxy.dialects import reading

MAX_TOOLS = 512
NAME_LENGTH = 64
"""Characters of a tool's name that every provider takes."""
CALLABLE = ("function", "custom")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NO_LETTER = re.compile(r"[^a-zA-Z0-9_-]")
_MODES = ("auto", "none", "required")


class OfferedTool(Struct, frozen=True):
    """A tool as it stands in `tools`: of a type in CALLABLE, a namespace of such, or a hosted one,
    whose other fields nothing reads."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: JSONObject | None = None
    strict: bool | None = None
    format: JSONObject | None = None
    tools: "tuple[OfferedTool, ...] | None" = None


OfferedTools = Annotated[tuple[OfferedTool, ...], Meta(max_length=MAX_TOOLS)]


class ChosenTool(Struct, frozen=True):
    """A tool by its type and name; a hosted one by its type alone."""

    type: str
    name: str | None = None


class ToolChoice(ChosenTool, frozen=True):
    """`tool_choice` as an object; `mode` and `tools` are those of `allowed_tools`."""

    mode: str | None = None
    tools: tuple[ChosenTool, ...] | None = None


class Toolbox:
    """The tools of a request, as providers know them."""

    def __init__(self) -> None:
        self.tools: dict[str, Tool] = {}
        """By the name that providers know."""
        self.bridged: dict[str, BridgedTool] = {}
        self.hosted: list[str] = []
        """The types of the hosted tools."""

    def add(self, offered: Sequence[OfferedTool], path: str, *, again: bool = False) -> None:
        """Takes tools in. again: whether they may be there already. Raises InvalidRequest for a
        tool without a name or with another's."""
        for index, tool in enumerate(offered):
            at = f"{path}[{index}]"
            if tool.type == "namespace":
                if not tool.name:
                    raise invalid(f"{at}.name", "Missing")
                for number, inner in enumerate(tool.tools or ()):
                    self._add(inner, f"{at}.tools[{number}]", tool.name, again)
            else:
                self._add(tool, at, None, again)

    def _add(self, offered: OfferedTool, path: str, namespace: str | None, again: bool) -> None:
        if offered.type not in CALLABLE:
            self.hosted.append(offered.type)
            return
        if not offered.name:
            raise invalid(f"{path}.name", "Missing")
        name = flat_name(offered.name, namespace)
        if name in self.tools:
            if again:
                return
            raise invalid(f"{path}.name", f"There are two tools called {name}")
        if len(self.tools) == MAX_TOOLS:
            raise invalid(path, f"There are more than {MAX_TOOLS} tools")
        self.tools[name] = _build_tool(offered, name)
        is_custom = offered.type == "custom"
        if is_custom or name != offered.name:
            self.bridged[name] = BridgedTool(offered.name, namespace, is_custom)

    def find(self, chosen: ChosenTool) -> list[str]:
        """The names of the tools that are meant: a namespace means all of its own, and a name is
        first that which providers know."""
        callers = {name: self.bridged.get(name) or BridgedTool(name) for name in self.tools}
        if chosen.type == "namespace":
            return [name for name, tool in callers.items() if tool.namespace == chosen.name]
        of_kind = {n: t for n, t in callers.items() if self.tools[n].type == chosen.type}
        within = [name for name, tool in of_kind.items() if tool.name == chosen.name]
        return [name for name in of_kind if name == chosen.name] or within


class Choice(Struct, frozen=True):
    """Which tools the model may and must call, in the form of ChatRequest."""

    tools: tuple[Tool, ...]
    choice: str | None = None
    native_only: str = ""
    """As in ChatRequest."""


def choose(toolbox: Toolbox, wanted: str | ToolChoice | None) -> Choice:
    """What `tool_choice` makes of the tools. Raises InvalidRequest for what can't be met."""
    tools = tuple(toolbox.tools.values())
    if isinstance(wanted, ToolChoice) and wanted.type == "allowed_tools":
        return _choose_allowed(toolbox, wanted)
    if isinstance(wanted, ToolChoice):
        if wanted.type not in CALLABLE:
            return Choice(tools, native_only=_hosted_only(f"tool_choice.type: {wanted.type[:40]}"))
        name = next(iter(toolbox.find(wanted)), None)
        if name is None:
            raise invalid("tool_choice.name", f"No tool is called {wanted.name}")
        return Choice(tools, f"{wanted.type}:{name}")
    if wanted is not None and wanted not in _MODES:
        raise invalid("tool_choice", f"Expected {', '.join(_MODES)} or an object")
    if wanted == "required" and not tools:
        if toolbox.hosted:
            return Choice(tools, native_only=_hosted_only("tool_choice: required"))
        raise invalid("tool_choice", "There are no tools to choose from")
    return Choice(tools, wanted)


def flat_name(name: str, namespace: str | None = None) -> str:
    """The name by which every provider can know a tool: the caller's where that will do, else a
    shorter one that ends in its hash, the same in every request."""
    full = f"{namespace}__{name}" if namespace else name
    if _NAME.fullmatch(full):
        return full
    digest = sha256(full.encode()).hexdigest()[:8]
    return f"{_NO_LETTER.sub('_', full)[: NAME_LENGTH - 9]}_{digest}"


def _choose_allowed(toolbox: Toolbox, wanted: ToolChoice) -> Choice:
    if wanted.mode not in (None, "auto", "required"):
        raise invalid("tool_choice.mode", "Expected auto or required")
    names = {name for chosen in wanted.tools or () for name in toolbox.find(chosen)}
    tools = tuple(tool for name, tool in toolbox.tools.items() if name in names)
    unknown = [
        chosen.name
        for chosen in wanted.tools or ()
        if chosen.type in CALLABLE and not toolbox.find(chosen)
    ]
    if unknown:
        raise invalid("tool_choice.tools", f"No tool is called {unknown[0]}")
    if wanted.mode == "required" and not tools:
        return Choice(tools, native_only=_hosted_only("tool_choice: required"))
    return Choice(tools, wanted.mode or "auto")


def _hosted_only(what: str) -> str:
    return f"{what} needs a tool that only a provider of OpenAI's Responses has."


def _build_tool(offered: OfferedTool, name: str) -> Tool:
    if offered.type == "custom":
        return Tool("custom", custom=CustomTool(name, offered.description, offered.format))
    strict = offered.strict
    if strict is None:
        strict = bool(offered.parameters) and _can_be_strict(offered.parameters)
    function = Function(name, offered.description, offered.parameters, strict)
    return Tool("function", function)


def _can_be_strict(schema: Any) -> bool:
    """Whether a schema is in the form that `strict` demands. Responses take a function without a
    word as strict where that can be; in chat completions the wrong form is an error."""
    if isinstance(schema, list):
        return all(map(_can_be_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties", {})
    if schema.get("type") == "object" or properties:
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or not isinstance(properties, dict):
            return False
        if not isinstance(required, list) or properties.keys() - {*map(str, required)}:
            return False
    return all(map(_can_be_strict, schema.values()))


_TOOLS = msgspec.json.Decoder(list[dict[str, Any]] | None)


def describe_tools(raw: Raw) -> list[dict[str, Any]]:
    """The tools as an answer repeats them: with the fields that OpenAI fills in. Raises
    InvalidRequest for what can't be read."""
    return [
        {"description": None, "parameters": None, "strict": True, **tool}
        if tool.get("type") == "function"
        else tool
        for tool in reading.decode(_TOOLS, raw, "tools") or ()
    ]
