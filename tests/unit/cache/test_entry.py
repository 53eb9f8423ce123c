"""Entries as bytes: all comes back, and what is foreign is refused."""

import contextlib
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxy.cache import entry as module
from proxy.cache.entry import CacheEntry, ForeignEntry, Unstorable, decode, encode
from proxy.core.chat import Answer, Cost, Usage
from proxy.core.messages import FunctionCall, ToolCall
from tests.unit.cache.answers import ANSWERS, NAMES, TOKENS
from tests.unit.cache.making import NOW, make_entry

TIMES = st.floats(0, 1e10)
ENTRIES = st.builds(
    CacheEntry,
    answer=ANSWERS,
    provider=NAMES,
    model=NAMES,
    cost=st.builds(
        Cost, st.none() | TOKENS, st.sampled_from([None, "provider", "computed", "estimated"])
    ),
    born=TIMES,
    stored=TIMES,
    ttl=st.integers(0, 10**8),
    grace=st.integers(0, 10**8),
    user=st.none() | st.text(),
)


class TestTimes:
    def test_an_entry_is_fresh_for_its_ttl_and_gone_after_its_grace(self) -> None:
        entry = make_entry(grace=30)
        assert (entry.fresh_until, entry.gone_after) == (NOW + 60, NOW + 90)

    @pytest.mark.parametrize(
        ("passed", "age", "remaining"),
        [
            (0, 0, 60),
            (0.5, 0, 59),
            (59.5, 59, 0),
            (60.5, 60, -1),
            (90, 90, -30),
            (-100, 0, 60),  # the clock has stepped back
        ],
    )
    def test_age_and_what_remains_are_whole_seconds(
        self, passed: float, age: int, remaining: int
    ) -> None:
        entry, now = make_entry(), NOW + passed
        assert (entry.age(now), entry.remaining(now)) == (age, remaining)


def sealed(body: bytes, flag: bytes = b"\0") -> bytes:
    """`body` as an entry whose checksum is right."""
    checksum = zlib.crc32(flag + body).to_bytes(4, "big")
    return b"APC\x01" + flag + checksum + body


def deflated(body: bytes | bytearray) -> bytes:
    return zlib.compress(body, wbits=-15)


class TestBytes:
    @settings(deadline=None)
    @given(ENTRIES)
    def test_an_entry_comes_back_as_it_was(self, entry: CacheEntry) -> None:
        assert decode(encode(entry)) == entry

    def test_the_raw_answer_is_left_out(self) -> None:
        answer = Answer(text="a", raw=b"{}", id="chatcmpl-1", created=5)
        back = decode(encode(make_entry(answer=answer)))
        assert back.answer == structs.replace(answer, raw=None)

    def test_what_was_written_long_ago_is_still_read(self) -> None:
        """If this fails raise FORM: entries of the old form are in people's stores."""
        written = bytes.fromhex(
            "4150430100aa1c7c9f89a6616e737765728ca474657874a24869a9726561736f6e696e67c0a77265"
            "667573616cc0aa746f6f6c5f63616c6c739182a26964a163a866756e6374696f6e82a46e616d65a1"
            "66a9617267756d656e7473a27b7dad66696e6973685f726561736f6ea473746f70a5757361676586"
            "a5696e70757401a66f757470757402a6636163686564c0ab63616368655f7772697465c0a9726561"
            "736f6e696e67c0a4636f7374c0a56d6f64656cc0a26964c0a763726561746564c0a86c6f6770726f"
            "6273c0a5657874726180a3726177c0a870726f7669646572a667656d696e69a56d6f64656ca16da4"
            "636f737482a86e616e6f5f75736405a66f726967696ea8636f6d7075746564a4626f726ecb408f3c"
            "0000000000a673746f726564cb408f400000000000a374746c3ca567726163651ea475736572a175"
        )
        answer = Answer(
            text="Hi",
            usage=Usage(input=1, output=2),
            tool_calls=(ToolCall(id="c", function=FunctionCall("f", "{}")),),
        )
        cost = Cost(5, "computed")
        entry = CacheEntry(
            answer=answer,
            provider="gemini",
            model="m",
            cost=cost,
            born=999.5,
            stored=1000.0,
            ttl=60,
            grace=30,
            user="u",
        )
        assert decode(written) == entry

    def test_long_entries_are_deflated(self) -> None:
        assert len(encode(make_entry("word " * 1000))) < 500
        assert b"word word" in encode(make_entry("word " * 10))

    @pytest.mark.parametrize("text", ["Paris.", "A long text, deflated. " * 100])
    def test_no_byte_can_be_changed_or_cut_off(self, text: str) -> None:
        data = encode(make_entry(text))
        for place in range(len(data)):
            for flip in (1, 0x80, 0xFF):
                changed = data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
                with pytest.raises(ForeignEntry):
                    decode(changed)
            with pytest.raises(ForeignEntry):
                decode(data[:place])
        with pytest.raises(ForeignEntry):
            decode(data + b"\0")

    @settings(deadline=None)
    @given(st.binary(max_size=200), st.sampled_from([b"", b"APC\x01", b"APC\x01\0", b"APC\x01\1"]))
    def test_foreign_bytes_are_refused(self, data: bytes, head: bytes) -> None:
        with pytest.raises(ForeignEntry):
            decode(head + data)

    @pytest.mark.parametrize("form", [0, 2, 255])
    def test_other_forms_are_refused(self, form: int) -> None:
        data = encode(make_entry())
        with pytest.raises(ForeignEntry, match="form 1"):
            decode(data[:3] + bytes([form]) + data[4:])

    @settings(deadline=None)
    @given(st.data())
    def test_whatever_stands_under_a_right_checksum_only_foreign_entry_is_raised(
        self, data: st.DataObject
    ) -> None:
        body = bytearray(msgspec.msgpack.encode(make_entry()))
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        for flag, packed in ((b"\0", bytes(body)), (b"\1", deflated(body)), (b"\1", bytes(body))):
            with contextlib.suppress(ForeignEntry):
                decode(sealed(packed, flag))

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (b"\x91" * 100_000 + b"\1", "recursion"),
            (b"\x81\x80\x01", "hashable"),
            (b"\xdd\x7f\xff\xff\xff", "truncated"),
            (b"\xa1\xff", "utf-8"),
        ],
    )
    def test_msgpack_that_no_decoder_should_meet_is_refused(self, value: bytes, why: str) -> None:
        body = msgspec.msgpack.encode(make_entry(answer=Answer(logprobs="HERE")))
        poisoned = body.replace(msgspec.msgpack.encode("HERE"), value)
        with pytest.raises(ForeignEntry, match=f"(?i){why}"):
            decode(sealed(poisoned))

    def test_what_inflates_without_end_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        body = msgspec.msgpack.encode(make_entry("x" * 100_000))
        assert decode(sealed(deflated(body), b"\1")) == make_entry("x" * 100_000)
        for more in (b"\0", deflated(body)):
            with pytest.raises(ForeignEntry, match="inflates"):
                decode(sealed(deflated(body) + more, b"\1"))
        with pytest.raises(ForeignEntry, match="inflates"):
            decode(sealed(deflated(body)[:-5], b"\1"))
        monkeypatch.setattr(module, "LARGEST", len(body))
        assert decode(sealed(deflated(body), b"\1")) == make_entry("x" * 100_000)
        monkeypatch.setattr(module, "LARGEST", len(body) - 1)
        with pytest.raises(ForeignEntry, match="inflates"):
            decode(sealed(deflated(body), b"\1"))

    def test_what_decode_would_refuse_is_not_encoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for extra in ({"n": 2**64}, {"s": "\ud800"}):
            with pytest.raises(Unstorable):
                encode(make_entry(answer=Answer(extra=extra)))
        size = len(msgspec.msgpack.encode(make_entry("x" * 5000)))
        monkeypatch.setattr(module, "LARGEST", size)
        assert decode(encode(make_entry("x" * 5000))).answer.text == "x" * 5000
        monkeypatch.setattr(module, "LARGEST", size - 1)
        with pytest.raises(Unstorable, match="too large"):
            encode(make_entry("x" * 5000))
        with pytest.raises(ForeignEntry):
            decode(sealed(msgspec.msgpack.encode(make_entry("x" * 5000))))
