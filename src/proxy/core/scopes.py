"""What a provider's limits apply to: one model, the models that share a quota, or all of them.

A scope is a model's id, FREE_MODELS, or PROVIDER.
"""

from proxy.core.errors import Quota

PROVIDER = ""
"""All models of the provider."""
FREE_MODELS = ":free"
"""The models whose id ends in this: one quota serves them all, and no other model (OpenRouter)."""


def find_scopes(model: str) -> tuple[str, ...]:
    """The scopes that a request for a model falls under, the widest first."""
    if not model:
        return (PROVIDER,)
    free = (FREE_MODELS,) if model.endswith(FREE_MODELS) else ()
    return (PROVIDER, *free, model)


def find_scope(quota: Quota, model: str) -> str:
    """What is limited when a quota is used up that a request for a model met."""
    if quota == "model":
        return model
    return FREE_MODELS if quota == "free_models" else PROVIDER
