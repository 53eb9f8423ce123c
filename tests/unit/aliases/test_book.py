"""The book of aliases."""

import json

import msgspec
import pytest
from msgspec import Raw

from proxy.aliases import book as module
from proxy.aliases.book import AliasBook
from proxy.aliases.messages import AliasRange, NewAlias, OldAlias
from tests.unit.analytics.shards import PlatformSQL


def new(name: str, text: str = "", *, may_replace: bool = False) -> NewAlias:
    return NewAlias(name, Raw(msgspec.json.encode({"name": name, "text": text})), may_replace)


@pytest.fixture
def book() -> AliasBook:
    return AliasBook(PlatformSQL())


def names(book: AliasBook) -> list[str]:
    return [json.loads(bytes(body))["name"] for body in book.read(-1).bodies or ()]


def test_what_is_put_is_read(book: AliasBook) -> None:
    assert book.put(new("a", "\u00e4"), 5).outcome == "created"
    found = book.find("a").alias
    assert found and (json.loads(bytes(found.body)), found.at) == (
        {"name": "a", "text": "\u00e4"},
        5,
    )
    assert book.find("b").alias is None


def test_one_that_exists_is_replaced_only_where_that_is_wanted(book: AliasBook) -> None:
    book.put(new("a", "1"), 1)
    assert book.put(new("a", "2"), 2).outcome == "exists"
    assert book.put(new("a", "3", may_replace=True), 3).outcome == "replaced"
    assert book.put(new("b", may_replace=True), 4).outcome == "created"
    found = book.find("a").alias
    assert found and json.loads(bytes(found.body))["text"] == "3"


def test_a_version_for_each_change(book: AliasBook) -> None:
    versions = [book.read(-1).version]
    book.put(new("a"), 1)
    versions.append(book.read(-1).version)
    assert book.read(versions[-1]).bodies is None
    book.put(new("a"), 2)  # refused
    assert book.delete(OldAlias("b")).outcome == "unknown"
    assert book.read(versions[-1]).bodies is None
    assert book.delete(OldAlias("a")).outcome == "deleted"
    versions.append(book.read(-1).version)
    assert versions == sorted(set(versions))
    assert names(book) == []


def test_it_survives_its_object() -> None:
    sql = PlatformSQL()
    AliasBook(sql).put(new("a"), 1)
    again = AliasBook(sql)
    assert (names(again), again.read(-1).version) == (["a"], 1)


def test_pages_in_the_order_in_which_they_were_made(book: AliasBook) -> None:
    for name in "cab":
        book.put(new(name), 1)
    book.put(new("c", may_replace=True), 2)
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        page = book.read_page(AliasRange(after, 2))
        assert len(page.aliases) <= 2
        seen += [json.loads(bytes(kept.body))["name"] for kept in page.aliases]
        after = page.next
    assert seen == ["c", "a", "b"]


def test_its_bounds(book: AliasBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ALIASES", 2)
    monkeypatch.setattr(module, "MOST_BYTES", 200)
    assert book.put(new("a"), 1).outcome == "created"
    assert book.put(new("b", "x" * 170), 1).outcome == "too much"
    assert book.put(new("b"), 1).outcome == "created"
    assert book.put(new("c"), 1).outcome == "too many"
    assert book.put(new("a", "\u00e4" * 80, may_replace=True), 1).outcome == "too much"
    assert book.put(new("a", "x" * 60, may_replace=True), 1).outcome == "replaced"
