"""What a catalogue's dates will change is told in time."""

from datetime import date
from typing import Any

import msgspec
from msgspec import convert

from proxy.providers.coming import list_coming
from proxy.providers.specs import Model


def coming(day: str, *models: dict[str, Any]) -> Any:
    """What is told on a day of a provider's models, as JSON has it."""
    read = [convert({"provider": "p", "input": 2, "output": 10} | m, Model) for m in models]
    told = list_coming({(m.provider, m.id): m for m in read}, date.fromisoformat(day))
    return msgspec.json.decode(msgspec.json.encode(told["p"]))


OLD = {"id": "old", "shutdown": "2026-12-11", "replaced_by": "older"}
OLDER = {"id": "older", "shutdown": "2026-12-01", "replaced_by": "new"}
NEW = {"id": "new", "rates": [{"from": "2026-12-01", "until": "2027-01-01", "input": 4}]}


def test_an_end_is_told_for_sixty_days_and_with_what_answers_then() -> None:
    ends = [coming(day, OLD, NEW, OLDER)["endings"] for day in ("2026-10-11", "2026-10-12")]
    assert [len(each) for each in ends] == [1, 2]
    assert ends[1] == [
        {"model": "older", "shutdown": "2026-12-01", "replacedBy": "p/new"},
        {"model": "old", "shutdown": "2026-12-11", "replacedBy": "p/new"},
    ]
    assert [each["model"] for each in coming("2026-12-01", OLD, NEW, OLDER)["endings"]] == ["old"]
    assert coming("2026-12-11", OLD, NEW, OLDER)["endings"] == []
    assert coming("2026-12-10", {"id": "m", "shutdown": "2026-12-11"})["endings"] == [
        {"model": "m", "shutdown": "2026-12-11", "replacedBy": None}
    ]


def test_a_price_is_told_before_it_changes_and_before_it_changes_back() -> None:
    changes = coming("2026-11-30", NEW)["priceChanges"]
    assert changes == [
        {"model": "new", "from": "2026-12-01", "before": {"input": 2}, "after": {"input": 4}},
        {"model": "new", "from": "2027-01-01", "before": {"input": 4}, "after": {"input": 2}},
    ]
    assert coming("2026-12-01", NEW)["priceChanges"] == changes[1:]
    assert coming("2026-10-01", NEW)["priceChanges"] == []


def test_hours_weekends_and_steps_are_no_changes() -> None:
    rates = [
        {"hours": "16:30-00:30", "input": 1},
        {"weekdays": [6, 7], "input": 1},
        {"from": "2026-12-01", "above": 10, "input": 4},
    ]
    assert coming("2026-11-30", {"id": "m", "rates": rates})["priceChanges"] == []


def test_no_price_of_a_model_that_has_ended_changes() -> None:
    model = NEW | {"shutdown": "2026-12-01", "replaced_by": "other"}
    assert coming("2026-11-30", model, {"id": "other"})["priceChanges"] == []
