"""What the book of responses keeps, and for how long."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy.responses import book as book_module
from proxy.responses.book import ResponseBook
from proxy.responses.messages import Context, ContextQuery, Exchange, InputQuery
from tests.unit.analytics.shards import PlatformSQL

TTL = 1000
LIMIT = 1_000_000


def make_book() -> ResponseBook:
    return ResponseBook(PlatformSQL(), TTL)


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def item(id_: str, text: str = "Hi") -> dict[str, Any]:
    return {"id": id_, "type": "message", "role": "user", "content": text}


def exchange(
    id_: str, *inputs: dict[str, Any], previous: str | None = None, output: Any = None
) -> Exchange:
    output = [item(f"msg_{id_}", f"answer {id_}")] if output is None else output
    return Exchange(
        id=id_,
        previous=previous,
        input=tuple(map(raw, inputs)),
        body=raw({"id": id_, "object": "response", "output": output}),
    )


def context(book: ResponseBook, previous: str | None = None, *items: str, now: int = 0) -> Context:
    return book.read_context(ContextQuery(previous=previous, items=items, limit=LIMIT), now)


def ids(items: tuple[Raw, ...]) -> list[str]:
    return [json.loads(bytes(each))["id"] for each in items]


def test_a_conversation_comes_back_in_its_order() -> None:
    book = make_book()
    book.keep(exchange("r1", item("a"), item("b")), 0)
    book.keep(exchange("r2", item("c"), previous="r1"), 0)
    book.keep(exchange("r3", item("d"), previous="r2"), 0)
    assert ids(context(book, "r3").earlier) == ["a", "b", "msg_r1", "c", "msg_r2", "d", "msg_r3"]
    assert ids(context(book, "r1").earlier) == ["a", "b", "msg_r1"]


def test_two_may_follow_one() -> None:
    book = make_book()
    book.keep(exchange("r1", item("a")), 0)
    book.keep(exchange("r2", item("b"), previous="r1"), 0)
    book.keep(exchange("r3", item("c"), previous="r1"), 0)
    assert ids(context(book, "r3").earlier) == ["a", "msg_r1", "c", "msg_r3"]


@pytest.mark.parametrize("gone", ["r1", "r2", "r9"])
def test_a_conversation_with_a_gap_is_none(gone: str) -> None:
    book = make_book()
    book.keep(exchange("r1", item("a")), 0)
    book.keep(exchange("r2", item("b"), previous="r1"), 0)
    book.delete(gone)
    assert context(book, "r2" if gone != "r9" else "r9").has_previous is False


def test_what_is_over_is_shown_to_nobody() -> None:
    book = make_book()
    book.keep(exchange("r1", item("a")), 0)
    last, over = TTL - 1, TTL
    assert book.find("r1", last).is_kept
    assert not book.find("r1", over).is_kept
    assert context(book, "r1", now=over).has_previous is False
    assert context(book, None, "a", now=over).items == {}
    assert not book.list_input(InputQuery(id="r1"), over).is_kept
    assert book.find_prune_at() == over
    book.prune(over)
    assert book.find_prune_at() is None


def test_items_are_found_by_their_ids() -> None:
    book = make_book()
    book.keep(exchange("r1", item("a", "one"), {"type": "message", "content": "no id"}), 0)
    found = context(book, None, "a", "msg_r1", "nowhere").items
    assert {id_: json.loads(bytes(each))["content"] for id_, each in found.items()} == {
        "a": "one",
        "msg_r1": "answer r1",
    }


def test_a_deleted_response_leaves_nothing() -> None:
    book = make_book()
    book.keep(exchange("r1", item("a")), 0)
    assert book.delete("r1")
    assert not book.delete("r1")
    assert context(book, None, "a", "msg_r1").items == {}


def test_a_response_of_the_same_id_takes_its_place() -> None:
    book = make_book()
    book.keep(exchange("r1", item("a"), item("b")), 0)
    book.keep(exchange("r1", item("c"), output=[]), 0)
    assert ids(context(book, "r1").earlier) == ["c"]


def test_input_items_by_pages() -> None:
    book = make_book()
    book.keep(exchange("r1", *(item(f"i{n}") for n in range(5))), 0)
    page = book.list_input(InputQuery(id="r1", limit=2), 0)
    assert (ids(page.items), page.has_more) == (["i4", "i3"], True)
    page = book.list_input(InputQuery(id="r1", limit=3, after="i3"), 0)
    assert (ids(page.items), page.has_more) == (["i2", "i1", "i0"], False)
    page = book.list_input(InputQuery(id="r1", limit=2, newest_first=False), 0)
    assert ids(page.items) == ["i0", "i1"]


def test_more_than_a_request_may_hold_is_not_read() -> None:
    book = make_book()
    book.keep(exchange("r1", item("a", "x" * 1000)), 0)
    assert book.read_context(ContextQuery(previous="r1", limit=1000), 0).is_too_large
    assert book.read_context(ContextQuery(items=("a",), limit=1000), 0).is_too_large
    assert not book.read_context(ContextQuery(previous="r1", limit=3000), 0).is_too_large


def test_the_size_is_of_bytes() -> None:
    book = make_book()
    said = Raw(json.dumps(item("a", "\U0001f600" * 1000), ensure_ascii=False).encode())
    book.keep(Exchange(id="r1", input=(said,), body=raw({"id": "r1", "output": []})), 0)
    assert book.read_context(ContextQuery(previous="r1", limit=3000), 0).is_too_large


def test_reading_ends_where_there_is_no_room() -> None:
    sql = PlatformSQL()
    book = ResponseBook(sql, TTL)
    book.keep(exchange("r1", *(item(f"i{n}", "x" * 1000) for n in range(9))), 0)
    texts: list[str] = []

    def counting(query: str, *values: Any) -> Any:
        rows = sql(query, *values)
        texts.extend(text for row in rows for text in row if len(str(text)) > 1000)
        return rows

    book = ResponseBook(counting, TTL)
    assert book.read_context(ContextQuery(items=("i0",) * 9, limit=2000), 0).items
    assert len(texts) == 1
    asked = tuple(f"i{n}" for n in range(9))
    assert book.read_context(ContextQuery(items=asked, limit=2000), 0).is_too_large
    assert len(texts) == 3


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "RESPONSES", 3)
    book = make_book()
    for n in range(5):
        book.keep(exchange(f"r{n}", item(f"i{n}")), 0)
    assert [book.find(f"r{n}", 0).is_kept for n in range(5)] == [False, False, True, True, True]
    monkeypatch.setattr(book_module, "BYTES", 5000)
    book.keep(exchange("large", item("l", "x" * 10_000)), 0)
    assert [book.find(f"r{n}", 0).is_kept for n in range(5)] == [False] * 5
    assert book.find("large", 0).is_kept


@given(text=st.text(max_size=50), piece=st.integers(1, 20))
def test_any_text_comes_back_whatever_its_pieces(text: str, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book_module, "PIECE", piece)
        book = make_book()
        kept = exchange("r1", item("a", text), output=[item("o", text)])
        book.keep(kept, 0)
        assert [bytes(each) for each in context(book, "r1").earlier] == [
            bytes(kept.input[0]),
            json.dumps(item("o", text)).encode(),
        ]
        assert bytes(book.find("r1", 0).body) == bytes(kept.body)


def test_a_chain_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response may name one that follows it: nobody may keep the object busy by that."""
    book = make_book()
    book.keep(exchange("r1", previous="r2"), 0)
    book.keep(exchange("r2", previous="r1"), 0)
    assert context(book, "r2").has_previous is False


def test_after_its_keys_end_nothing_is_kept() -> None:
    book = make_book()
    book.keep(exchange("r1", item("a")), 0)
    book.forget(500)
    assert not book.find("r1", 500).is_kept
    assert not context(book, "r1").has_previous
    assert not context(book, None, "a", "msg_r1").items
    book.keep(exchange("r2", item("b")), 501)  # of a request that was under way
    assert not book.find("r2", 501).is_kept
    assert book.find_prune_at() == 500 + book_module.LATE
    book.prune(500 + book_module.LATE)
    assert book.find_prune_at() is None
