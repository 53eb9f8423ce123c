"""The encoder, read back by a reader of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.offline.capnp_reader import Reader
from tools.offline.capnp import Kind, Module, encode_bundle

MODULES = st.builds(
    Module,
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(Kind),
    st.binary(max_size=100),
)


@given(st.lists(MODULES, max_size=5))
def test_what_was_written_is_read_back(modules: list[Module]) -> None:
    assert Reader(encode_bundle(modules)).modules() == modules


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16])
def test_content_is_padded_to_whole_words(size: int) -> None:
    modules = [Module("m", Kind.DATA, b"x" * size), Module("n", Kind.SRC, b"after")]
    assert Reader(encode_bundle(modules)).modules() == modules


def test_the_bytes_of_a_known_message() -> None:
    message = encode_bundle([Module("a", Kind.WASM, b"\xff")])
    assert message == bytes.fromhex(
        "00000000 0a000000"  # one segment of ten words
        "00000000 00000100"  # root: a struct of one pointer, right here
        "01000000 2f000000"  # modules: a composite list of five words
        "04000000 01000400"  # its tag: one element of one data word and four pointers
        "02000100 00000000"  # internal, wasm
        "0d000000 12000000"  # name: two bytes, three words after this pointer
        "0d000000 0a000000"  # content: one byte, three words after this pointer
        "00000000 00000000"  # no tsDeclaration
        "00000000 00000000"  # no compileCache
        "61000000 00000000"  # "a" and its NUL
        "ff000000 00000000"
    )
