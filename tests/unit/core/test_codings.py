"""Bodies that come compressed."""

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.codings import Coding, decode, find_coding
from proxy.core.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType


def bare(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


WAYS: list[tuple[Coding, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", bare),
]


@pytest.mark.parametrize(("coding", "compress"), WAYS)
@given(data=st.binary(max_size=200), times=st.integers(1, 3000))
def test_what_was_compressed_comes_back_and_no_byte_more(
    coding: Coding, compress: Callable[[bytes], bytes], data: bytes, times: int
) -> None:
    body = data * times
    assert decode(coding, compress(body), len(body), None) == body
    if body:
        with pytest.raises(PayloadTooLarge, match="MAX_BODY_BYTES"):
            decode(coding, compress(body), len(body) - 1, None)


@pytest.mark.parametrize(("coding", "compress"), WAYS)
def test_a_bomb_stops_at_the_limit(
    coding: Coding, compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    inflated = 0
    real = zlib.decompressobj

    class Counting:
        def __init__(self, form: int) -> None:
            self.inner = real(form)

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal inflated
            piece = self.inner.decompress(data, most)
            inflated += len(piece)
            return piece

    bomb = compress(bytes(50_000_000))
    monkeypatch.setattr("proxy.core.codings.zlib.decompressobj", Counting)
    with pytest.raises(PayloadTooLarge):
        decode(coding, bomb, 1000, None)
    assert inflated == 1001


def test_the_members_of_a_gzip_body_follow_each_other() -> None:
    assert decode("gzip", gzip.compress(b"ab") + gzip.compress(b"cd"), 4, None) == b"abcd"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: b"",
        lambda body: body[:-1],
        lambda body: body[: len(body) // 2],
        lambda body: body + b"more",
        lambda body: b'{"prompt": "hi"}',
        lambda body: body[:-3] + b"xyz",
    ],
)
def test_what_is_broken_is_refused(coding: Coding, spoil: Callable[[bytes], bytes]) -> None:
    compress = gzip.compress if coding == "gzip" else zlib.compress
    with pytest.raises(InvalidRequest, match=f"can't be decoded as {coding}"):
        decode(coding, spoil(compress(b'{"prompt": "hi"}' * 9)), 1000, None)


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", None),
        ("identity", None),
        ("GZIP", "gzip"),
        (" x-gzip ", "gzip"),
        ("identity, deflate", "deflate"),
        ("br", "br"),
    ],
)
def test_which_codings_are_taken(header: str, coding: Coding | None) -> None:
    assert find_coding(header, brotli=True) == coding


@pytest.mark.parametrize(
    "header", ["zstd", "compress", "gzip, gzip", "gzip,br", "aws-chunked", "*"]
)
def test_which_are_not(header: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="one of gzip, deflate, br is, or none"):
        find_coding(header, brotli=True)


def test_brotli_only_where_it_can_be_decoded() -> None:
    with pytest.raises(UnsupportedMediaType, match="one of gzip, deflate is, or none"):
        find_coding("br", brotli=False)
    assert decode("br", b"xyz", 5, lambda data, limit: data[:limit] * 2) == b"xyzxyz"
