"""An image's size by the first bytes of its URL, and the tokens that follow from it."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest
from proxy.core.messages import ImageURL, Message, Part
from proxy.limits.estimate import count_input_tokens
from tests.unit.limits.pictures import (
    data,
    gif,
    jpeg,
    png,
    webp,
    webp_extended,
    webp_lossless,
    webp_lossy,
)


def image(url: str, detail: str | None = None) -> int:
    part = Part("image_url", image_url=ImageURL(url, detail))
    one, none = (ChatRequest(messages=(Message("user", it),)) for it in ((part,), ()))
    return count_input_tokens(one) - count_input_tokens(none)


FORMATS = [png, jpeg, gif, webp_lossless, webp_lossy, webp_extended]


class TestImages:
    @pytest.mark.parametrize("form", FORMATS)
    @pytest.mark.parametrize(
        ("width", "height", "tiles"),
        [
            (1, 1, 1),
            (512, 512, 1),
            (513, 300, 2),
            (300, 1025, 3),
            (1024, 1024, 4),
            (2048, 4096, 6),
            (12_000, 200, 4),
        ],
    )
    def test_the_first_bytes_tell_the_size(
        self, form: Callable[[int, int], str], width: int, height: int, tiles: int
    ) -> None:
        assert image(form(width, height)) == 85 + 170 * tiles

    def test_a_camera_puts_much_before_the_size(self) -> None:
        assert image(jpeg(300, 300, (65_000, 18, 40))) == 85 + 170

    def test_low_detail_is_a_thumbnail(self) -> None:
        assert image(png(2000, 2000), "low") == 85

    @pytest.mark.parametrize(
        "url",
        [
            "https://example.com/a.png",
            "data:image/png;base64,",
            "data:image/png;base64,iVBORw0KGgo",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhE",
            "data:image/png;base64," + "!" * 99,
            "data:image/png;base64," + "é" * 99,
            "data:image/png",
            "data:application/pdf;base64,JVBERi0xLjQK",
            data(b"BM" + bytes(50), "bmp"),
            data(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(8)),
            data(b"\xff\xd8\xff\xe1\xff\xff", "jpeg"),
            data(b"\xff\xd8" + b"\xff" * 90_000, "jpeg"),
            data(b"\xff\xd8" + b"\xff\xe0\0\2" * 20_000, "jpeg"),
            webp(b"VP9 ", bytes(20)),
        ],
    )
    def test_one_whose_size_is_not_told_is_a_typical_one(self, url: str) -> None:
        assert image(url) == 765

    @given(
        st.binary(max_size=60), st.sampled_from([b"\xff\xd8", b"\x89PNG", b"RIFF", b"GIF8", b""])
    )
    def test_no_bytes_are_too_strange(self, rest: bytes, begin: bytes) -> None:
        assert 85 <= image(data(begin + rest)) <= 85 + 8 * 170


def test_a_picture_of_20_megabytes_is_not_copied() -> None:
    for url in (png(9000, 9000), jpeg(9000, 9000), data(b"\xff\xd8" + b"\xff\xe0\0\2" * 9999)):
        part = Part("image_url", image_url=ImageURL(url + "A" * 20_000_000))
        chat = ChatRequest(messages=(Message("user", (part,)),))
        tracemalloc.start()
        count_input_tokens(chat)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 500_000
