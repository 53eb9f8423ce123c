"""The adapters by the dialect that is spoken with a provider."""

from proxy.core.chat import Wire
from proxy.providers import anthropic, gemini, openai, responses, workers_ai
from proxy.providers.adapter import Adapter

ADAPTERS: dict[Wire, Adapter] = {
    "chat": openai,
    "messages": anthropic,
    "responses": responses,
    "gemini": gemini,
    "workers-ai": workers_ai,
}
