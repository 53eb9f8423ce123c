"""validate-deployment.sh catches what is broken: real deployments, and one of each fault."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.broken import Answer, play, record, validate
from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY, Deployments

KEYS = ("--key", CALLER_KEY, "--admin", ADMIN_TOKEN)
Spoil = Callable[[Answer], Answer]
WITHOUT_BODY = {
    "HEAD / says that the proxy is there",
    "OPTIONS needs no key",
    "a key is revoked",
    "an alias is deleted",
    "the admin token may purge the cache",
}
"""Nothing is wrong with what is not there."""


@pytest.fixture(scope="module")
def answers(keyed_url: str) -> list[Answer]:
    return record(keyed_url, *KEYS)


class Fault(NamedTuple):
    """Something that is broken: in the answers to which requests, and what must say so."""

    path: str
    """A pattern."""
    change: Spoil
    check: str
    """How the name of the check begins."""
    method: str = ""
    status: int = 0
    """Of the answers meant; empty, 0: any."""

    def spoil(self, answer: Answer) -> Answer:
        is_meant = re.fullmatch(self.path, answer.path) and self.method in ("", answer.method)
        return self.change(answer) if is_meant and self.status in (0, answer.status) else answer


def answering(status: int) -> Spoil:
    return lambda answer: answer._replace(status=status)


def without(header: str) -> Spoil:
    return lambda answer: answer._replace(
        headers={name: value for name, value in answer.headers.items() if name != header}
    )


def writing(old: bytes, new: bytes) -> Spoil:
    return lambda answer: answer._replace(body=answer.body.replace(old, new))


FAULTS = {
    "no version": Fault("/health", writing(b'"version"', b'"v"'), "GET /health"),
    "any key is taken": Fault(
        "/v1/generate", answering(200), "a request without a key is refused", status=401
    ),
    "any key is taken by agents": Fault(
        "/v1/messages", answering(200), "a wrong key is refused in Anthropic's form", status=401
    ),
    "everybody sees the models": Fault(
        "/v1/models", answering(200), "the list of models needs a key", status=401
    ),
    "everybody sees the providers": Fault(
        "/health/providers", answering(200), "the providers' health needs a key", status=401
    ),
    "no model": Fault("/v1/models", writing(b'"id":"auto"', b'"id":"a"'), "GET /v1/models"),
    "no provider": Fault("/v1/generate", answering(503), "POST /v1/generate", status=200),
    "a stream that breaks off": Fault(
        "/v1/generate", writing(b"event: done", b"event: error"), "POST /v1/generate, streaming"
    ),
    "a stream without its end": Fault(
        "/v1/chat/completions",
        writing(b"data: [DONE]", b""),
        "POST /v1/chat/completions, streaming",
    ),
    "no id of a request": Fault("/v1/messages", without("request-id"), "POST /v1/messages"),
    "a message without its stop": Fault(
        "/v1/messages", writing(b"event: message_stop", b""), "POST /v1/messages, streaming"
    ),
    "errors in one form": Fault(
        "/v1/messages",
        writing(b'"type":"error"', b'"type":"oops"'),
        "an error in Anthropic's form",
        status=400,
    ),
    "no responses": Fault("/v1/responses", answering(404), "POST /v1/responses", status=200),
    "responses are lost": Fault(
        "/v1/responses/resp_[^/]*", answering(404), "the response is kept", method="GET", status=200
    ),
    "responses stay": Fault(
        "/v1/responses/resp_[^/]*", answering(200), "it is gone then", method="GET", status=404
    ),
    "no cache": Fault(
        "/v1/generate",
        writing(b'"cacheStatus":"hit"', b'"cacheStatus":"miss"'),
        "the same again comes from the cache",
    ),
    "a cache that can't be passed by": Fault(
        "/v1/generate", without("cf-aig-cache-status"), "the same again comes from the cache"
    ),
    "everybody purges": Fault(
        "/admin/cache\\?.*", answering(204), "a caller may not purge it", status=403
    ),
    "no limits": Fault(
        "/v1/generate", without("ratelimit"), "an answer names the limit that it counted against"
    ),
    "a key without its limit": Fault("/v1/generate", answering(200), "its limit holds", status=429),
    "every key is an operator's": Fault(
        "/admin/keys", answering(200), "an issued key is no operator's", status=403
    ),
    "keys stay": Fault("/admin/keys/[^/]*", answering(500), "a key is revoked", status=204),
    "settings that show a token": Fault(
        "/admin/settings",
        writing(b'"settings"', ADMIN_TOKEN.encode()),
        "the settings in force, without secrets",
    ),
    "anybody is an operator": Fault(
        "/me", writing(b'"role":"', b'"part":"'), "who is asking, and in which role"
    ),
    "no figures": Fault("/analytics.*", answering(503), "figures", status=200),
    "no metrics": Fault("/metrics", writing(b"histogram", b"gauge"), "metrics"),
    "no policy": Fault("/dashboard", without("content-security-policy"), "its Content-Security-"),
    "any field is taken": Fault(
        "/v1/generate", writing(b"temprature", b"field"), "an unknown field is named", status=400
    ),
    "no Allow": Fault("/v1/generate", without("allow"), "the Allow header", status=405),
    "ids are not kept": Fault("/health", without("x-request-id"), "a request id is kept"),
    "preflights need a key": Fault(
        "/v1/generate", answering(401), "OPTIONS needs no key", method="OPTIONS"
    ),
}


def group(faults: Iterable[Fault]) -> list[list[Fault]]:
    """Faults that meet in no answer can be checked in one run."""
    groups: list[list[Fault]] = []
    for fault in faults:
        free = (each for each in groups if fault.path not in [other.path for other in each])
        if found := next(free, None):
            found.append(fault)
        else:
            groups.append([fault])
    return groups


@pytest.mark.parametrize("faults", group(FAULTS.values()))
def test_each_fault_is_caught_by_its_check(
    answers: list[Answer], tmp_path: Path, faults: list[Fault]
) -> None:
    def spoil(answer: Answer) -> Answer:
        for fault in faults:
            answer = fault.spoil(answer)
        return answer

    result = play(answers, spoil, tmp_path, *KEYS)
    failed = re.findall(r"^FAIL +(\d+)  (.*)", result.stdout, re.MULTILINE)
    assert result.returncode == int(failed[0][0])
    for fault in faults:
        assert any(said.startswith(fault.check) for _, said in failed), (fault, result.stdout)


def test_a_deployment_played_back_unspoilt_is_valid(answers: list[Answer], tmp_path: Path) -> None:
    result = play(answers, lambda answer: answer, tmp_path, *KEYS)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer._replace(status=500, body=b'{"error":{}}', headers={}),
        lambda answer: answer._replace(body=b'Traceback (most recent call last):\n  File "/a"'),
    ],
    ids=["errors", "tracebacks"],
)
def test_no_check_passes_where_every_answer_is_wrong(
    answers: list[Answer], tmp_path: Path, spoil: Spoil
) -> None:
    result = play(answers, spoil, tmp_path, *KEYS)
    assert result.returncode == 1
    passed = [line for line in result.stdout.splitlines() if line.startswith("ok")]
    assert {line[10:] for line in passed} <= WITHOUT_BODY


def test_deployments_that_are_really_broken(deployments: Deployments) -> None:
    """Without a key, without two of its objects, with settings that make no sense."""
    for name, said in (
        ("closed", "401"),
        ("unbound", "RATE_BUCKET"),
        ("broken", "FALLBACK_CHAIN"),
    ):
        result = validate(deployments.get(name).url, *KEYS)
        assert result.returncode, (name, result.stdout)
        assert said in result.stdout, (name, result.stdout)
        assert ADMIN_TOKEN not in result.stdout + result.stderr
