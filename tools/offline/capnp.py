"""Encode a Pyodide bundle as a Cap'n Proto message.

workerd reads the Python runtime from one message of this schema:

    struct Bundle { modules @0 :List(Module); }
    struct Module {
      name @0 :Text;
      union { src @1 :Data; wasm @4 :Data; data @5 :Data; json @6 :Text; }
      type @2 :ModuleType;            # bundle @0, builtin @1, internal @2
      tsDeclaration @3 :Text;
      compileCache @7 :Data;
    }

The shape is fixed and written once, so this is not a general encoder. The layout follows
the encoding specification of Cap'n Proto ("Encoding Spec", sections Messages, Structs,
Lists and Serialization Over a Stream): 64-bit little-endian words, one segment, a struct
pointer to the root, a composite list of the modules, then the bytes that they point to.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

WORD = 8
_DATA_WORDS = 1  # of a Module: its type and which member of the union is set
_POINTERS = 4  # of a Module: name, the union's member, tsDeclaration, compileCache
_MODULE_WORDS = _DATA_WORDS + _POINTERS
_LIST_TAG = 2  # the word that opens the list's content, after the root pointer and the root
_BYTE_ELEMENTS = 2
_COMPOSITE_ELEMENTS = 7
_TYPE_INTERNAL = 2


class Kind(IntEnum):
    """Which member of a module's union is set, by its discriminant."""

    SRC = 0
    WASM = 1
    DATA = 2


class Module(NamedTuple):
    """One internal module of the runtime."""

    name: str
    kind: Kind
    content: bytes


def encode_bundle(modules: Sequence[Module]) -> bytes:
    """Return the message: the stream framing of one segment, then the segment."""
    first_module = _LIST_TAG + 1
    blob_at = first_module + len(modules) * _MODULE_WORDS
    words = [
        _struct_pointer(0, data_words=0, pointers=1),
        _list_pointer(0, _COMPOSITE_ELEMENTS, len(modules) * _MODULE_WORDS),
        _struct_pointer(len(modules), data_words=_DATA_WORDS, pointers=_POINTERS),
    ]
    blobs: list[bytes] = []
    for index, module in enumerate(modules):
        words.append(struct.pack("<HHI", _TYPE_INTERNAL, module.kind, 0))
        pointer_at = first_module + index * _MODULE_WORDS + _DATA_WORDS
        for blob in (module.name.encode() + b"\0", module.content):
            words.append(_list_pointer(blob_at - pointer_at - 1, _BYTE_ELEMENTS, len(blob)))
            blobs.append(_padded(blob))
            blob_at += len(blobs[-1]) // WORD
            pointer_at += 1
        words.append(bytes(2 * WORD))  # no tsDeclaration, no compileCache
    return struct.pack("<II", 0, blob_at) + b"".join(words + blobs)


def _struct_pointer(offset: int, *, data_words: int, pointers: int) -> bytes:
    """A pointer to a struct; as the tag of a composite list, `offset` is the element count."""
    return struct.pack("<IHH", offset << 2, data_words, pointers)


def _list_pointer(offset: int, element_size: int, count: int) -> bytes:
    """A pointer to a list that starts `offset` words after the pointer's end."""
    return struct.pack("<II", offset << 2 | 1, count << 3 | element_size)


def _padded(blob: bytes) -> bytes:
    return blob + bytes(-len(blob) % WORD)
