"""What the sources call the models of our providers.

| ours | genai-prices | LiteLLM |
| --- | --- | --- |
| `openai`, `gpt-5.4` | provider `openai`, `gpt-5.4` | `gpt-5.4` of `openai` |
| `gemini`, `gemini-3.8-flash` | `google`, `gemini-3.8-flash` | `gemini/gemini-3.8-flash` |
| `openrouter`, `x-ai/grok-4.3` | `openrouter`, `x-ai/grok-4.3` | `openrouter/x-ai/grok-4.3` |
| `huggingface`, `zai-org/GLM-4.6:novita` | `huggingface_novita`, `zai-org/GLM-4.6` | none |
| `workers-ai`, `@cf/qwen/qwq-32b` | `cloudflare`, the same | `cloudflare/@cf/qwen/qwq-32b` |
| `vertex`, `google/gemini-4-argon` | `google`, `gemini-4-argon` | `vertex_ai/gemini-4-argon` |

A name that LiteLLM lists under its date only (`claude-haiku-4-5-20251001`) means the newest one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from proxy.providers.specs import undated
from tools.catalog.genai_prices import GenaiPrices
from tools.catalog.litellm import LiteLLM
from tools.catalog.offers import Offer


@dataclass(frozen=True)
class Names:
    """Where the sources keep a provider's models."""

    genai: str | None = None
    """genai-prices' provider; `*` stands for the vendor behind the last colon of our id."""
    litellm: tuple[str, ...] = ()
    """LiteLLM's providers; one that ends in * stands for all that begin so."""
    prefixes: tuple[str, ...] = ("",)
    """What LiteLLM puts before our id, the preferred one first."""
    ours: str = ""
    """What our id has before theirs."""
    without: str = "?"
    """How genai-prices' names begin that are of another of our providers."""
    ends: bool = True
    """Whether a name ends with its model. Azure upgrades a deployment under the name it has."""
    genai_wins: bool = False
    """Whether genai-prices decides where the two disagree. LiteLLM does otherwise: it lists each
    model by its very name, while genai-prices' patterns may catch an older price. OpenRouter's and
    Hugging Face's own lists are where genai-prices' come from."""


def _same(name: str, genai: str | None = None) -> Names:
    """A provider of one name in LiteLLM, which also begins each of its models' names."""
    return Names(genai, (name,), (f"{name}/",))


NAMES: dict[str, Names] = {
    "gemini": Names("google", ("gemini",), ("gemini/", ""), without="claude"),
    "deepseek": _same("deepseek", "deepseek"),
    "groq": _same("groq", "groq"),
    "openai": Names("openai", ("openai", "text-completion-openai"), ("", "openai/")),
    "anthropic": Names("anthropic", ("anthropic",), ("", "anthropic/")),
    "openrouter": Names("openrouter", ("openrouter",), ("openrouter/",), genai_wins=True),
    "huggingface": Names("huggingface_*", genai_wins=True),
    "workers-ai": _same("cloudflare", "cloudflare"),
    "mistral": _same("mistral", "mistral"),
    "xai": _same("xai", "x-ai"),
    "cerebras": _same("cerebras", "cerebras"),
    "together": _same("together_ai", "together"),
    "fireworks": _same("fireworks_ai", "fireworks"),
    "moonshot": _same("moonshot", "moonshotai"),
    "zai": _same("zai", "zai"),
    "deepinfra": _same("deepinfra"),
    "nvidia": _same("nvidia_nim"),
    "perplexity": _same("perplexity", "perplexity"),
    "azure": Names("azure", ("azure",), ("azure/",), ends=False),
    "vertex": Names("google", ("vertex_ai*",), ("vertex_ai/", ""), ours="google/"),
    "bedrock": Names("aws", ("bedrock_mantle", "bedrock*"), ("bedrock_mantle/", "")),
}
"""By our provider's name. One that is missing here (`local`) has no price list."""

FIREWORKS = "accounts/fireworks/models/"


class Sources:
    """The two price lists, asked by our names."""

    def __init__(self, genai: GenaiPrices, litellm: LiteLLM, today: str) -> None:
        """`today` is the UTC day (YYYY-MM-DD) whose prices are the base ones."""
        self._genai = genai
        self._litellm = litellm
        self._today = today

    def find(self, provider: str, id_: str) -> list[Offer]:
        """What the sources say of a model: the one that decides first, none where both are
        silent."""
        names = NAMES.get(provider)
        if names is None:
            return []
        offers = [self._find_in_litellm(names, id_), self._find_in_genai(names, id_)]
        found = [
            offer if names.ends else replace(offer, shutdown=None) for offer in offers if offer
        ]
        return found[::-1] if names.genai_wins else found

    def list_ids(self, provider: str) -> set[str]:
        """The ids of a provider's models in the sources, as we write them."""
        names = NAMES.get(provider, Names())
        return {*self._list_litellm(names), *self._list_genai(names)}

    def _find_in_genai(self, names: Names, id_: str) -> Offer | None:
        if names.genai is None:
            return None
        id_, provider = id_.removeprefix(names.ours).removeprefix(FIREWORKS), names.genai
        if provider.endswith("*"):
            id_, _, vendor = id_.rpartition(":")
            provider = provider[:-1] + vendor
        return self._genai.read(provider, id_, self._today)

    def _find_in_litellm(self, names: Names, id_: str) -> Offer | None:
        theirs = id_.removeprefix(names.ours)
        keys = [prefix + theirs for prefix in names.prefixes] if names.litellm else []
        exact = (offer for key in keys if (offer := self._litellm.read(key, names.litellm)))
        if offer := next(exact, None):
            return offer
        dated = sorted(
            key for key in self._litellm.list_keys(names.litellm) if undated(key) in keys
        )
        return self._litellm.read(dated[-1], names.litellm) if dated else None

    def _list_genai(self, names: Names) -> Iterator[str]:
        if names.genai and names.genai.endswith("*"):
            for provider in self._genai.list_providers():
                if provider.startswith(names.genai[:-1]):
                    vendor = provider.removeprefix(names.genai[:-1])
                    yield from (f"{id_}:{vendor}" for id_ in self._genai.list_keys(provider))
        elif names.genai:
            ids = self._genai.list_keys(names.genai)
            yield from (names.ours + id_ for id_ in ids if not id_.startswith(names.without))

    def _list_litellm(self, names: Names) -> Iterator[str]:
        for key in self._litellm.list_keys(names.litellm):
            prefix = next((prefix for prefix in names.prefixes if key.startswith(prefix)), None)
            if prefix is not None:
                yield names.ours + key.removeprefix(prefix)
