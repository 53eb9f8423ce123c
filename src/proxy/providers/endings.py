"""Which model answers for one that has ended."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TypeAlias

from proxy.providers.specs import Model

Models: TypeAlias = Mapping[tuple[str, str], Model]
"""The listed models by provider and id."""


def find_replacement(models: Models, model: Model) -> Model | None:
    """The listed model that `replaced_by` names: of its own provider, whose ids may have a slash,
    before any other's."""
    named = model.replaced_by or ""
    provider, _, id_ = named.partition("/")
    return models.get((model.provider, named)) or models.get((provider, id_))


def find_successor(models: Models, model: Model, day: date) -> Model | None:
    """What answers on a day for a model: itself until it ends; None: nothing does."""
    answering: Model | None = model
    for _ in models:  # no chain is longer, unless it leads back
        if answering is None or not answering.has_ended(day):
            return answering
        answering = find_replacement(models, answering)
    return None


def check_endings(models: Models) -> Iterator[str]:
    """What is wrong with the ends of the models."""
    for model in models.values():
        if fault := _explain_fault(models, model):
            yield f"model {model.id}: {fault}"


def _explain_fault(models: Models, model: Model) -> str | None:
    if model.replaces:
        return "replaces is said of an answer; the model that ends has replaced_by"
    if model.shutdown is None:
        alone = [name for name in ("deprecated", "replaced_by") if getattr(model, name)]
        return f"{alone[0]} stands without shutdown" if alone else None
    if model.deprecated and model.deprecated > model.shutdown:
        return f"deprecated {model.deprecated} is after shutdown {model.shutdown}"
    return _explain_misfit(models, model) if model.replaced_by else None


def _explain_misfit(models: Models, model: Model) -> str | None:
    replacement, names = find_replacement(models, model), f"replaced_by names {model.replaced_by}"
    if replacement is None:
        return f"{names}, which is not among the models"
    if replacement.mode != model.mode:
        return f"{names}, which is no {model.mode} model"
    if model.mode == "embedding":
        return f"{names}, but nothing replaces an embedding model: vectors of two don't mix"
    return _explain_cycle(models, model)


def _explain_cycle(models: Models, model: Model) -> str | None:
    seen = [model]
    while replacement := find_replacement(models, seen[-1]):
        if replacement in seen:
            return f"replaced_by leads back to {replacement.id}"
        seen.append(replacement)
    return None
