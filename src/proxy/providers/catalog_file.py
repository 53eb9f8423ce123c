"""Reads the catalogue's file and lists what is wrong with an edit of it, fault by fault."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
from msgspec import Struct

from proxy.core.chat import TIERS
from proxy.providers.endings import Models, check_endings, find_successor
from proxy.providers.specs import Mode, Model, ProviderSpec


class _Outline(Struct, frozen=True, forbid_unknown_fields=True, rename={"about": "$about"}):
    """The file with its entries unread, so that each is judged by itself."""

    providers: dict[str, Any]
    models: tuple[Any, ...]
    aliases: dict[str, str]
    about: Any = None


class CatalogFile(_Outline, frozen=True):
    """The file, read."""

    providers: dict[str, ProviderSpec]
    models: tuple[Model, ...]


def read_catalog(data: bytes) -> CatalogFile:
    """Raises ValueError for a wrong file; the message lists each fault and its place."""
    try:
        file = msgspec.json.decode(data, type=CatalogFile)
    except (msgspec.MsgspecError, UnicodeError) as error:
        faults = list(_check_form(data)) or [str(error)]
        raise ValueError("catalog.json: " + "; ".join(faults)) from error
    models = {(model.provider, model.id): model for model in file.models}
    faults = [*_check_models(file), *_check_providers(file, models), *_check_aliases(file)]
    if faults := [*faults, *_check_rates(file), *check_endings(models)]:
        raise ValueError("catalog.json: " + "; ".join(faults))
    return file


def _check_form(data: bytes) -> Iterator[str]:
    """What is wrong with the form of the file."""
    try:
        outline = msgspec.convert(json.loads(data), _Outline)
    except (ValueError, msgspec.ValidationError) as error:  # json's own tells line and column
        yield str(error)
        return
    entries: list[tuple[str, Any, type[Struct]]] = [
        (f"provider {name}", entry, ProviderSpec) for name, entry in outline.providers.items()
    ]
    for number, entry in enumerate(outline.models, 1):
        id_ = entry.get("id") if isinstance(entry, dict) else None
        entries.append((f"model {id_ or f'number {number}'}", entry, Model))
    for place, entry, kind in entries:
        try:
            msgspec.convert(entry, kind)
        except msgspec.ValidationError as error:
            yield f"{place}: {error}"


def _check_models(file: CatalogFile) -> Iterator[str]:
    """Models of no provider, models that stand twice, and endpoints that a provider lacks."""
    for (provider, id_), count in Counter((m.provider, m.id) for m in file.models).items():
        if provider not in file.providers:
            yield f"model {id_}: there is no provider {provider}"
        if count > 1:
            yield f"model {id_} of {provider} stands {count} times"
    for model in file.models:
        spec = file.providers.get(model.provider)
        for wire in dict.fromkeys((*model.endpoints, model.tools_endpoint)):
            if spec and wire and wire not in spec.endpoints:
                yield f"model {model.id}: {model.provider} has no endpoint {wire}"


def _check_rates(file: CatalogFile) -> Iterator[str]:
    """Rates that say nothing, never hold, or change prices that are not there."""
    for model in file.models:
        if model.rates and not model.is_priced:
            yield f"model {model.id}: it has rates without base prices"
        for number, rate in enumerate(model.rates, 1):
            if fault := rate.explain_fault():
                yield f"model {model.id}: rate {number}: {fault}"


def _check_providers(file: CatalogFile, models: Models) -> Iterator[str]:
    """What the providers name that is not there or can't do what it is named for, now or when all
    that ends has ended."""
    for name, spec in file.providers.items():
        for tier, id_ in spec.tiers.items():
            if tier not in TIERS:
                yield f"provider {name}: no tier is called {tier} (there are {', '.join(TIERS)})"
            reason = _explain_misfit(models.get((name, id_)), "chat", tier)
            if reason := reason or _explain_end(models, models[name, id_], tier):
                yield f"provider {name}: tier {tier} names {id_}, {reason}"
        id_ = spec.embedding_model or ""
        if id_ and (reason := _explain_misfit(models.get((name, id_)), "embedding")):
            yield f"provider {name}: embedding_model names {id_}, {reason}"


def _check_aliases(file: CatalogFile) -> Iterator[str]:
    """Aliases that lead nowhere or hide what goes by that name."""
    models = {f"{model.provider}/{model.id}" for model in file.models}
    ids = {model.id for model in file.models}
    for alias, meant in file.aliases.items():
        if meant not in models:
            yield f"alias {alias} names {meant}, which is not among the models"
        if alias in TIERS or alias in ids:
            yield f"alias {alias} hides the tier or model of that name"
        if alias.partition("/")[0] in file.providers:
            yield f"alias {alias} begins with a provider's name, which means its models"


def _explain_end(models: Models, model: Model, tier: str) -> str | None:
    """Why nothing of its provider stands for a model that ends; None if something does."""
    last = find_successor(models, model, date.max)
    if last is None or last.provider != model.provider:
        return f"which ends on {model.shutdown}, and {model.provider} has no other in its place"
    reason = _explain_misfit(last, "chat", tier)
    return f"which {last.id} replaces, {reason}" if reason else None


def _explain_misfit(model: Model | None, mode: Mode, tier: str = "") -> str | None:
    """Why a model can't stand where a provider names it; None if it can."""
    if model is None:
        return "which is not among its models"
    if model.mode != mode:
        return f"which is no {mode} model"
    if tier in ("vision", "reasoning") and model.can is not None and tier not in model.can:
        return f"which has no {tier}"
    return None
