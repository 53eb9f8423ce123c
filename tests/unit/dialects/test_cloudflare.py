"""Cloudflare AI Gateway's headers as a caller may send them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.chat import LONGEST_TTL, CacheControl
from proxy.core.errors import InvalidRequest
from proxy.dialects.cloudflare import MOST_ATTEMPTS, Options, allows_log, read_options


@pytest.mark.parametrize(
    ("header", "text", "options"),
    [
        ("cf-aig-max-attempts", "5", Options(attempts=5)),
        ("cf-aig-retry-delay", " 5000 ", Options(delay_ms=5_000)),
        ("cf-aig-retry-delay", "0", Options(delay_ms=0)),
        ("cf-aig-backoff", "Linear", Options(backoff="linear")),
        ("cf-aig-request-timeout", " 600000\t", Options(timeout_ms=600_000)),
        (
            "cf-aig-metadata",
            '{"a":1,"b":true,"c":"x"}',
            Options(metadata={"a": "1", "b": "true", "c": "x"}),
        ),
        ("cf-aig-skip-cache", "TRUE", Options(cache=CacheControl(mode="off"))),
        ("cf-aig-skip-cache", "false", Options()),
        ("cf-aig-cache-ttl", str(LONGEST_TTL), Options(cache=CacheControl(ttl=LONGEST_TTL))),
        ("cf-aig-cache-key", "a key", Options(cache=CacheControl(key="a key"))),
        ("x-other", "1", Options()),
    ],
)
def test_each_header_says_one_thing(header: str, text: str, options: Options) -> None:
    assert read_options({header: text}) == options


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ("cf-aig-max-attempts", ["0", "6", "", "-1", "1.5", "two", "\u0663"]),
        ("cf-aig-retry-delay", ["5001", "-1", "", "1e3", "9" * 5000]),
        ("cf-aig-backoff", ["", "full_jitter", "quadratic", "constant,linear"]),
        ("cf-aig-request-timeout", ["0", "600001", "", "1.5", "1_000"]),
        ("cf-aig-metadata", ["", "[]", "{", '{"a":null}', '{"a":{}}', '{"a":1e999}']),
        ("cf-aig-skip-cache", ["", "1", "yes", " true"]),
        ("cf-aig-cache-ttl", ["", "0", "-1", "1.5", " 5", "+5", str(LONGEST_TTL + 1), "1" * 5000]),
        ("cf-aig-cache-key", ["", " a", "\u00e9", "a" * 257, "a\n"]),
    ],
)
def test_nonsense_is_refused_by_the_headers_name(header: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(InvalidRequest, match=header) as raised:
            read_options({header: text})
        assert raised.value.param == header


@example({"cf-aig-max-attempts": "3\x1f"})
@given(
    st.dictionaries(
        st.sampled_from(["cf-aig-max-attempts", "cf-aig-retry-delay", "cf-aig-request-timeout"]),
        st.text(),
    )
)
def test_whatever_the_headers_say_the_bounds_hold(headers: dict[str, str]) -> None:
    try:
        options = read_options(headers)
    except InvalidRequest:
        return
    assert 1 <= (options.attempts or 1) <= MOST_ATTEMPTS
    assert 0 <= (options.delay_ms or 0) <= 5_000
    assert 1 <= (options.timeout_ms or 1) <= 600_000


def test_only_the_plain_word_keeps_a_request_out_of_the_log() -> None:
    assert allows_log({})
    assert allows_log({"cf-aig-collect-log": "no"})
    assert not allows_log({"cf-aig-collect-log": "false"})
