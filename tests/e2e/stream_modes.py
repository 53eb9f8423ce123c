"""The ways in which a stream goes from a provider to a caller, each by its name."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e import forms
from tests.e2e.forms import Told
from tests.e2e.stream_frames import PIECES, Pieces


@dataclass(frozen=True)
class Mode:
    """Whose stream goes to whom."""

    dialect: str
    provider: str = "openai"
    fields: dict[str, Any] = field(default_factory=dict)
    model: str = "gpt-4o"

    @property
    def pieces(self) -> Pieces:
        """A short stream in the provider's dialect."""
        if self.provider == "anthropic":
            return PIECES["messages"]
        return PIECES["responses" if self.dialect == "responses" else "chat"]

    @property
    def flows(self) -> bool:
        """Whether the provider's bytes go on as they are."""
        return self in (MODES["piped"], MODES["messages native"], MODES["responses native"])


MODES = {
    "piped": Mode("openai", fields={"stream_options": {"include_usage": True}}),
    "without usage": Mode("openai"),
    "translated": Mode("native"),
    "messages native": Mode("messages", "anthropic", model="claude-haiku-5-5"),
    "messages translated": Mode("messages"),
    "responses native": Mode("responses"),
    "responses translated": Mode("responses", "anthropic", model="claude-haiku-5-5"),
}


def body_of(mode: str, prompt: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    asked = MODES[mode]
    body = {"model": f"{asked.provider}/{asked.model}", "fallback": False, "stream": True}
    body |= forms.body_of(asked.dialect, prompt) | asked.fields
    return forms.PATHS[asked.dialect], body | fields


def ask(proxy: httpx.Client, mode: str, prompt: str, **fields: Any) -> httpx.Response:
    path, body = body_of(mode, prompt, **fields)
    return proxy.post(path, json=body)


def behave(mode: str, **behaviour: Any) -> dict[str, Any]:
    """What the mode's provider is to do."""
    return {MODES[mode].provider: behaviour}


def is_whole(mode: str, told: Told) -> bool:
    """Whether a stream ended as a complete answer, with the last event of its dialect."""
    ends = {"openai": "", "native": "done", "messages": "message_stop"}
    dialect = MODES[mode].dialect
    is_end = told[-1][0] == ends.get(dialect, "response.completed")
    return is_end and forms.is_whole(dialect, told)


def error_of(mode: str, told: Told) -> dict[str, Any]:
    """The error in which a stream ended."""
    return forms.error_of(MODES[mode].dialect, told)


def unheard(mode: str) -> dict[str, str]:
    """A model that is not listed: a listed one has no room for so long a prompt."""
    return {"model": f"{MODES[mode].provider}/unheard-of"}


def check_error(mode: str, error: dict[str, Any], kind: str) -> None:
    """Whether a stream's error is the provider's, of a kind."""
    match MODES[mode].dialect:
        case "messages":
            assert error["type"] == {"provider_timeout": "timeout_error"}.get(kind, "api_error")
            assert error["details"]["source"] == "provider"
        case "responses":
            assert error["code"] == "server_error"
        case _:
            assert error["source"] == "provider"
            assert kind in (error["type"], error.get("error_type"))
