"""The guardrail and the body log in the real Worker, over the platform's own streams, KV and R2."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import ADMIN_TOKEN, METRICS_TOKEN, Deployments
from tests.e2e.forms import PATHS, body_of, is_whole, text, told_by

MAIL, CARD, STAFF = "joe@x.example", "4111 1111 1111 1111", "EMP-123456"
ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}
each_dialect = pytest.mark.parametrize("dialect", PATHS)


@pytest.fixture(scope="module")
def private(deployments: Deployments) -> Iterator[httpx.Client]:
    """A deployment that masks, and keeps bodies."""
    deployments.begin("refusing")
    url = deployments.get("private").url
    with httpx.Client(base_url=url, timeout=60, headers=ADMIN) as client:
        yield client


def look(client: httpx.Client, id_: str, status: int = 200) -> Any:
    """What is kept of a request, which is written after its answer."""
    until = time.monotonic() + 15
    while True:
        answer = client.get(f"/analytics/requests/{id_}/body")
        if answer.status_code == status or time.monotonic() > until:
            assert answer.status_code == status, answer.text
            return answer.json()
        time.sleep(0.2)


def issue(client: httpx.Client, user: str) -> dict[str, str]:
    made = client.post("/admin/keys", json={"user": user})
    return {"authorization": f"Bearer {made.json()['key']}"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "cell", [(d, p) for d in PATHS for p in ("openai", "anthropic", "gemini")], ids="-".join
)
def test_no_provider_sees_it_its_caller_has_it_back_and_nothing_keeps_it(
    private: httpx.Client, script: Any, received: Any, cell: tuple[str, str], stream: bool
) -> None:
    dialect, provider = cell
    said = f"I am {MAIL} ({STAFF}), {CARD}. {provider} {dialect} {stream}"
    body = {"model": f"{provider}/auto", "stream": stream, "fallback": False}
    body |= body_of(dialect, script(said, **{provider: {"split": 3}}))
    if dialect == "openai":
        body["stream_options"] = {"include_usage": True} if stream else None
    answer = private.post(PATHS[dialect], json=body)
    assert answer.status_code == 200, answer.text
    told = told_by(answer)
    assert text(told).strip() == f"echo: {said}" and is_whole(dialect, told)
    [entry] = received()
    for hidden in (MAIL, STAFF, "4111"):
        assert hidden not in entry["raw"]
    assert "I am [EMAIL_1] ([STAFF_1]), [CARD_1]." in entry["raw"]
    kept = look(private, answer.headers["x-request-id"])
    assert "I am [EMAIL_1] ([STAFF_1]), [CARD_1]." in kept["request"]["text"]
    assert "echo: I am [EMAIL_1] ([STAFF_1]), [CARD_1]." in kept["answer"]["text"]
    assert MAIL not in json.dumps(kept)


def test_another_caller_of_an_entry_has_its_own_value_back(
    private: httpx.Client, script: Any, received: Any
) -> None:
    for mail in (MAIL, "ann@y.example", MAIL):
        body = {"model": "openai/auto"} | body_of("openai", script(f"I am {mail}!"))
        answer = private.post(PATHS["openai"], json=body)
        assert text(told_by(answer)).strip() == f"echo: I am {mail}!"
    assert len(received()) == 1


def test_who_may_read_what_is_kept(private: httpx.Client, script: Any) -> None:
    ann, ben = issue(private, "ann"), issue(private, "ben")
    body = {"model": "openai/auto"} | body_of("openai", script("I am Ann."))
    id_ = private.post(PATHS["openai"], json=body, headers=ann).headers["x-request-id"]
    assert "I am Ann." in look(private, id_)["request"]["text"]
    path = f"/analytics/requests/{id_}/body"
    assert private.get(path, headers=ann).status_code == 200
    assert private.get(path, headers=ben).status_code == 404
    viewer = {"authorization": f"Bearer {METRICS_TOKEN}"}
    assert private.get(path, headers=viewer).status_code == 403
    assert private.delete("/admin/bodies?user=ann", headers=viewer).status_code == 403
    gone = private.delete("/admin/bodies?user=ann").json()
    assert gone == {"deleted": 1, "next": None}
    look(private, id_, 404)


def test_a_caller_may_forbid_it(private: httpx.Client, script: Any) -> None:
    headers = {"cf-aig-collect-log-payload": "false"}
    body = {"model": "openai/auto"} | body_of("openai", script("Not this."))
    id_ = private.post(PATHS["openai"], json=body, headers=headers).headers["x-request-id"]
    time.sleep(1.5)
    assert private.get(f"/analytics/requests/{id_}/body").status_code == 404
    assert private.get(f"/analytics/requests/{id_}").json()["bodyKept"] is False


def test_a_stream_that_its_caller_leaves_is_kept_as_far_as_it_came(
    private: httpx.Client, script: Any
) -> None:
    prompt = script("Slow " + "word " * 50, **{"*": {"event_delay_ms": 200}})
    body = {"model": "openai/auto", "stream": True} | body_of("openai", prompt)
    with private.stream("POST", PATHS["openai"], json=body) as answer:
        id_ = answer.headers["x-request-id"]
        next(answer.iter_bytes())
    kept = json.loads(look(private, id_)["answer"]["text"])
    assert kept["choices"][0]["finish_reason"] == "client_gone"
    assert kept["choices"][0]["message"]["content"].startswith("echo")


def test_what_is_over_is_pruned_by_the_cron_trigger(private: httpx.Client, script: Any) -> None:
    body = {"model": "openai/auto"} | body_of("openai", script("Old."))
    id_ = private.post(PATHS["openai"], json=body).headers["x-request-id"]
    look(private, id_)
    assert private.get("/cdn-cgi/handler/scheduled").status_code == 200
    look(private, id_)


@each_dialect
def test_refused_with_the_field_and_never_the_value(
    deployments: Deployments, script: Any, received: Any, dialect: str
) -> None:
    with httpx.Client(base_url=deployments.get("refusing").url, timeout=60) as client:
        body = {"model": "openai/auto"}
        answer = client.post(PATHS[dialect], json=body | body_of(dialect, script(MAIL)))
        assert answer.status_code == 400, answer.text
        field = "input[0].content" if dialect == "responses" else "messages[0].content"
        assert f"{field}: It holds an e-mail address" in answer.text and MAIL not in answer.text
        passed = client.post(
            "/openai/chat/completions", content=b"\x00", headers={"content-type": "audio/mpeg"}
        )
        assert passed.status_code == 400
        assert client.post("/v1/moderations", json={"input": MAIL}).status_code == 400
        assert received() == []
        fine = client.post(PATHS[dialect], json=body | body_of(dialect, script("Hello.")))
        assert fine.status_code == 200
