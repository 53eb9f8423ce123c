"""Aliases in the real Worker: in every dialect, with limits, budgets, conditions and keys; and what
holds without the object that keeps them."""

import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Script
from tests.e2e.deployments import ADMIN_TOKEN, Deployments

ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}
GPT, LLAMA, CLAUDE = "openai/gpt-4o", "groq/openai/gpt-oss-120b", "anthropic/claude-haiku-4-5"
Received = Callable[[], list[Any]]


class Operator:
    """Makes aliases and keys, and asks for answers by them."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def make(self, name: str, *targets: dict[str, Any] | str, **fields: Any) -> None:
        listed = [{"model": t} if isinstance(t, str) else t for t in targets]
        body = {"targets": listed} | fields
        made = self.client.put(f"/admin/aliases/{name}", json=body, headers=ADMIN)
        assert made.status_code in (200, 201), made.text

    def issue(self, **fields: Any) -> tuple[str, dict[str, str]]:
        """A key's id, and the header of its caller."""
        issued = self.client.post("/admin/keys", json={"user": "ann"} | fields, headers=ADMIN)
        return issued.json()["id"], {"authorization": f"Bearer {issued.json()['key']}"}

    def ask(
        self, model: str, prompt: str, headers: dict[str, str] = ADMIN, **fields: Any
    ) -> httpx.Response:
        body = {"model": model, "prompt": prompt, "cache": {"mode": "off"}} | fields
        return self.client.post("/v1/generate", json=body, headers=headers)

    def used(self, name: str) -> Any:
        """What was used of an alias's targets, by their ids."""
        shown = self.client.get(f"/admin/aliases/{name}", params={"usage": "true"}, headers=ADMIN)
        return shown.json()["used"]

    def reset(self, name: str, **target: str) -> None:
        which = {"alias": name} | target
        done = self.client.delete("/admin/limits", params=which, headers=ADMIN)
        assert done.status_code == 204, done.text

    def served_by(self, *asked: Any, **fields: Any) -> str:
        answer = self.ask(*asked, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["provider"])


@pytest.fixture
def operator(keyed: httpx.Client) -> Operator:
    return Operator(keyed)


def test_an_alias_is_made_changed_and_deleted(operator: Operator, script: Script) -> None:
    client, prompt = operator.client, script()
    body = {"name": "e2e", "targets": [{"model": GPT}]}
    made = client.post("/admin/aliases", json=body, headers=ADMIN)
    assert made.status_code == 201, made.text
    assert client.post("/admin/aliases", json=body, headers=ADMIN).status_code == 409
    assert client.get("/admin/aliases/e2e", headers=ADMIN).json() == made.json()
    assert operator.served_by("e2e", prompt) == "openai"
    operator.make("e2e", LLAMA)
    assert operator.served_by("custom/e2e", prompt) == "groq"
    listed = client.get("/v1/models", headers=ADMIN).json()["data"]
    assert "e2e" in [model["id"] for model in listed]
    stale = ADMIN | {"if-match": '"as-read-before"'}
    assert client.delete("/admin/aliases/e2e", headers=stale).status_code == 412
    etag = client.get("/admin/aliases/e2e", headers=ADMIN).headers["etag"]
    deleted = client.delete("/admin/aliases/e2e", headers=ADMIN | {"if-match": etag})
    assert deleted.status_code == 204
    assert operator.ask("e2e", prompt).status_code == 404
    assert client.get("/admin/aliases", headers=ADMIN).json()["next"] is None


def _bodies(prompt: str) -> dict[str, dict[str, Any]]:
    said = [{"role": "user", "content": prompt}]
    return {
        "/v1/generate": {"prompt": prompt},
        "/v1/chat/completions": {"messages": said},
        "/v1/messages": {"messages": said, "max_tokens": 50},
        "/v1/responses": {"input": prompt, "store": False},
    }


@pytest.mark.parametrize("target", [GPT, LLAMA, CLAUDE])
@pytest.mark.parametrize("form", [*product(_bodies(""), (False, True))])
def test_every_dialect(
    operator: Operator, script: Script, received: Received, form: tuple[str, bool], target: str
) -> None:
    path, stream = form
    words = "You are an alias."
    operator.make("every", target, fixed={"temperature": 0.5}, system=words)
    body = {"model": "@preset/every", "stream": stream, **_bodies(script())[path]}
    answer = operator.client.post(path, json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    assert "echo: Say hello." in answer.text or stream
    sent = received()[-1]["body"]
    assert (sent["temperature"], sent["model"]) == (0.5, target.partition("/")[2])
    assert words in str(sent)


def test_a_batch_and_embeddings(operator: Operator, script: Script, received: Received) -> None:
    operator.make("many", GPT, system="You are an alias.")
    requests = [{"model": "dynamic/many", "prompt": script(f"{n}")} for n in range(3)]
    batch = operator.client.post("/v1/batch", json={"requests": requests}, headers=ADMIN)
    assert batch.json()["summary"]["succeeded"] == 3
    assert all("You are an alias." in str(each["body"]) for each in received())
    operator.make("vectors", "openai/text-embedding-3-small")
    body = {"model": "vectors", "input": "Hello"}
    answer = operator.client.post("/v1/embeddings", json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text


def test_a_limit_and_then_the_next_target(operator: Operator, script: Script) -> None:
    prompt = script()
    _, ann = operator.issue()
    _, ben = operator.issue(user="ben")
    operator.make("limited", {"model": GPT, "limit": {"perHour": 4}}, LLAMA)
    served = [operator.served_by("limited", prompt, who) for who in (ann, ben) * 4]
    assert served == ["openai"] * 4 + ["groq"] * 4
    operator.make("limited", {"model": GPT, "limit": {"perHour": 4}})
    answer = operator.ask("limited", prompt, ann)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rate_limit_exceeded")
    assert operator.used("limited") == {GPT: {"day": None, "month": None, "requests": 4}}
    operator.reset("limited", target=GPT)
    assert operator.used("limited")[GPT]["requests"] == 0
    assert operator.served_by("limited", prompt, ann) == "openai"


def test_a_budget_and_then_the_next_target(operator: Operator, script: Script) -> None:
    prompt = script(openai={"text": "word " * 500})
    budget = {"model": GPT, "budget": {"day": 0.01}}
    operator.make("thrifty", budget, LLAMA)
    served = [operator.served_by("thrifty", prompt, maxTokens=40) for _ in range(10)]
    assert served[0] == "openai"
    assert served[-1] == "groq"
    operator.make("thrifty", budget)
    answer = operator.ask("thrifty", prompt, maxTokens=40)
    assert (answer.status_code, answer.json()["error"]["type"]) == (402, "budget_exceeded")
    assert operator.used("thrifty")[GPT]["day"] > 0
    operator.reset("thrifty")
    assert operator.used("thrifty") == {GPT: {"day": 0, "month": 0, "requests": None}}
    assert operator.served_by("thrifty", prompt, maxTokens=40) == "openai"


def test_conditions(operator: Operator, script: Script) -> None:
    key_id, ann = operator.issue()
    _, ben = operator.issue(user="team-b")
    operator.make(
        "picky",
        {"model": GPT, "when": {"keys": [key_id], "metadata": {"plan": "pro"}}},
        {"model": LLAMA, "when": {"users": ["team-*"]}},
        {"model": CLAUDE, "when": {"promptTokens": {"min": 1000}}},
    )
    prompt, long = script(), script("word " * 2000)
    assert operator.served_by("picky", prompt, ann, metadata={"plan": "pro"}) == "openai"
    assert operator.served_by("picky", prompt, ben) == "groq"
    assert operator.served_by("picky", long, ann) == "anthropic"
    refused = operator.ask("picky", prompt, ann)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "no_provider_available")


def test_keys(operator: Operator, script: Script) -> None:
    operator.make("mine", GPT)
    prompt = script()
    _, by_alias = operator.issue(models=["mine"])
    _, by_target = operator.issue(models=[GPT])
    _, by_other = operator.issue(models=[LLAMA])
    statuses = [
        operator.ask(model, prompt, who).status_code
        for who in (by_alias, by_target, by_other)
        for model in ("mine", GPT)
    ]
    assert statuses == [200, 403, 200, 200, 403, 403]
    for who, is_listed in ((by_alias, True), (by_target, True), (by_other, False)):
        listed = operator.client.get("/v1/models", headers=who).json()["data"]
        assert ("mine" in [model["id"] for model in listed]) is is_listed


def test_they_outlive_their_isolates(deployments: Deployments, script: Script) -> None:
    for status in (201, 200):
        with httpx.Client(base_url=deployments.restart("restarted").url, timeout=60) as client:
            if status == 200:
                assert Operator(client).served_by("lasting", script(), {}) == "groq"
            body = {"targets": [{"model": LLAMA}]}
            assert client.put("/admin/aliases/lasting", json=body).status_code == status


@pytest.fixture(params=["faulty", "hanging"])
def without(deployments: Deployments, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Deployments whose aliases nobody keeps."""
    url = deployments.get(request.param).url
    with httpx.Client(base_url=url, timeout=60, headers=ADMIN) as client:
        yield client


def test_without_the_object_models_are_served(without: httpx.Client, script: Script) -> None:
    began = time.monotonic()
    for _ in range(5):
        body = {"model": "gpt-4o", "prompt": script()}
        answer = without.post("/v1/generate", json=body)
        assert answer.status_code == 200, answer.text
    assert time.monotonic() - began < 10  # one of them may have waited
    refused = without.post("/v1/generate", json={"model": "custom/any", "prompt": script()})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["code"] == 503
