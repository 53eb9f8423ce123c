"""The description of the interface is whole, valid, and true to the code.

That every answer has a described status and described headers, all unit tests of the pipeline hold
(tests/unit/described.py), and schemathesis at the running Worker (tests/e2e/test_openapi.py).
"""

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from proxy.analytics.query import pages, report
from proxy.api import routes
from proxy.api.cors import EXPOSED
from proxy.dialects import cloudflare
from proxy.dialects.session import HEADERS, OWN
from proxy.dialects.tags import TAGS
from tests.unit.described import description
from tools.describe import describe
from tools.openapi import document
from tools.openapi.errors import TYPES
from tools.openapi.operations import OPERATIONS

METHODS = ("get", "post", "put", "patch", "delete")


def operations() -> list[dict[str, Any]]:
    items = description()["paths"].values()
    return [item[method] for item in items for method in METHODS if method in item]


def test_it_is_valid() -> None:
    errors = [error.message for error in OpenAPIV31SpecValidator(description()).iter_errors()]
    assert not errors


def test_the_build_writes_it() -> None:
    assert json.loads(describe()) == json.loads(json.dumps(description()))


def test_every_method_of_every_path_is_described() -> None:
    passed = [path for _, path in routes._PASSED]
    for path in (*routes.ALL_PATHS, *passed):
        item = description()["paths"][document.template(path)]
        assert {method.upper() for method in item if method in METHODS} == path.methods.keys()


def test_a_path_of_which_nothing_is_said_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(OPERATIONS, "GET /health")
    with pytest.raises(ValueError, match=r"Describe .*'GET /health'"):
        document.build()


def test_clients_can_be_made_of_it() -> None:
    ids = [operation["operationId"] for operation in operations()]
    assert len(ids) == len(set(ids))
    names = [*ids, *description()["components"]["schemas"]]
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]+", name) for name in names)
    assert all(operation["summary"] and operation["tags"] for operation in operations())


def test_patterns_are_javascripts() -> None:
    assert not re.search(r'"pattern":"[^"]*\\\\[AZ]', describe().decode())


def test_all_headers_are_described() -> None:
    components = description()["components"]
    assert {name.strip() for name in EXPOSED.split(",")} <= components["headers"].keys()
    sent = {*cloudflare.SENT, cloudflare.COLLECT_LOG, OWN, TAGS, *HEADERS}
    assert sent <= components["parameters"].keys()


@pytest.mark.parametrize(
    ("path", "known"),
    [("/analytics", report.PARAMETERS), ("/analytics/requests", pages.PARAMETERS)],
)
def test_all_parameters_are_described(path: str, known: tuple[str, ...]) -> None:
    given = description()["paths"][path]["get"]["parameters"]
    assert {each["name"] for each in given if each.get("in") == "query"} == {*known}


def test_every_type_of_error_has_an_example() -> None:
    examples: set[str] = set()
    for response in description()["components"]["responses"].values():
        examples |= response["content"]["application/json"]["examples"].keys()
    assert examples >= {*TYPES} - {"method_not_allowed"}
