"""Cloudflare AI Gateway's headers as a caller may send them."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.cache_control import LONGEST_TTL, CacheControl
from proxy.core.errors import InvalidRequest
from proxy.dialects.cloudflare import (
    MOST_ATTEMPTS,
    RetryOptions,
    allows_log,
    read_cache,
    read_metadata,
    read_retries,
    read_timeout,
)

LABELS = '{"a":1,"b":true,"c":"x"}'
Read = Callable[[Mapping[str, str]], object]


@pytest.mark.parametrize(
    ("read", "header", "text", "result"),
    [
        (read_retries, "cf-aig-max-attempts", "5", RetryOptions(attempts=5)),
        (read_retries, "cf-aig-retry-delay", " 5000 ", RetryOptions(delay_ms=5_000)),
        (read_retries, "cf-aig-retry-delay", "0", RetryOptions(delay_ms=0)),
        (read_retries, "cf-aig-backoff", "Linear", RetryOptions(backoff="linear")),
        (read_retries, "x-other", "1", RetryOptions()),
        (read_timeout, "cf-aig-request-timeout", " 600000\t", 600_000),
        (read_timeout, "x-other", "1", None),
        (read_metadata, "cf-aig-metadata", LABELS, {"a": "1", "b": "true", "c": "x"}),
        (read_metadata, "x-other", "1", {}),
        (read_cache, "cf-aig-skip-cache", "TRUE", CacheControl(mode="off")),
        (read_cache, "cf-aig-skip-cache", "false", CacheControl()),
        (read_cache, "cf-aig-cache-ttl", str(LONGEST_TTL), CacheControl(ttl=LONGEST_TTL)),
        (read_cache, "cf-aig-cache-key", "a key", CacheControl(key="a key")),
        (read_cache, "x-other", "1", CacheControl()),
    ],
)
def test_each_header_says_one_thing(read: Read, header: str, text: str, result: object) -> None:
    assert read({header: text}) == result


@pytest.mark.parametrize(
    ("read", "header", "texts"),
    [
        (read_retries, "cf-aig-max-attempts", ["0", "6", "", "-1", "1.5", "two", "\u0663"]),
        (read_retries, "cf-aig-retry-delay", ["5001", "-1", "", "1e3", "9" * 5000]),
        (read_retries, "cf-aig-backoff", ["", "full_jitter", "quadratic", "constant,linear"]),
        (read_timeout, "cf-aig-request-timeout", ["0", "600001", "0000500", "", "1.5", "1_000"]),
        (read_metadata, "cf-aig-metadata", ["", "[]", "{", '{"a":null}', '{"a":{}}']),
        (read_cache, "cf-aig-skip-cache", ["", "1", "yes", " true"]),
        (read_cache, "cf-aig-cache-ttl", ["", "0", "-1", "1.5", " 5", "+5", "1" * 5000]),
        (read_cache, "cf-aig-cache-ttl", [str(LONGEST_TTL + 1)]),
        (read_cache, "cf-aig-cache-key", ["", " a", "\u00e9", "a" * 257, "a\n"]),
    ],
)
def test_nonsense_is_refused_by_the_headers_name(read: Read, header: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(InvalidRequest, match=header) as raised:
            read({header: text})
        assert raised.value.param == header


@example({"cf-aig-max-attempts": "3\x1f"})
@given(st.dictionaries(st.sampled_from(["cf-aig-max-attempts", "cf-aig-retry-delay"]), st.text()))
def test_whatever_the_headers_say_the_bounds_hold(headers: dict[str, str]) -> None:
    try:
        options = read_retries(headers)
    except InvalidRequest:
        return
    assert 1 <= (options.attempts or 1) <= MOST_ATTEMPTS
    assert 0 <= (options.delay_ms or 0) <= 5_000


def test_only_the_plain_word_keeps_a_request_out_of_the_log() -> None:
    assert allows_log({})
    assert allows_log({"cf-aig-collect-log": "no"})
    for word in ("false", "False", " FALSE "):
        assert not allows_log({"cf-aig-collect-log": word})
