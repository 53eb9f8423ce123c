"""The dashboard for Grafana is of its schema, and asks for what /metrics has."""

import asyncio

from tests.grafana import find_missing, list_targets, read_dashboard
from tests.unit.api.deployment import Deployment
from tests.unit.callers import read_stream
from tests.unit.doubles import FakeReply, in_no_time
from tests.unit.routing.making import DONE, EVENTS, HELLO, ROLE, STOP


@in_no_time
async def test_each_query_asks_for_what_is_there() -> None:
    deployment = Deployment(FakeReply(ROLE, HELLO, STOP, DONE, headers=EVENTS))
    await read_stream(await deployment.chat(stream=True))
    page = (await deployment.get("/metrics")).body.decode()
    assert find_missing(page) == ["proxy_isolate_heap_bytes"]  # which only an isolate has
    assert "proxy_attempts_total" in find_missing(page.replace("proxy_attempts", "proxy_tries"))
    assert "proxy_tokens_total.type" in find_missing(page.replace("type=", "kind="))
    await asyncio.sleep(1)


def test_it_has_the_form_that_grafana_loads() -> None:
    dashboard = read_dashboard()
    assert dashboard["schemaVersion"] >= 39
    assert dashboard["id"] is None  # Grafana gives it one
    assert dashboard["uid"]
    source, *others = dashboard["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    reference = {"type": "prometheus", "uid": "${datasource}"}
    asking = [*list_targets(dashboard), *others]
    asking += [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert all(each["datasource"] == reference for each in asking)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["title"]
        refs = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(refs)) == len(refs)
        assert panel["type"] == "row" or (refs and panel["description"])


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read_dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells
