"""What routing is set to, and how the deployment reaches its providers."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Struct

from proxy.core.settings.values import (
    BALANCE,
    BASE_URL,
    DAY,
    SECRETS,
    SERVERS,
    SHARES,
    SWITCH,
    WORDS,
    Setting,
    one_of,
    whole,
)

BudgetUnpriced = Literal["refuse", "tier_max"]
RoutingStrategy = Literal["priority", "cheapest", "fastest", "reliable", "balanced", "weighted"]

_TIMEOUT = whole(1, 600_000)


class ProviderAccess(Struct, frozen=True, kw_only=True):
    """How this deployment reaches a provider; None: the catalogue's base URL, no key."""

    keys: Annotated[
        tuple[str, ...],
        Setting("API_KEY", "", SECRETS),
        "The provider's key (secret). A provider without its key is not used; `local` needs none."
        " [Several keys](providers.md#several-keys) stand between commas, or in"
        " `OPENAI_API_KEY_1` to `OPENAI_API_KEY_99` too.",
    ]
    keys_share_quota: Annotated[
        bool,
        Setting("KEYS_SHARE_QUOTA", "off", SWITCH),
        "`on`: the keys are of one account, so that a 429 of one is a 429 of all.",
    ]
    base_url: Annotated[
        str | None,
        Setting("BASE_URL", "", BASE_URL),
        "What the provider's own SDK takes for a base URL, if not the provider's own."
        " `/chat/completions`, `/embeddings`, `/models` or, for gemini,"
        " `/models/{model}:generateContent`, for anthropic `/v1/messages` is appended. It must be"
        " https; plain http is taken to loopback only, in development. `local` is configured by"
        " it.",
    ]
    embeddings_url: Annotated[
        str | None,
        Setting("EMBEDDINGS_BASE_URL", "", BASE_URL),
        "Where its embeddings are served, if not under the base URL.",
    ]
    models: Annotated[
        tuple[str, ...],
        Setting("MODELS", "", WORDS, example="llama3.3:70b,qwen3:8b"),
        "Models beside those of the catalogue, separated by commas: they are listed. At a server of"
        " one's own (`local`, `ollama`, `vllm`, `LOCAL_PROVIDERS`) they cost nothing and the first"
        " of them stands for the tiers `auto`, `fast` and `smart`; elsewhere their price is not"
        " known.",
    ]


class RoutingSettings(Struct, frozen=True, kw_only=True):
    """Routing."""

    fallback_chain: Annotated[
        tuple[str, ...],
        Setting("FALLBACK_CHAIN", "gemini,deepseek,groq,openai", WORDS),
        "The order in which providers are tried. Configured providers that it does not name come"
        " after it, in the catalogue's order.",
    ]
    disabled_providers: Annotated[
        tuple[str, ...],
        Setting("DISABLED_PROVIDERS", "", WORDS),
        "Providers that are never used, though configured, separated by commas.",
    ]
    local_providers: Annotated[
        tuple[str, ...],
        Setting("LOCAL_PROVIDERS", "", SERVERS, example="lab,gpu-2"),
        "Further servers of OpenAI's dialect, each a provider as `local` is: `lab` has the settings"
        " `LAB_BASE_URL`, `LAB_API_KEY`, `LAB_MODELS` and so on, and its models are `lab/NAME`.",
    ]
    ai_binding: Annotated[
        bool,
        Setting("AI_BINDING", "on", SWITCH),
        "`off`: the AI binding is there and can't answer, so `workers-ai` is not configured. `make"
        " dev` sets it, since Workers AI runs at Cloudflare only and `wrangler dev --local` does"
        " not reach it; with `npx wrangler dev` after a login the binding answers.",
    ]
    timeout_ms: Annotated[
        int,
        Setting("REQUEST_TIMEOUT_MS", "300000", _TIMEOUT),
        "Milliseconds for all attempts together, up to a stream's first content. A request's own"
        " `timeout` replaces it, and holds for a whole stream.",
    ]
    first_byte_timeout_ms: Annotated[
        int,
        Setting("FIRST_BYTE_TIMEOUT_MS", "30000", _TIMEOUT),
        "Milliseconds that a streaming provider has until its answer's headers come.",
    ]
    idle_timeout_ms: Annotated[
        int,
        Setting("IDLE_TIMEOUT_MS", "30000", _TIMEOUT),
        "Milliseconds of silence in a provider's answer after which it is given up.",
    ]
    strategy: Annotated[
        RoutingStrategy,
        Setting("ROUTING_STRATEGY", "priority", one_of(RoutingStrategy)),
        "The order of the candidates, where the request says nothing ([what they"
        " mean](providers.md#strategies)).",
    ]
    balance: Annotated[
        dict[str, float],
        Setting("ROUTING_BALANCE", "cost=1, latency=1, success=1", BALANCE),
        "What `balanced` weighs, and how much.",
    ]
    weights: Annotated[
        dict[str, float],
        Setting("ROUTING_WEIGHTS", "", SHARES, example="openai=90, groq=10"),
        "Shares of the traffic for `weighted`, by provider or `provider/model`.",
    ]
    sticky: Annotated[
        bool,
        Setting("ROUTING_STICKY", "off", SWITCH),
        "`on`: `weighted` keeps each user (the request's `user`, else the key's) on one side.",
    ]
    session_affinity: Annotated[
        bool,
        Setting("SESSION_AFFINITY", "on", SWITCH),
        "`on`: the turns of a conversation go to [the same"
        " provider](providers.md#conversations), and there with the same key, as far as routing,"
        " limits and breakers allow.",
    ]
    retry_attempts: Annotated[
        int,
        Setting("RETRY_ATTEMPTS", "2", whole(1, 5)),
        "How often a provider is tried for a request before the next provider is.",
    ]
    retry_delay_ms: Annotated[
        int,
        Setting("RETRY_DELAY_MS", "250", whole(0, 5000)),
        "Milliseconds before the first retry at most, drawn by chance. Each that follows may wait"
        " twice as long, up to 8 s.",
    ]
    hedge_after_ms: Annotated[
        int,
        Setting("HEDGE_AFTER_MS", "0", whole(0, 600_000)),
        "Milliseconds after which the request goes to the next candidate too; 0: never. The faster"
        " wins, what the other may cost is counted.",
    ]
    breaker_slow_ms: Annotated[
        int,
        Setting("BREAKER_SLOW_MS", "20000", whole(0, 600_000)),
        "Milliseconds to a stream's first content from which on it counts as a failure of the"
        " model; 0: never.",
    ]
    unpriced: Annotated[
        BudgetUnpriced,
        Setting("BUDGET_UNPRICED", "refuse", one_of(BudgetUnpriced)),
        "What a key with a [budget](api-reference.md#budgets) may do with a model whose price the"
        " catalogue does not know. `refuse`: it may not ask it. `tier_max`: it may; the model"
        " counts, reserved and settled, at the highest input price and the highest output price"
        " that the catalogue knows of its provider's models of the same mode (chat or embeddings),"
        " of all providers' where its own has no prices.",
    ]
    catalog_date: Annotated[
        date | None,
        Setting("CATALOG_DATE", "", DAY, example="2026-12-31"),
        "The day (UTC) whose models and prices hold, at its noon: to see what a date of the"
        " [catalogue](providers.md#dates) will bring. Empty: today, at this hour.",
    ]
    providers: dict[str, ProviderAccess] = {}
    """All, those of `local_providers` too."""
    secrets: tuple[str, ...] = ()
    """All that is set and is to be shown nobody."""

    @property
    def own_models(self) -> dict[str, tuple[str, ...]]:
        """The models that the deployment names, by provider; of `local_providers` each is here,
        though it may have none."""
        return {
            name: access.models
            for name, access in self.providers.items()
            if access.models or name in self.local_providers
        }
