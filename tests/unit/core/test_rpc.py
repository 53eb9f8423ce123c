"""What crosses the border of an object, and that somebody answers each method."""

import re
from collections import Counter
from pathlib import Path
from types import NoneType

import pytest
from msgspec import Raw, Struct

from proxy.core.rpc import NOTHING, Codec, as_bytes, as_msgpack, as_text

SRC = Path(__file__).parents[3] / "src" / "proxy"


class Held(Struct, frozen=True):
    text: str
    data: bytes = b""


class Log(Struct, frozen=True):
    events: Raw


@pytest.mark.parametrize(
    ("codec", "crosses_as"),
    [(as_text(Held), str), (as_bytes(Held), bytes), (as_msgpack(Held), bytes)],
)
def test_a_value_crosses_whole(codec: Codec[Held], crosses_as: type) -> None:
    value = Held('a"é', b"\0\xff")
    crossed = codec.encode(value)
    assert type(crossed) is crosses_as
    assert codec.decode(crossed) == value


def test_json_is_passed_on_as_it_is() -> None:
    assert as_bytes(Log).encode(Log(Raw(b"[1, 2]"))) == b'{"events":[1, 2]}'
    assert bytes(as_bytes(Log).decode(b'{"events":[1, 2]}').events) == b"[1, 2]"


def test_nothing_crosses_as_something() -> None:
    assert (NOTHING.encode(None), NOTHING.decode("null")) == ("null", None)
    assert as_text(NoneType).decode(b"null") is None


@pytest.mark.parametrize("crossed", ["", "null", b"\xff", '{"text": 1}'])
def test_what_is_no_value_is_a_value_error(crossed: str | bytes) -> None:
    with pytest.raises(ValueError):
        as_text(Held).decode(crossed)


def test_each_method_is_answered_by_one_function() -> None:
    sources = [path.read_text() for path in SRC.rglob("*.py")]
    declared = Counter(
        name for s in sources for name in re.findall(r"(?m)^([A-Z_]+) = Method\(", s)
    )
    served = Counter(name for s in sources for name in re.findall(r"@serves\((\w+)\)", s))
    assert declared == served
    assert len(served) > 20
    assert set(served.values()) == {1}
