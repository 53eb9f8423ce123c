"""The table of who controls the cache, cell by cell, and that the nearest voice wins."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.cache.directives import Directives, read_directives
from proxy.core.cache_control import LONGEST_TTL, CacheControl
from proxy.core.errors import InvalidRequest
from proxy.dialects.cloudflare import read_cache

TTL = 3600
USUAL = Directives(read=True, store=True, ttl=TTL)
SILENT = CacheControl()


def decide(
    body: CacheControl = SILENT, headers: dict[str, str] | None = None, ttl: int = TTL
) -> Directives:
    return read_directives((read_cache(headers or {}), body), headers or {}, ttl)


@pytest.mark.parametrize(
    ("body", "cell"),
    [
        ({}, {}),
        ({"mode": "refresh"}, {"read": False}),
        ({"mode": "off"}, {"read": False, "store": False}),
        ({"store": False}, {"store": False}),
        ({"mode": "refresh", "store": False}, {"read": False, "store": False}),
        ({"ttl": 5}, {"ttl": 5}),
        ({"max_age": 5}, {"max_age": 5}),
        ({"max_age": 0}, {"max_age": 0}),
        ({"namespace": "n"}, {"namespace": "n"}),
    ],
)
def test_the_bodys_cells(body: dict[str, Any], cell: dict[str, Any]) -> None:
    assert decide(CacheControl(**body)) == structs.replace(USUAL, **cell)


@pytest.mark.parametrize(
    ("header", "text", "cell"),
    [
        ("cf-aig-skip-cache", "true", {"read": False, "store": False}),
        ("cf-aig-skip-cache", "True", {"read": False, "store": False}),
        ("cf-aig-skip-cache", "false", {}),
        ("cf-aig-cache-ttl", "1", {"ttl": 1}),
        ("cf-aig-cache-ttl", str(LONGEST_TTL), {"ttl": LONGEST_TTL}),
        ("cf-aig-cache-key", "own", {"key": "own"}),
        ("cf-aig-cache-key", "!" + "~ " * 127 + "x", {"key": "!" + "~ " * 127 + "x"}),
        ("cache-control", "no-cache", {"read": False}),
        ("cache-control", "no-store", {"read": False, "store": False}),
        ("cache-control", "max-age=5", {"max_age": 5}),
        ("cache-control", "max-age=0", {"max_age": 0}),
        ("cache-control", 'max-age="5"', {"max_age": 5}),
        ("cache-control", "only-if-cached", {"only_if_cached": True}),
        ("cache-control", "No-Cache", {"read": False}),
        (
            "cache-control",
            "x=1 ,MAX-AGE=5,\tonly-if-cached",
            {"max_age": 5, "only_if_cached": True},
        ),
    ],
)
def test_the_headers_cells(header: str, text: str, cell: dict[str, Any]) -> None:
    assert decide(headers={header: text}) == structs.replace(USUAL, **cell)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ",",
            "=",
            "public",
            "no-transform",
            "no-cach",
            "no-storee",
            "xno-store",
            "s-maxage=5",
        ),
        *("max-age", "max-age=", "max-age=x", "max-age=-1", "max-age=+1", "max-age=1.5"),
        *("max-age=9999999999", "max-stale=5", "min-fresh=5"),
    ],
)
def test_cache_control_that_is_unknown_or_malformed_is_ignored(text: str) -> None:
    assert decide(headers={"cache-control": text}) == USUAL
    assert decide(headers={"cache-control": f"{text}, max-age=7"}).max_age == 7
    assert decide(headers={"cache-control": f"max-age=7, {text}"}).max_age == 7


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ("cf-aig-skip-cache", ["", "yes", "1", "0", "true,true", " true"]),
        (
            "cf-aig-cache-ttl",
            ["", "0", "-1", "1.5", "1e3", "x", " 5", "+5", str(LONGEST_TTL + 1), "1" * 5000],
        ),
        ("cf-aig-cache-key", ["", " a", "a\tb", "a\n", "a\x7f", "ä", "k" * 257]),
    ],
)
def test_a_wrong_cf_aig_header_is_refused_by_its_name(header: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(InvalidRequest, match=header) as caught:
            decide(CacheControl(ttl=1, mode="off"), {header: text})
        assert (caught.value.param, caught.value.status) == (header, 400)


class TestNearest:
    def test_body_before_cloudflare_before_cache_control_before_the_deployment(self) -> None:
        headers = {
            "cf-aig-cache-ttl": "20",
            "cache-control": "no-store, max-age=30",
        }
        assert decide(CacheControl(ttl=10, max_age=5), headers) == Directives(
            read=False, store=False, ttl=10, max_age=5
        )
        assert decide(headers=headers) == Directives(read=False, store=False, ttl=20, max_age=30)

    def test_each_cell_for_itself(self) -> None:
        body = CacheControl(ttl=10, namespace="n")
        headers = {
            "cf-aig-cache-key": "k",
            "cf-aig-cache-ttl": "99",
            "cache-control": "no-cache, max-age=7",
        }
        directives = decide(body, headers)
        expected = structs.replace(USUAL, read=False, ttl=10, max_age=7, key="k", namespace="n")
        assert directives == expected

    def test_skip_cache_false_is_no_word_against_no_store(self) -> None:
        directives = decide(headers={"cf-aig-skip-cache": "false", "cache-control": "no-store"})
        assert (directives.read, directives.store) == (False, False)

    @pytest.mark.parametrize(
        "headers", [{"cache-control": "no-store"}, {"cf-aig-skip-cache": "true"}]
    )
    def test_refresh_says_nothing_of_storing(self, headers: dict[str, str]) -> None:
        directives = decide(CacheControl(mode="refresh"), headers)
        assert (directives.read, directives.store) == (False, False)


class TestOnRequestOnly:
    """CACHE_TTL=0."""

    def test_nothing_is_cached(self) -> None:
        assert decide(ttl=0) == Directives(read=False, store=False, ttl=0)

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (CacheControl(max_age=5), {}),
            (CacheControl(namespace="n"), {}),
            (SILENT, {"cf-aig-cache-key": "k"}),
            (SILENT, {"cf-aig-skip-cache": "false"}),
            (SILENT, {"cache-control": "max-age=60, only-if-cached"}),
        ],
    )
    def test_what_gives_no_ttl_wants_no_cache(
        self, body: CacheControl, headers: dict[str, str]
    ) -> None:
        directives = decide(body, headers, 0)
        assert (directives.read, directives.store, directives.ttl) == (False, False, 0)

    @pytest.mark.parametrize(
        ("body", "headers"),
        [(CacheControl(ttl=9), {}), (SILENT, {"cf-aig-cache-ttl": "9"})],
    )
    def test_a_ttl_wants_it(self, body: CacheControl, headers: dict[str, str]) -> None:
        assert decide(body, headers, 0) == Directives(read=True, store=True, ttl=9)

    def test_a_ttl_with_a_refusal_does_not(self) -> None:
        directives = decide(CacheControl(ttl=9), {"cache-control": "no-store"}, 0)
        assert (directives.read, directives.store) == (False, False)

    def test_refresh_with_a_ttl_stores(self) -> None:
        directives = decide(CacheControl(ttl=9, mode="refresh"), ttl=0)
        assert directives == Directives(read=False, store=True, ttl=9)

    def test_refresh_without_a_ttl_stores_nothing(self) -> None:
        assert not decide(CacheControl(mode="refresh"), ttl=0).store


@st.composite
def voices(draw: st.DrawFn) -> tuple[CacheControl, dict[str, str], list[dict[str, Any]]]:
    """A body and headers, with what each says: the nearest first."""
    seconds = st.integers(1, LONGEST_TTL)
    body = draw(
        st.builds(
            CacheControl,
            ttl=st.none() | seconds,
            mode=st.sampled_from(["default", "off"]),
            store=st.booleans(),
            max_age=st.none() | seconds,
            namespace=st.none() | st.just("n"),
        )
    )
    nearest = {"ttl": body.ttl, "max_age": body.max_age, "namespace": body.namespace}
    nearest |= {"read": False if body.mode == "off" else None}
    nearest |= {"store": False if body.mode == "off" or not body.store else None}
    headers: dict[str, str] = {}
    skip, ttl, key = draw(st.tuples(st.booleans(), st.none() | seconds, st.none() | st.just("k")))
    if skip:
        headers["cf-aig-skip-cache"] = "true"
    if ttl:
        headers["cf-aig-cache-ttl"] = str(ttl)
    if key:
        headers["cf-aig-cache-key"] = key
    off = False if skip else None
    second = {"read": off, "store": off, "ttl": ttl, "key": key}
    words = draw(st.lists(st.sampled_from(["no-store", "no-cache", "only-if-cached", "odd"])))
    age = draw(st.none() | seconds)
    headers["cache-control"] = ", ".join([*words, *([f"max-age={age}"] if age else [])])
    third = {
        "read": False if {"no-store", "no-cache"} & {*words} else None,
        "store": False if "no-store" in words else None,
        "max_age": age,
        "only_if_cached": True if "only-if-cached" in words else None,
    }
    return body, headers, [nearest, second, third]


@given(voices(), st.sampled_from([0, 1, TTL]))
def test_of_all_voices_the_nearest_counts(
    voice: tuple[CacheControl, dict[str, str], list[dict[str, Any]]], ttl: int
) -> None:
    body, headers, voices_given = voice

    def nearest(name: str, usual: Any) -> Any:
        return next((each[name] for each in voices_given if each.get(name) is not None), usual)

    on = nearest("ttl", ttl) > 0
    assert decide(body, headers, ttl) == Directives(
        read=nearest("read", on),
        store=nearest("store", on),
        ttl=nearest("ttl", ttl),
        max_age=nearest("max_age", None),
        only_if_cached=nearest("only_if_cached", False),
        key=nearest("key", None),
        namespace=nearest("namespace", None),
    )
