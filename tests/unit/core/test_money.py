"""Money: nano-dollars, dollars and what they look like in words."""

import pytest

from proxy.core.money import NANO, format_dollars, spell_dollars, to_dollars, to_nano


def test_amounts_convert_both_ways() -> None:
    assert to_dollars(1_500_000_000) == 1.5
    assert to_nano(0.1) == NANO // 10
    assert to_nano(1e-9) == 1


def test_an_unknown_amount_stays_unknown() -> None:
    assert to_dollars(None) is None
    assert to_nano(None) is None


@pytest.mark.parametrize(
    ("nano", "text"),
    [(1_234_567_000_000, "$1,234.57"), (12_300, "$0.000012"), (0, "$0.00"), (500_000, "$0.0005")],
)
def test_an_amount_in_words(nano: int, text: str) -> None:
    assert format_dollars(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (2_500_000_000, "$2.5"),
        (10_000, "$0.00001"),
        (1, "$0.000000001"),
        (1_500_000_000_000_000, "$1,500,000"),
        (0, "$0"),
    ],
)
def test_an_amount_in_full_has_no_exponent(nano: int, text: str) -> None:
    assert spell_dollars(nano) == text
