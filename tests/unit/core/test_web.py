"""Headers that are made of what others wrote."""

from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.web import check_headers, encode_value, list_names

ANY_TEXT = st.text(st.characters(), max_size=300)


@given(text=ANY_TEXT)
@example("a\r\nset-cookie: x=1")
@example("\ud800")
@example("模型" * 200)
def test_any_text_can_be_sent_encoded(text: str) -> None:
    value = encode_value(text)
    check_headers({"x-proxy-model": value})
    if text.isprintable() and len(text) <= 256:
        assert unquote(value) == text


@pytest.mark.parametrize("name", ["@cf/meta/llama-3.1-8b", "vendor/model:free", "ft:gpt-4o+x"])
def test_the_names_of_models_stay_readable(name: str) -> None:
    assert encode_value(name) == name


@given(names=st.lists(ANY_TEXT | st.from_regex(r"\A[a-z_]{1,80}\Z"), max_size=100))
def test_any_names_can_be_listed(names: list[str]) -> None:
    value = list_names(names)
    check_headers({"x-proxy-dropped": value})
    named = [name for name in value.split(", ") if name and not name.startswith("+")]
    others = value.rpartition("+")[2] if "+" in value else "0"
    assert len(named) + int(others) == len(names)
    assert set(named) <= set(names)


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["seed", "logit_bias"], "seed, logit_bias"),
        (["a\r\nset-cookie: x=1", "seed"], "seed, +1"),
        (["x" * 1_000_000], "+1"),
        (["größe"], "+1"),
        ([], ""),
    ],
)
def test_what_can_be_named_is(names: list[str], value: str) -> None:
    assert list_names(names) == value


@pytest.mark.parametrize(
    "headers",
    [{"x": "a\r\nb"}, {"x": "é"}, {"x": "a\0"}, {"x": "a\x7f"}, {"x": "y" * 20_000}],
)
def test_what_can_not_be_sent_is_no_header(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="can't be sent"):
        check_headers(headers)
