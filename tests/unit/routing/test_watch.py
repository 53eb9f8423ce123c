"""Whom an attempt's end is counted against."""

import pytest
from msgspec import structs

from proxy.core.errors import Outcome
from proxy.providers.target import Target
from proxy.routing.selection import Selection
from proxy.routing.watch import attributed
from tests.unit.routing.making import made_catalog


@pytest.fixture
def target(selection: Selection) -> Target:
    return selection.deployment.make_target(made_catalog().models["openrouter", "vendor/gpt"])


SILENT = Outcome("timeout", "provider")
BROKEN = Outcome("unavailable", "model")


def test_an_outcome_is_the_providers_or_the_models_as_it_says(target: Target) -> None:
    assert attributed(target, SILENT) == SILENT
    assert attributed(target, BROKEN) == BROKEN


def test_the_silence_of_a_model_that_is_not_listed_is_its_own(target: Target) -> None:
    unlisted = structs.replace(target, listed=False)
    assert attributed(unlisted, SILENT) == Outcome("timeout", "model")
    assert attributed(unlisted, BROKEN) == BROKEN


def test_what_chosen_vendors_do_is_the_callers(target: Target) -> None:
    chosen = structs.replace(target.model, send={"provider": {"only": ["together"]}})
    behind = structs.replace(target, model=chosen)
    assert attributed(behind, SILENT) == Outcome("timeout", "caller")
    assert attributed(behind, BROKEN) == Outcome("unavailable", "caller")
    refused = Outcome("unauthorized", "provider")
    assert attributed(behind, refused) == refused
