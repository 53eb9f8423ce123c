"""What is refused before a decoder sees it."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import proxy
from proxy.core.json_guard import MAX_DEPTH, MAX_VALUES, Decoder, Unsafe, find_excess

SOURCE = Path(proxy.__file__).parent
TOO_DEEP = "it is nested deeper than 64 levels"
TOO_MANY = "it holds more than 500000 values"


def nested(depth: int, open_: bytes = b"[", close: bytes = b"]") -> bytes:
    return open_ * depth + close * depth


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        nested(MAX_DEPTH),
        nested(MAX_DEPTH // 2, b'{"a":[', b"]}"),
        b"[" + b",".join([nested(MAX_DEPTH - 1)] * 9) + b"]",
        b"[" + b"[],{}," * 1000 + b"0]",
        b'["' + b"[{" * 5000 + b'"]',
        b'["' + b'\\"[{' * 5000 + b'"]',
        b'["' + b"\\\\" * 99 + b'",' + b"[]," * 99 + b'"' + b"[" * 99 + b'"]',
        b'["' + b"a, " * MAX_VALUES + b'"]',
        b"[" + b"0," * (MAX_VALUES - 2) + b"0]",
    ],
)
def test_what_is_fit_to_decode(text: bytes) -> None:
    assert find_excess(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (nested(MAX_DEPTH + 1), TOO_DEEP),
        (nested(33, b'{"a":[', b"]}"), TOO_DEEP),
        (nested(100_000), TOO_DEEP),
        (b"[" * 100_000, TOO_DEEP),
        (b'{"a":' * 100_000, TOO_DEEP),
        (b'["\\\\",' + nested(65) + b"]", TOO_DEEP),
        (b'["\\\\\\"",' + nested(65) + b"]", TOO_DEEP),
        (b"[" * 1000 + b"x" + b"]" * 1000, TOO_DEEP),
        (b"[" + b"0," * MAX_VALUES + b"0]", TOO_MANY),
        (b"[" + b"[]," * MAX_VALUES + b"[]]", TOO_MANY),
        (b"[" + b'"",' * (2 * MAX_VALUES) + b"0]", TOO_MANY),
    ],
)
def test_what_is_not(text: bytes, reason: str) -> None:
    assert find_excess(text) == reason


def depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


JSON = st.recursive(
    st.none() | st.integers(0, 9) | st.text("a\\\"[]{},'", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"[', max_size=2), inner),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.integers(0, 70))
def test_depth_is_exact(value: object, wrapped: int) -> None:
    for _ in range(wrapped):
        value = [value]
    text = json.dumps(value).encode()
    assert find_excess(text) == (TOO_DEEP if depth(value) > MAX_DEPTH else None)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b",", b'"a":', b"1"])))
def test_what_passes_never_gets_deep(pieces: list[bytes]) -> None:
    text = b"".join(pieces) + b"[" * 130
    if find_excess(text) is None:
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(text)


def test_a_decoder_refuses_what_is_not_safe() -> None:
    decoder = Decoder(object)
    assert decoder.decode(memoryview(b'{"a": [1]}')) == {"a": [1]}
    assert decoder.decode(b"[0,0,0]", max_values=4) == [0, 0, 0]
    for text, limit in ((nested(65), MAX_VALUES), (b"[0,0,0]", 2)):
        with pytest.raises(Unsafe, match=r"^It "):
            decoder.decode(text, max_values=limit)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from([b"[", b"]", b'"', b"\\", b",", b"x"]), max_size=40),
    st.integers(1, 9),
)
def test_it_reads_the_same_in_pieces_of_any_size(pieces: list[bytes], size: int) -> None:
    text = b"[" * 70 + b'"' + b"".join(pieces) + b'"' + b"]" * 70
    whole = find_excess(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.core.json_guard._PIECE", size)
        assert find_excess(text) == whole


UNGUARDED = re.compile(r"\b(msgspec\.json\.(decode|Decoder)|json\.loads)\(")
READ_AFTER_CHECK = {
    "providers/catalog_file.py",  # the operator's own file
    "routing/board.py",  # what the proxy itself wrote
    "routing/vendors.py",  # a caller's, which has passed reading.check
}


def test_nothing_that_a_provider_sends_is_decoded_unguarded() -> None:
    unguarded = {
        path.relative_to(SOURCE).as_posix()
        for folder in ("providers", "routing")
        for path in (SOURCE / folder).glob("*.py")
        if UNGUARDED.search(path.read_text())
    }
    assert unguarded == READ_AFTER_CHECK
