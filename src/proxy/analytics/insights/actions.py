"""What to do about an insight: one sentence for each rule."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from proxy.analytics.insights.model import Insight

_Evidence: TypeAlias = Mapping[str, float | int | str]


def advise(insight: Insight) -> str:
    """What an operator can do about it, in a sentence."""
    return _ACTIONS[insight.id.partition(":")[0]](insight.evidence)


def _about_hits(evidence: _Evidence) -> str:
    if float(evidence["differenceLow"]) > 0:
        return "Nothing has to be done; what these requests have in common may help the others."
    return (
        "Look at some of these requests in the request log: do they bypass the cache, or does a"
        " time or an id in each prompt make it a new one?"
    )


def _about_errors(evidence: _Evidence) -> str:
    provider, status = evidence["provider"], int(evidence["status"])
    if not provider and status in (401, 403):
        return "Look at the request log for whose key is wrong or may not do this, and tell them."
    if status in (400, 404, 413, 422):
        return (
            f"Look at these requests in the request log (status={status}): their callers ask for"
            " what can't be answered."
        )
    if provider:
        return (
            f"Look at {provider} in /health/providers and on its status page; put another provider"
            " before it in FALLBACK_CHAIN, or allow fallback, until it answers again."
        )
    return f"Look at the errors of these requests in the request log (status={status})."


def _about_breaker(evidence: _Evidence) -> str:
    name = evidence["name"]
    if "misconfigured" in evidence:
        return f"Set a right key for {name}: the provider refuses the present one."
    if "not_found" in evidence:
        return f"Ask for another model than {name}, which its provider does not have."
    return (
        f"Look at {name} in /health/providers and on its provider's status page; if this comes"
        " again and again, put another provider before it in FALLBACK_CHAIN."
    )


def _about_better(how: str) -> Callable[[_Evidence], str]:
    return lambda evidence: (
        f"Put {evidence['better']} before {evidence['model']} in FALLBACK_CHAIN or in an alias, or"
        f" choose the strategy {how}, if its answers are as good."
    )


def _about_change(evidence: _Evidence) -> str:
    user = evidence["user"]
    return (
        f"If you did not expect that, look at {user}'s requests in the request log, and at the"
        " limits and budgets of its keys."
    )


_ACTIONS: Mapping[str, Callable[[_Evidence], str]] = {
    "cache.user": _about_hits,
    "cache.model": _about_hits,
    "cache.longer_ttl": lambda evidence: (
        f"Set CACHE_TTL={evidence['longerTtl']}, if answers of that age are still right."
    ),
    "provider.success": _about_better("reliable"),
    "provider.first_content": _about_better("fastest"),
    "provider.answer": _about_better("fastest"),
    "provider.cost": _about_better("cheapest"),
    "user.share": lambda evidence: (
        f"If you don't want that, give {evidence['user']} keys with limits or a budget."
    ),
    "user.change": _about_change,
    "user.errors": lambda evidence: (
        f"Look at the failed requests of {evidence['user']} in the request log, and mend what its"
        " clients send."
    ),
    "user.limits": lambda evidence: (
        f"Raise the limits or the budget of {evidence['user']}'s keys if this traffic is right; if"
        " not, have its clients wait as Retry-After says."
    ),
    "cost.elsewhere": lambda evidence: (
        f"Try {evidence['cheaper']} on your prompts; if its answers are good enough, send it a"
        " share by an alias with weights."
    ),
    "error.burst": _about_errors,
    "error.steady": _about_errors,
    "breaker.opened": _about_breaker,
}
"""By rule."""
