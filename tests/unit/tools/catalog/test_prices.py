"""What becomes of the prices that the two sources name."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.catalog.making import (
    entry,
    make_catalog,
    make_wheels,
    model,
    price,
    provider,
    run,
    tiered,
)


def refresh(folder: Path, known: dict[str, Any], genai: list[str], litellm: Any) -> dict[str, Any]:
    """The one model of a catalogue, refreshed."""
    wheels = make_wheels(folder, genai or [provider("nobody")], litellm)
    (refreshed,) = run(make_catalog(folder, known), wheels)
    return refreshed


def test_a_changed_price_is_taken_and_hand_written_fields_stay(tmp_path: Path) -> None:
    known = {
        "provider": "openai",
        "id": "gpt-9",
        "input": 2,
        "output": 8,
        "cached": 1,
        "context": 1000,
        "can": ["tools"],
        "send": {"a": 1},
        "drop": ["stop"],
    }
    genai = [provider("openai", model("gpt-9", price(input="3", output="9", cache_read="0.3")))]
    litellm = {"gpt-9": entry("openai", 3, 9, max_input_tokens=2000, max_output_tokens=500)}
    assert refresh(tmp_path, known, genai, litellm) == known | {
        "input": 3,
        "output": 9,
        "cached": 0.3,
        "context": 2000,
        "max_output": 500,
    }


def test_a_price_beside_an_input_that_has_changed_is_of_another_list(tmp_path: Path) -> None:
    known = {"provider": "openai", "id": "gpt-9", "input": 2, "output": 8, "cached": 1}
    refreshed = refresh(tmp_path, known, [], {"gpt-9": entry("openai", 3, 9)})
    assert refreshed == {"provider": "openai", "id": "gpt-9", "input": 3, "output": 9}


def test_a_price_that_no_source_names_stays(tmp_path: Path) -> None:
    known = {"provider": "openai", "id": "gpt-9", "input": 2, "output": 8, "cached": 1}
    assert refresh(tmp_path, known, [], {"gpt-9": entry("openai", 2, 9)}) == known | {"output": 9}


@pytest.mark.parametrize(
    ("id_", "key", "right"),
    [("openai/gpt-9", "gpt-9", 2), ("openrouter/x/gpt-9", "openrouter/x/gpt-9", 3)],
)
def test_where_they_disagree_one_decides_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], id_: str, key: str, right: int
) -> None:
    of, _, name = id_.partition("/")
    later = (
        f"[ConditionalPrice(prices={price(input='3', output='9')}), ConditionalPrice("
        "constraint=StartDateConstraint(start_date=datetime.date(2027, 1, 1)), "
        f"prices={price(input='4', output='9')})]"
    )
    known = {"provider": of, "id": name, "input": 1, "output": 1}
    refreshed = refresh(tmp_path, known, [provider(of, model(name, later))], {key: entry(of, 2, 9)})
    assert refreshed["input"] == right
    assert ("rates" in refreshed) == (right == 3)  # else they are of a list that was not taken
    assert f"{id_}: input: {right} (" in capsys.readouterr().out


def test_a_price_from_a_day_on(tmp_path: Path) -> None:
    known = {"provider": "gemini", "id": "gemini-9", "input": 1, "output": 1}
    prices = (
        f"[ConditionalPrice(prices={price(input='7', output='7')}), ConditionalPrice("
        "constraint=StartDateConstraint(start_date=datetime.date(2026, 11, 29)), "
        f"prices={price(input='2', output='10', cache_read='0.1')}), ConditionalPrice("
        "constraint=StartDateConstraint(start_date=datetime.date(2026, 12, 1)), "
        f"prices={price(input=tiered('4', at_200000='8'), output='10', cache_read='0.2')})]"
    )
    litellm = {"gemini/gemini-9": entry("gemini", 2, 10)}
    refreshed = refresh(tmp_path, known, [provider("google", model("gemini-9", prices))], litellm)
    assert (refreshed["input"], refreshed["output"], refreshed["cached"]) == (2, 10, 0.1)
    assert refreshed["rates"] == [
        {"from": "2026-12-01", "input": 4, "cached": 0.2},
        {"from": "2026-12-01", "above": 200000, "input": 8, "cached": 0.2},
    ]


def test_a_step_is_taken_from_the_source_that_decides(tmp_path: Path) -> None:
    known = {"provider": "openai", "id": "gpt-9", "input": 1, "output": 1}
    genai = [provider("openai", model("gpt-9", price(input="2", output="8")))]
    steps = {
        "input_cost_per_token_above_272k_tokens": 4e-06,
        "output_cost_per_token_above_272k_tokens": 1.2e-05,
        "input_cost_per_token_above_272k_tokens_priority": 9e-06,
    }
    refreshed = refresh(tmp_path, known, genai, {"gpt-9": entry("openai", 2, 8, **steps)})
    assert refreshed["rates"] == [{"above": 272000, "input": 4, "output": 12}]


WORKDAYS = {"hours_utc": ["00:00-01:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]}
WEEKEND = {"hours_utc": "00:00-00:00", "weekdays": [7, 6]}
CHEAP = {"input": 0.15, "output": 0.6}


@pytest.mark.parametrize(
    ("windows", "rates"),
    [
        (
            [WORKDAYS, WEEKEND],
            [{"hours": "00:00-01:00,10:00-00:00"} | CHEAP, {"weekdays": [6, 7]} | CHEAP],
        ),
        ([WORKDAYS], [{"weekdays": [1, 2, 3, 4, 5], "hours": "00:00-01:00,10:00-00:00"} | CHEAP]),
        ([{"hours_utc": "16:30-00:30"}], [{"hours": "16:30-00:30"} | CHEAP]),
    ],
)
def test_off_peak_hours_and_days(tmp_path: Path, windows: Any, rates: Any) -> None:
    known = {"provider": "deepseek", "id": "deepseek-9", "input": 1, "output": 1}
    off_peak = {"input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07, "windows": windows}
    litellm = {"deepseek/deepseek-9": entry("deepseek", 0.3, 1.2, off_peak_pricing=off_peak)}
    refreshed = refresh(tmp_path, known, [], litellm)
    assert (refreshed["input"], refreshed["output"]) == (0.3, 1.2)
    assert refreshed["rates"] == rates


def test_peak_hours_of_genai_prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their base is the cheap price, and LiteLLM's the dear one: they agree all the same."""
    known = {"provider": "deepseek", "id": "deepseek-9", "input": 1, "output": 1}
    peak = "".join(
        f", ConditionalPrice(constraint=TimeOfDateConstraint(start_time=datetime.time({start}, 0, "
        f"tzinfo=datetime.UTC), end_time=datetime.time({end}, tzinfo=datetime.UTC)), "
        f"prices={price(input='0.3', output='1.2')})"
        for start, end in ((1, 4), (6, 10))
    )
    prices = f"[ConditionalPrice(prices={price(input='0.15', output='0.6')}){peak}]"
    genai = [provider("deepseek", model("deepseek-9", prices))]
    refreshed = refresh(tmp_path, known, genai, {})
    assert (refreshed["input"], refreshed["output"]) == (0.15, 0.6)
    assert refreshed["rates"] == [{"hours": "01:00-04:00,06:00-10:00", "input": 0.3, "output": 1.2}]
    litellm = {"deepseek/deepseek-9": entry("deepseek", 0.3, 1.2)}
    refresh(tmp_path, known, genai, litellm)
    assert "disagree" not in capsys.readouterr().out


def test_rates_that_mean_the_same_keep_their_spelling(tmp_path: Path) -> None:
    rates = [{"above": 272000, "input": 4, "output": 8, "cached": 0.5}]
    known = {"provider": "openai", "id": "gpt-9", "input": 2, "output": 8, "rates": rates}
    genai = [
        provider(
            "openai",
            model("gpt-9", price(input=tiered("2", at_272000="4"), output="8", cache_read="0.5")),
        )
    ]
    assert refresh(tmp_path, known, genai, {})["rates"] == rates


def test_a_day_to_come_that_no_source_names_stays(tmp_path: Path) -> None:
    to_come = {"from": "2027-01-01", "input": 4}
    rates = [{"from": "2026-01-01", "until": "2026-11-29", "input": 9}, {"above": 5, "input": 3}]
    known = {"provider": "openai", "id": "gpt-9", "input": 2, "output": 8}
    litellm = {"gpt-9": entry("openai", 2, 8)}
    refreshed = refresh(tmp_path, known | {"rates": [*rates, to_come]}, [], litellm)
    assert refreshed["rates"] == [to_come]


def test_a_price_of_nothing_replaces_no_price(tmp_path: Path) -> None:
    known = {"provider": "openai", "id": "gpt-9", "input": 2, "output": 8}
    assert refresh(tmp_path, known, [], {"gpt-9": entry("openai", 0, 0)}) == known
    free = known | {"input": 0, "output": 0}
    assert refresh(tmp_path, free, [], {"gpt-9": entry("openai", 0, 0)}) == free


def test_what_the_cache_takes_on_top_is_no_price_of_a_write(tmp_path: Path) -> None:
    known = {"provider": "openrouter", "id": "google/gemini-9", "input": 2, "output": 8}
    written = price(input="2", output="8", cache_write="0.0833333333333333")
    genai = [provider("openrouter", model("google/gemini-9", written))]
    assert refresh(tmp_path, known, genai, {}) == known


def test_a_price_below_nothing_is_none(tmp_path: Path) -> None:
    """OpenRouter's way to say that it depends."""
    known = {"provider": "openrouter", "id": "openrouter/auto", "context": 5}
    genai = [provider("openrouter", model("openrouter/auto", price(input="-1", output="-1")))]
    assert refresh(tmp_path, known, genai, {}) == known


def test_a_picture_has_no_price_of_text(tmp_path: Path) -> None:
    known = {"provider": "openai", "id": "gpt-image-9", "mode": "image"}
    genai = [provider("openai", model("gpt-image-9", price(input="5", output="30")))]
    image = entry("openai", 5, 10, mode="image_generation", output_cost_per_image_token=3e-05)
    assert refresh(tmp_path, known, genai, {"gpt-image-9": image}) == known


def test_of_cloudflares_rounded_prices_the_exact_one_stays(tmp_path: Path) -> None:
    known = {"provider": "workers-ai", "id": "@cf/a/b", "input": 0.0118, "output": 0.4}
    genai = [provider("cloudflare", model("@cf/a/b", price(input="0.012", output="0.4")))]
    assert refresh(tmp_path, known, genai, {}) == known
    other = [provider("cloudflare", model("@cf/a/b", price(input="0.02", output="0.4")))]
    assert refresh(tmp_path, known, other, {})["input"] == 0.02


def test_a_mode_of_a_model_costs_what_the_model_costs(tmp_path: Path) -> None:
    mode = {
        "provider": "deepseek",
        "id": "deepseek-chat",
        "input": 1,
        "output": 1,
        "upstream": "deepseek-9",
        "send": {"thinking": False},
    }
    whole = {"provider": "deepseek", "id": "deepseek-9", "input": 1, "output": 1}
    listed = {
        "deepseek/deepseek-9": entry("deepseek", 0.3, 1.2, max_input_tokens=50),
        "deepseek/deepseek-chat": entry("deepseek", 9, 9, deprecation_date="2026-07-24"),
    }
    wheels = make_wheels(tmp_path, [provider("nobody")], listed)
    chat, _ = run(make_catalog(tmp_path, mode, whole), wheels)
    assert chat == mode | {"input": 0.3, "output": 1.2, "context": 50}
