"""Who is let in."""

import pytest

from proxy.access.gate import Gate, Principal, require_admin
from proxy.core.config import read
from proxy.core.errors import AuthenticationFailed, PermissionDenied


def gate(**env: str) -> Gate:
    return Gate(read(env, ()))


@pytest.fixture
def keyed() -> Gate:
    return gate(PROXY_API_KEY="user-key", ADMIN_TOKEN="admin-key")


def test_the_two_keys(keyed: Gate) -> None:
    assert keyed.admit("Bearer user-key") == Principal("default", admin=False)
    assert keyed.admit("bearer  admin-key ") == Principal("admin", admin=True)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_api_key"),
        ("", "missing_api_key"),
        ("Basic dXNlcg==", "invalid_api_key"),
        ("Bearer", "invalid_api_key"),
        ("Bearer ", "invalid_api_key"),
        ("Bearer user-key2", "invalid_api_key"),
        ("Bearer USER-KEY", "invalid_api_key"),
        ("user-key", "invalid_api_key"),
        ("Bearer \udcff", "invalid_api_key"),
    ],
)
def test_anything_else_is_refused(keyed: Gate, header: str | None, code: str) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        keyed.admit(header)
    assert caught.value.code == code
    assert "user-key2" not in caught.value.message


def test_closed_without_any_key_and_says_how_to_set_one() -> None:
    with pytest.raises(AuthenticationFailed, match="wrangler secret put PROXY_API_KEY"):
        gate().admit("Bearer anything")


def test_open_in_development_whatever_is_sent() -> None:
    development = gate(ENVIRONMENT="development")
    assert development.admit(None).user == "anonymous"
    assert development.admit("Bearer sk-anything").user == "anonymous"


def test_only_admins_administrate(keyed: Gate) -> None:
    require_admin(keyed.admit("Bearer admin-key"))
    with pytest.raises(PermissionDenied, match="admin token"):
        require_admin(keyed.admit("Bearer user-key"))
