"""The adapters by the dialect that a provider speaks."""

from proxy.providers import gemini, openai, workers_ai
from proxy.providers.adapter import Adapter
from proxy.providers.specs import Dialect

ADAPTERS: dict[Dialect, Adapter] = {
    "openai": openai,
    "gemini": gemini,
    "workers-ai": workers_ai,
}
