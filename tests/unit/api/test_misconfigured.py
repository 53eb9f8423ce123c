"""Wrong settings and missing bindings."""

import json

import pytest
from msgspec import structs

from proxy.api.batch import run_chunk
from proxy.api.misconfigured import Misconfigured
from proxy.api.start import start
from proxy.host.maintenance import maintain
from tests.unit.api.making import unused
from tests.unit.callers import defer, request, send_at_once
from tests.unit.doubles import ports


async def write_nothing(_: bytes) -> None:
    raise AssertionError("nothing should have been written")


async def test_wrong_settings_answer_everything() -> None:
    app = start({"ENVIRONMENT": "moon"}, ports(unused))
    assert isinstance(app, Misconfigured)
    response = send_at_once(app, request("GET", "/v1/models"))
    assert response.status == 500
    assert "ENVIRONMENT must be one of" in json.loads(response.body)["error"]["message"]
    with pytest.raises(Exception, match="ENVIRONMENT"):
        await maintain(app.services)
    with pytest.raises(Exception, match="ENVIRONMENT"):
        await run_chunk(app.services, b"", defer, write_nothing)


async def test_missing_bindings_answer_everything() -> None:
    outside = structs.replace(ports(unused), unbound=("RATE_BUCKET", "STATISTICS"))
    app = start({"ENVIRONMENT": "moon"}, outside)
    assert isinstance(app, Misconfigured)
    for path in ("/health", "/v1/models", "/nowhere"):
        response = send_at_once(app, request("GET", path))
        assert response.status == 500
        message = json.loads(response.body)["error"]["message"]
        assert "RATE_BUCKET, STATISTICS" in message
        assert "wrangler.toml" in message
        assert "ENVIRONMENT must be one of" in message
    with pytest.raises(Exception, match="RATE_BUCKET"):
        await maintain(app.services)
