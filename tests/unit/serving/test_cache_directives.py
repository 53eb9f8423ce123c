"""What callers and operators may say of the cache."""

from typing import Any

import pytest

from tests.unit.serving.making import NATIVE, OPENAI, House, by_host, counting


class TestDirectives:
    async def test_only_if_cached(self) -> None:
        house = House(by_host(openai=counting()))
        only = {"cache_control": "only-if-cached"}
        missing = await house.post(headers=only)
        assert missing.status == 504
        assert missing.json["error"]["source"] == "proxy"
        assert "only-if-cached" in missing.json["error"]["message"]
        assert house.sent == []
        await house.post()
        assert (await house.post(headers=only)).cache == "HIT"
        house.clock.time += 3600
        assert (await house.post(headers=only)).status == 504

    @pytest.mark.parametrize(
        ("path", "headers", "body"),
        [
            (NATIVE, {"cache_control": "no-store"}, {}),
            (NATIVE, {"cf_aig_skip_cache": "true"}, {}),
            (NATIVE, {}, {"cache": {"mode": "off"}}),
            (OPENAI, {}, {"cache": {"no-cache": True, "no-store": True}}),
        ],
    )
    async def test_no_store(self, path: str, headers: Any, body: Any) -> None:
        house = House(by_host(openai=counting()))
        answer = await house.post(path, headers, **body)
        assert (answer.cache, answer.headers["cache-status"]) == (
            "BYPASS",
            "proxy-memory; fwd=bypass",
        )
        assert house.kv.held == {}
        if path == NATIVE:
            assert answer.json["metadata"]["cacheStatus"] == "bypass"
        assert (await house.post()).text == "2"
        assert (await house.post(path, headers, **body)).text == "3"
        assert (await house.post()).text == "2"

    @pytest.mark.parametrize(
        ("path", "headers", "body"),
        [
            (NATIVE, {"cache_control": "no-cache"}, {}),
            (NATIVE, {}, {"cache": {"mode": "refresh"}}),
            (OPENAI, {}, {"cache": {"no-cache": True}}),
        ],
    )
    async def test_refresh(self, path: str, headers: Any, body: Any) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        house.clock.time += 2
        answer = await house.post(path, headers, **body)
        assert (answer.text, answer.headers["cache-status"]) == ("2", "proxy-memory; fwd=request")
        if path == NATIVE:
            assert answer.json["metadata"]["cacheStatus"] == "miss"
        assert (await house.post()).text == "2"
        house.leave()
        assert (await house.post()).text == "2"

    async def test_reading_without_storing(self) -> None:
        house = House(by_host(openai=counting()))
        body = {"cache": {"no-store": True}}
        assert (await house.post(OPENAI, **body)).text == "1"
        assert house.kv.held == {}
        assert (await house.post(OPENAI)).text == "2"
        assert (await house.post(OPENAI, **body)).text == "2"

    async def test_ttl(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post(cache={"ttl": 5})
        house.clock.time += 4
        assert (await house.post()).headers["cache-status"] == "proxy-memory; hit; ttl=1"
        house.clock.time += 1
        assert (await house.post(headers={"cf_aig_cache_ttl": "50"})).text == "2"
        house.clock.time += 49
        assert (await house.post()).text == "2"
        house.clock.time += 1
        assert (await house.post()).text == "3"

    async def test_max_age(self) -> None:
        house = House(by_host(openai=counting()))
        await house.post()
        house.clock.time += 10
        assert (await house.post(headers={"cache_control": "max-age=10"})).text == "1"
        assert (await house.post(headers={"cache_control": "max-age=9"})).text == "2"
        assert (await house.post(OPENAI, cache={"s-maxage": 1})).text == "2"

    async def test_a_cache_for_requests_that_name_a_ttl(self) -> None:
        house = House(by_host(openai=counting()), CACHE_TTL="0")
        assert (await house.post()).cache == "BYPASS"
        assert (await house.post()).text == "2"
        assert house.kv.held == {}
        assert (await house.post(cache={"ttl": 60})).text == "3"
        assert (await house.post(cache={"ttl": 60})).text == "3"
        assert (await house.post()).text == "4"

    async def test_namespaces_are_apart(self) -> None:
        house = House(by_host(openai=counting()))
        texts = [
            (await house.post(OPENAI, **({"cache": {"namespace": name}} if name else {}))).text
            for name in ("a", "b", None, "a", "b", None)
        ]
        assert texts == ["1", "2", "3", "1", "2", "3"]

    async def test_an_own_key(self) -> None:
        house = House(by_host(openai=counting()))
        own = {"cf_aig_cache_key": "mine"}
        assert (await house.post(headers=own)).text == "1"
        other = await house.post(headers=own, prompt="Something else", temperature=0.5)
        assert (other.text, other.cache) == ("1", "HIT")
        assert (await house.post(headers={"cf_aig_cache_key": "yours"})).text == "2"
        assert (await house.post()).text == "3"
        spaced = await house.post(OPENAI, headers=own, cache={"namespace": "n"})
        assert spaced.text == "4"

    @pytest.mark.parametrize(
        ("header", "text"),
        [("cf_aig_skip_cache", "maybe"), ("cf_aig_cache_ttl", "0"), ("cf_aig_cache_key", "")],
    )
    @pytest.mark.parametrize("path", [NATIVE, OPENAI])
    async def test_a_wrong_header_is_refused_before_it_costs(
        self, path: str, header: str, text: str
    ) -> None:
        house = House(by_host())
        answer = await house.post(path, {header: text})
        assert answer.status == 400
        assert answer.json["error"]["param"] == header.replace("_", "-")


class TestScope:
    KEYS = {"PROXY_API_KEY": "one", "ADMIN_TOKEN": "two"}  # noqa: RUF012

    async def texts(self, **env: str) -> list[str]:
        house = House(by_host(openai=counting()), **self.KEYS, **env)
        own = {"cf_aig_cache_key": "own"}
        texts = []
        for headers in ({}, own):
            for key in ("one", "two", "one", "two"):
                headers_ = {"authorization": f"Bearer {key}", **headers}
                texts.append((await house.post(headers=headers_)).text)
                house.leave()
        return texts

    async def test_tenants_are_apart(self) -> None:
        assert await self.texts() == ["1", "2", "1", "2", "3", "4", "3", "4"]

    async def test_shared(self) -> None:
        assert await self.texts(CACHE_SCOPE="shared") == ["1"] * 4 + ["2"] * 4
