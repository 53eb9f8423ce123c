"""The settings in force as operators see them: all of them, where each comes from, no secret."""

from typing import Any

import pytest

from proxy.api.app import App
from proxy.api.start import start
from proxy.core.settings import name_variable
from tests.unit.callers import ENV, request, send
from tests.unit.doubles import FakeReply, ports
from tests.unit.serving.making import Received, receive
from tools.layout import ROOT

ADMIN = "the-admin-token-that-nobody-sees"
PROXY_KEY = "the-callers-key-that-nobody-sees"
HIDDEN = {
    "ADMIN_TOKEN": ADMIN,
    "PROXY_API_KEY": PROXY_KEY,
    "OPENAI_API_KEY": "a-hidden-key,another-hidden-key",
    "OPENAI_API_KEY_3": "a-third-hidden-key",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=hidden-too",
}


async def ask(query: str = "", key: str = ADMIN, stored: Any = frozenset(), **env: str) -> Received:
    app = start(ENV | HIDDEN | env, ports(lambda _: FakeReply()), stored)
    assert isinstance(app, App)
    path = f"/admin/settings{query}"
    return await receive(await send(app, request("GET", path, authorization=f"Bearer {key}")))


async def read(stored: Any = frozenset(), **env: str) -> dict[str, Any]:
    answer = await ask(stored=stored, **env)
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    return {view["name"]: view for view in answer.json["settings"]}


async def test_every_setting_of_the_document_is_there() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    names = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    views = await read()
    own = {name for name in names if name.isupper() and not name.startswith("OPENAI")}
    assert own <= views.keys()
    for end in ("BASE_URL", "API_KEY", "RATE_LIMIT_BURST"):
        assert name_variable("workers-ai", end) in views
    assert len(views) == len((await ask()).json["settings"]), "a setting stands there twice"


async def test_a_default_is_in_force_where_nothing_is_set() -> None:
    view = (await read())["CACHE_TTL"]
    assert view == view | {"value": "3600", "default": "3600", "set": False, "source": "default"}
    assert (view["section"], view["provider"], view["secret"]) == ("cache", None, False)
    assert "Seconds that an answer is fresh" in view["help"]
    assert (await read(CACHE_TTL="  "))["CACHE_TTL"] == view


async def test_what_is_set_is_in_force() -> None:
    views = await read(
        CACHE_TTL=" 60 ", LOCAL_PROVIDERS="lab", LAB_BASE_URL="http://localhost:9/v1"
    )
    ttl, lab = views["CACHE_TTL"], views["LAB_BASE_URL"]
    assert ttl == ttl | {"value": "60", "default": "3600", "set": True, "source": "deployment"}
    assert lab == lab | {
        "value": "http://localhost:9/v1",
        "provider": "lab",
        "section": "providers",
    }


async def test_the_secrets_store_is_named() -> None:
    views = await read(stored=frozenset({"OPENAI_API_KEY"}))
    assert views["OPENAI_API_KEY"]["source"] == "secrets_store"
    assert views["ADMIN_TOKEN"]["source"] == "deployment"


async def test_no_secret_is_shown_and_each_says_whether_it_is_set() -> None:
    answer = await ask(MY_OWN_SECRET="hidden-as-well", GROQ_APIKEY="mistyped-and-hidden")
    text = answer.body.decode()
    for secret in (ADMIN, PROXY_KEY, "hidden-key", "hidden-too", "hidden-as-well", "and-hidden"):
        assert secret not in text
    views = {view["name"]: view for view in answer.json["settings"]}
    for name in HIDDEN:
        assert views[name] == views[name] | {"value": None, "secret": True, "set": True}
    unset = views["GROQ_API_KEY"]
    assert unset == unset | {"value": None, "secret": True, "set": False, "source": "default"}
    told = {problem["setting"]: problem["message"] for problem in answer.json["problems"]}
    assert told.keys() == {"MY_OWN_SECRET", "GROQ_APIKEY"}
    assert "no setting of that name" in told["GROQ_APIKEY"]


async def test_help_is_read_without_links() -> None:
    for view in (await read()).values():
        assert view["help"].endswith((".", ")")), view
        assert "](" not in view["help"]


async def test_a_deployment_without_a_provider_is_told() -> None:
    answer = await ask(DISABLED_PROVIDERS="openai,workers-ai")
    assert [problem["setting"] for problem in answer.json["problems"]] == [None]
    assert "No provider" in answer.json["problems"][0]["message"]


@pytest.mark.parametrize(("key", "query", "status"), [(PROXY_KEY, "", 403), (ADMIN, "?a=b", 400)])
async def test_who_may_ask_and_what(key: str, query: str, status: int) -> None:
    assert (await ask(query, key)).status == status


async def test_what_is_called_a_secret_is_treated_as_one() -> None:
    for view in (await read()).values():
        assert view["secret"] is ("(secret)" in view["help"]), view["name"]
