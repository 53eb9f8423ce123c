"""The methods of the Durable Objects: what crosses the border of one, and as what.

A value crosses as one text or as bytes; a nested object would cost three times as much.
"""

from collections.abc import Callable
from types import NoneType
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")

_JSON = msgspec.json.Encoder()


class Codec(Struct, Generic[T], frozen=True):
    """How the values of a type cross. decode raises ValueError for what is none."""

    encode: Callable[[T], str | bytes]
    decode: Callable[[Any], T]


def as_text(kind: type[T]) -> Codec[T]:
    """JSON, as a text."""
    return Codec(lambda value: _JSON.encode(value).decode(), msgspec.json.Decoder(kind).decode)


def as_bytes(kind: type[T]) -> Codec[T]:
    """JSON, as bytes: long ones cross faster than a text."""
    return Codec(_JSON.encode, msgspec.json.Decoder(kind).decode)


def as_msgpack(kind: type[T]) -> Codec[T]:
    """msgpack: for values that hold bytes."""
    return Codec(msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(kind).decode)


NOTHING = as_text(NoneType)


class Method(Struct, Generic[A, R], frozen=True):
    """A method of the objects behind one binding, declared beside the machine that answers it."""

    binding: str
    name: str
    argument: Codec[A]
    answer: Codec[R]
