"""What a price is on a day, at an hour and for a prompt's length."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, structs

from proxy.core.chat import Usage
from proxy.providers.prices import Prices
from proxy.providers.rates import PRICES, Rate
from proxy.providers.specs import Model

MILLION = 1_000_000
FIRST = date(2026, 11, 25)


def made(*rates: dict[str, object]) -> Model:
    """A model at 2, 10 and 1 dollars."""
    base = {"provider": "p", "id": "m", "input": 2, "output": 10, "cached": 1}
    return convert(base | {"rates": rates}, Model)


def dollars(model: Model, moment: str, **usage: int) -> float:
    """What a usage costs at a moment: a day and a time in UTC."""
    when = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    cost = model.on(when.date()).prices.compute_cost(Usage(**usage), when.timestamp())
    assert cost.usd is not None
    return cost.usd


@pytest.mark.parametrize(
    ("moment", "usd"),
    [
        ("2026-11-30T23:59:59", 2),
        ("2026-12-01T00:00:00", 4),
        ("2026-12-31T23:59:59", 4),
        ("2027-01-01T00:00:00", 2),
    ],
)
def test_a_price_holds_from_its_first_day_up_to_another(moment: str, usd: float) -> None:
    model = made({"from": "2026-12-01", "until": "2027-01-01", "input": 4})
    assert dollars(model, moment, input=MILLION) == usd


@pytest.mark.parametrize(
    ("time", "usd"),
    [("16:29:59", 2), ("16:30:00", 1), ("00:00:00", 1), ("00:29:59", 1), ("00:30:00", 2)],
)
def test_hours_may_pass_midnight(time: str, usd: float) -> None:
    model = made({"hours": "16:30-00:30", "input": 1})
    assert dollars(model, f"2026-12-01T{time}", input=MILLION) == usd


def test_hours_may_be_several_and_end_with_the_day() -> None:
    model = made({"hours": "00:00-01:00,10:00-00:00", "input": 1})
    times = ("00:59", "01:00", "09:59", "10:00", "23:59")
    costs = [dollars(model, f"2026-12-01T{time}:00", input=MILLION) for time in times]
    assert costs == [1, 2, 2, 1, 1]


def test_a_rate_may_hold_on_some_days_of_the_week() -> None:
    model = made({"weekdays": [6, 7], "input": 1})
    costs = [dollars(model, f"2026-11-{day}T12:00:00", input=MILLION) for day in (27, 28, 29, 30)]
    assert costs == [2, 1, 1, 2]  # from Friday to Monday


def test_a_long_prompt_costs_the_steps_price_as_a_whole() -> None:
    model = made({"above": 200_000, "input": 4, "output": 15})
    at = "2026-12-01T12:00:00"
    assert dollars(model, at, input=200_000, output=MILLION) == pytest.approx(10.4)
    assert dollars(model, at, input=200_001, output=MILLION) == pytest.approx(15.800004)


def test_cached_tokens_make_a_prompt_long_and_cost_as_before() -> None:
    model = made({"above": 100, "input": 4})
    at = "2026-12-01T12:00:00"
    assert dollars(model, at, input=MILLION, cached=MILLION) == 1
    dearer = made({"above": 100, "input": 4, "cached": 3})
    assert dollars(dearer, at, input=MILLION, cached=MILLION) == 3


def test_of_several_that_hold_the_last_counts() -> None:
    model = made(
        {"above": 10, "input": 5}, {"from": "2026-12-01", "input": 3}, {"above": 20, "input": 7}
    )
    before, after = "2026-11-30T12:00:00", "2026-12-01T12:00:00"
    assert [dollars(model, before, input=n * MILLION) for n in (0, 1)] == [0, 7]
    assert dollars(model, before, input=20) == pytest.approx(20 * 5e-6)
    assert dollars(model, after, input=20) == pytest.approx(20 * 3e-6)
    assert dollars(model, after, input=21) == pytest.approx(21 * 7e-6)


def test_what_a_rate_leaves_out_is_as_the_base_price_and_not_as_another_rates() -> None:
    model = made({"from": "2026-12-01", "input": 4, "output": 20}, {"above": 10, "input": 6})
    assert dollars(model, "2026-12-01T12:00:00", input=11, output=MILLION) == pytest.approx(
        10 + 66e-6
    )


def test_a_budget_reserves_the_step_that_a_prompt_may_reach_and_the_dearest_hour() -> None:
    prices = (
        made({"above": 10, "input": 5}, {"hours": "16:30-00:30", "output": 30}).on(FIRST).prices
    )
    assert prices.bound_cost(Usage(input=10)) == 20_000
    assert prices.bound_cost(Usage(input=11)) == 55_000
    assert prices.bound_cost(Usage(output=1)) == 30_000


def test_a_model_without_dated_rates_is_the_same_on_every_day() -> None:
    plain, stepped = made(), made({"above": 10, "input": 5})
    assert plain.on(FIRST) is plain and stepped.on(FIRST) is stepped


# An oracle that reads the rates as the file has them


price = st.integers(0, 10_000).map(lambda n: n / 1000)
maybe = st.none() | price
days = st.integers(0, 12).map(lambda n: FIRST + timedelta(n))
times = st.integers(0, 1439).map(lambda n: f"{n // 60:02}:{n % 60:02}")
tokens = st.integers(0, 60)
spans = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]).map("-".join)
rates = st.builds(
    Rate,
    since=st.none() | days,
    until=st.none() | days,
    weekdays=st.frozensets(st.integers(1, 7)),
    above=st.none() | st.integers(1, 50),
    hours=st.none() | st.lists(spans, min_size=1, max_size=2).map(",".join),
    **dict.fromkeys(PRICES, maybe),
)
models = st.builds(
    Model,
    provider=st.just("p"),
    id=st.just("m"),
    input=price,
    output=price,
    cached=maybe,
    cache_write=maybe,
    cache_write_1h=maybe,
    rates=st.lists(rates, max_size=5).map(tuple),
)
usages = st.builds(
    Usage,
    input=tokens,
    output=tokens,
    cached=st.none() | tokens,
    cache_write=st.none() | tokens,
    cache_write_1h=st.none() | tokens,
)
seconds = st.integers(0, 86_399)


def is_within(time: str, span: str) -> bool:
    begin, end = span.split("-")
    return begin <= time < end if begin < end else not end <= time < begin


def choose(model: Model, moment: datetime, length: int) -> dict[str, float | None]:
    """The prices that hold: condition by condition, as the documents say it."""
    chosen = {name: getattr(model, name) for name in PRICES}
    for rate in model.rates:
        day, time = moment.date(), f"{moment:%H:%M}"
        conditions = [
            rate.since is None or day >= rate.since,
            rate.until is None or day < rate.until,
            not rate.weekdays or moment.isoweekday() in rate.weekdays,
            rate.above is None or length > rate.above,
            rate.hours is None or any(is_within(time, s) for s in rate.hours.split(",")),
        ]
        if all(conditions):
            chosen = {
                name: getattr(model, name) if getattr(rate, name) is None else getattr(rate, name)
                for name in PRICES
            }
    return chosen


@given(models, days, seconds, usages)
def test_a_cost_is_that_of_the_rates_read_one_by_one(
    model: Model, day: date, second: int, usage: Usage
) -> None:
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
    expected = Prices(**choose(model, moment, usage.input)).compute_cost(usage)  # type: ignore[arg-type]
    assert model.on(day).prices.compute_cost(usage, moment.timestamp()) == expected


@given(models, days, seconds, usages, usages)
def test_what_is_reserved_is_never_less_than_what_is_charged(
    model: Model, day: date, second: int, most: Usage, usage: Usage
) -> None:
    used = structs.replace(
        usage, input=min(usage.input, most.input), output=min(usage.output, most.output)
    )
    cost = model.on(day).prices.compute_cost(used, second).nano_usd
    assert cost is not None
    assert cost <= model.on(day).prices.bound_cost(most)
