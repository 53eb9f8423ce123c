"""Reads a bundle back by Cap'n Proto's specification alone.

It shares nothing with the encoder: it starts at the root and follows the pointers, as workerd does.
"""

import struct
from typing import NamedTuple

from tools.offline.capnp import Kind, Module


class Struct(NamedTuple):
    """Where a struct's data and pointers lie, in words."""

    at: int
    data_words: int
    pointers: int


class Reader:
    """Reads one segment with the encoding's own rules and bounds."""

    def __init__(self, message: bytes) -> None:
        last_segment, words = struct.unpack_from("<II", message)
        assert last_segment == 0
        assert len(message) == 8 + 8 * words
        self.words = [message[at : at + 8] for at in range(8, len(message), 8)]

    def struct_at(self, at: int) -> Struct:
        offset, data_words, pointers = struct.unpack("<iHH", self.words[at])
        assert offset & 3 == 0
        return Struct(at + 1 + (offset >> 2), data_words, pointers)

    def list_at(self, at: int) -> tuple[int, int, int]:
        """The first word, the size code of the elements, and their count."""
        offset, elements = struct.unpack("<iI", self.words[at])
        assert offset & 3 == 1
        return at + 1 + (offset >> 2), elements & 7, elements >> 3

    def structs_at(self, at: int) -> list[Struct]:
        first, code, words = self.list_at(at)
        assert code == 7
        tag, data_words, pointers = struct.unpack("<iHH", self.words[first])
        count, size = tag >> 2, data_words + pointers
        assert count * size == words
        return [Struct(first + 1 + i * size, data_words, pointers) for i in range(count)]

    def bytes_at(self, at: int) -> bytes:
        first, code, count = self.list_at(at)
        assert code == 2
        blob = b"".join(self.words[first : first + -(-count // 8)])
        assert len(blob) >= count
        assert not any(blob[count:])
        return blob[:count]

    def modules(self) -> list[Module]:
        root = self.struct_at(0)
        assert (root.data_words, root.pointers) == (0, 1)
        return [self.module(where) for where in self.structs_at(root.at)]

    def module(self, where: Struct) -> Module:
        kind, discriminant = struct.unpack("<HHxxxx", self.words[where.at])
        assert kind == 2, "of type internal"
        pointers = where.at + where.data_words
        name = self.bytes_at(pointers)
        assert name.endswith(b"\0")
        assert self.words[pointers + 2 : pointers + 4] == [bytes(8)] * 2
        return Module(name[:-1].decode(), Kind(discriminant), self.bytes_at(pointers + 1))
