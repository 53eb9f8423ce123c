"""The description of the interface, and the running Worker held to it by schemathesis.

What a schema allows and what it forbids is sent to every operation; every answer must be one that
is described.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.chromium import browse
from tests.e2e.deployments import ADMIN_TOKEN, Deployments
from tools.layout import ROOT

CONFIG = Path(__file__).with_name("schemathesis.toml")
METHODS = ("get", "post", "put", "patch", "delete")
NAMES = {"{id}": "nobody", "{name}": "nobody", "{path}": "v1/models", "{provider}": "openai"}


@pytest.fixture(scope="module")
def described(deployments: Deployments) -> Iterator[httpx.Client]:
    url = deployments.get("described").url
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    with httpx.Client(base_url=url, timeout=60, headers=headers) as client:
        yield client


@pytest.fixture(scope="module")
def document(described: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = described.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The method, the address and the description of each."""
    for path, item in document["paths"].items():
        for name, value in NAMES.items():
            path = path.replace(name, value).replace("budgets/nobody", "budgets/team:nobody")
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def test_the_description_is_served(closed: httpx.Client) -> None:
    """To anybody, a page of another origin too: it says nothing of the deployment."""
    answer = closed.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["openapi"] == "3.1.0"
    assert closed.head("/openapi.json").status_code == 200
    refused = closed.post("/openapi.json")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_what_needs_a_key_admits_nobody_without(
    described: httpx.Client, document: dict[str, Any]
) -> None:
    del described.headers["authorization"]
    try:
        for method, path, operation in operations(document):
            status = described.request(method, path).status_code
            assert (status == 401) != (operation.get("security") == []), (method, path, status)
    finally:
        described.headers["authorization"] = f"Bearer {ADMIN_TOKEN}"


def test_every_example_is_accepted(described: httpx.Client, document: dict[str, Any]) -> None:
    """But for those that only say which model a request that is passed on names."""
    tried = 0
    for method, path, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if "example" in content and operation["tags"] != ["Passthrough"]:
                headers = {"content-type": kind}
                body = json.dumps(content["example"])
                answer = described.request(method, path, content=body, headers=headers)
                known = (404,) if path.startswith("/admin/keys/nobody") else (200, 201)
                assert answer.status_code in known, (method, path, answer.text)
                tried += 1
    assert tried >= 10


def test_the_page_tries_operations(described: httpx.Client) -> None:
    """By keyboard, with a key that stays in the page; and from an operation's address."""
    page = described.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for scenario in ("trying", "linking"):
        browse(scenario, str(described.base_url).rstrip("/"), given=ADMIN_TOKEN)


def test_every_answer_is_one_that_is_described(
    described: httpx.Client, document: dict[str, Any], tmp_path: Path
) -> None:
    """A third of the cases of every operation, always the same ones; `make contract` tries all, and
    random ones beside them."""
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", str(file)),
        *("--url", str(described.base_url), "--workers", "2", "--no-color"),
        *os.environ.get("CONTRACT", "--phases examples,coverage --seed 1").split(),
    ]
    env = {"CONTRACT_SHARE": "0.3"} | os.environ | {"ADMIN_TOKEN": ADMIN_TOKEN}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
