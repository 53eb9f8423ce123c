"""Reads the tools of a Messages request, and what it says of their use."""

import re
from hashlib import sha256
from typing import Any

from msgspec import Raw

from proxy.core.errors import invalid
from proxy.core.messages import NOTHING, BridgedTool, CustomTool, Function, Tool
from proxy.core.splice import ITEMS, NULL
from proxy.dialects.anthropic_body import OBJECT, Choice, Offer, decode
from proxy.dialects.anthropic_parts import Findings

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_LONGEST = 64
"""Characters that other providers allow a name."""
_KEPT = 55
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class Names:
    """The names of tools, as others than a provider of this dialect know them."""

    def __init__(self) -> None:
        self.bridged: dict[str, BridgedTool] = {}
        """As in Call."""

    def shorten(self, name: str) -> str:
        """The name, or its beginning and a part of its hash where it is too long."""
        if len(name) <= _LONGEST:
            return name
        short = f"{name[:_KEPT]}_{sha256(name.encode()).hexdigest()[:8]}"
        self.bridged[short] = BridgedTool(name)
        return short


def read_tools(
    offers: tuple[Offer, ...], raw: Raw, names: Names, findings: Findings
) -> tuple[Tool, ...]:
    """The tools on offer. raw: their bytes. Raises InvalidRequest."""
    tools: list[Tool] = []
    seen: set[str] = set()
    for index, offer in enumerate(offers):
        findings.drop("cache_control", offer.cache_control)
        findings.drop("defer_loading", offer.defer_loading)
        findings.drop("eager_input_streaming", offer.eager_input_streaming)
        if offer.type in (None, "custom"):
            tools.append(_read_function(offer, f"tools.{index}.custom", names, findings))
        else:
            tools.append(_keep_tool(offer, ITEMS.decode(raw)[index], f"tools.{index}", findings))
        if offer.name in seen:
            raise invalid("tools", f"Tool names must be unique, there are two of {offer.name}")
        if offer.name:
            seen.add(offer.name)
    return tuple(tools)


def _read_function(offer: Offer, path: str, names: Names, findings: Findings) -> Tool:
    """A tool that the caller runs. Examples of its input are told in its description, since others
    have no field for them."""
    if offer.name is None:
        raise invalid(f"{path}.name", "Field required")
    if not _NAME.fullmatch(offer.name):
        raise invalid(f"{path}.name", f"String should match pattern '^{_NAME.pattern}$'")
    if offer.input_schema is None:
        raise invalid(f"{path}.input_schema", "Field required")
    if set(offer.allowed_callers or ()) - {"direct"}:
        reason = "Extra inputs are not permitted"
        findings.reserve(f"{path}.allowed_callers", "allowed_callers", reason)
    description = offer.description
    if offer.input_examples not in (NOTHING, NULL, Raw(b"[]")):
        examples = bytes(offer.input_examples).decode()
        description = "\n\n".join(filter(None, (description, f"Examples of input: {examples}")))
    function = Function(
        names.shorten(offer.name), description, offer.input_schema, offer.strict or None
    )
    return Tool(function=function, cache_control=offer.cache_control)


def _keep_tool(offer: Offer, raw: Raw, path: str, findings: Findings) -> Tool:
    """A tool that a provider of this dialect knows by its type."""
    kind = (offer.type or "")[:80]
    findings.reserve(path, kind, f"Input tag '{kind}' is not known to other dialects")
    fields: dict[str, Any] = decode(OBJECT, raw, path)
    return Tool(type=offer.type or "", custom=CustomTool(offer.name or "", format=fields))


def read_choice(choice: Choice | None, tools: tuple[Tool, ...], names: Names) -> str | None:
    """The choice in the form of ChatRequest. Raises InvalidRequest for one that can't be met."""
    if choice is None:
        return None
    if choice.type in ("any", "tool") and not tools:
        raise invalid("tool_choice", "There are no tools to choose from")
    if choice.type != "tool":
        return _CHOICES[choice.type]
    if not choice.name:
        raise invalid("tool_choice.name", "Field required")
    name = names.shorten(choice.name)
    named = [tool.function or tool.custom for tool in tools]
    if not any(tool and tool.name == name for tool in named):
        raise invalid("tool_choice", f"Tool '{choice.name[:128]}' not found in provided tools")
    return f"function:{name}"
