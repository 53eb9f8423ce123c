"""What is kept of responses where their store fails, hangs, or is switched off."""

import time
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import ADMIN_TOKEN, Deployments
from tests.e2e.forms import text, told_by

PATH = "/v1/responses"


def create(proxy: httpx.Client, prompt: str, **fields: Any) -> httpx.Response:
    return proxy.post(PATH, json={"model": "openai/auto", "input": prompt} | fields)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ["faulty", "hanging"])
def test_a_store_that_fails_costs_what_refers_to_it_alone(
    deployments: Deployments, script: Any, name: str, stream: bool
) -> None:
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"} if name == "hanging" else {}
    with httpx.Client(base_url=deployments.get(name).url, timeout=60, headers=headers) as proxy:
        answer = create(proxy, script(f"{name} {stream}"), stream=stream)
        assert answer.status_code == 200, answer.text
        assert text(told_by(answer)) == f"echo: {name} {stream}"
        told = told_by(answer)[-1][1]
        id_ = (told.get("response") or told)["id"]
        began = time.monotonic()
        for refused in (
            create(proxy, script("And?"), previous_response_id=id_, stream=stream),
            proxy.get(f"{PATH}/{id_}"),
            proxy.delete(f"{PATH}/{id_}"),
            proxy.get(f"{PATH}/{id_}/input_items"),
        ):
            assert refused.status_code == 503, refused.text
            error = refused.json()["error"]
            assert error["code"] == "response_store_unreachable"
            assert refused.headers["retry-after"] == "1"
        assert time.monotonic() - began < 20
        began = time.monotonic()
        assert create(proxy, script("Alone."), stream=stream).status_code == 200
        assert time.monotonic() - began < 5
    assert '"event":"responses unreachable"' in deployments.log(name)


def test_where_nothing_is_kept(deployments: Deployments, script: Any) -> None:
    with httpx.Client(base_url=deployments.get("kvless").url, timeout=60) as proxy:
        response = create(proxy, script("Keep this.")).json()
        assert response["store"] is False
        id_ = response["id"]
        refused = create(proxy, script("And?"), previous_response_id=id_)
        assert refused.status_code == 400, refused.text
        error = refused.json()["error"]
        assert error["message"] == f"Previous response with id '{id_}' not found."
        assert error["code"] == "previous_response_not_found"
        assert error["param"] == "previous_response_id"
        item = {"type": "item_reference", "id": "msg_1"}
        refused = proxy.post(PATH, json={"model": "openai/auto", "input": [item]})
        assert refused.json()["error"]["message"].startswith("Item with id 'msg_1' not found.")
        assert proxy.get(f"{PATH}/{id_}").status_code == 404
