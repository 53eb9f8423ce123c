"""An isolate that lets callers in, and a key that is issued."""

import pytest

from proxy.access.authenticator import Authenticator, format_secret
from proxy.access.key_cache import KeyCache
from proxy.access.keys import Key
from proxy.core.errors import ProxyError
from proxy.core.principal import Budget, Limits, ModelGrant, Principal
from proxy.core.settings import read_settings
from tests.unit.doubles import Logbook, ManualClock
from tests.unit.memory_objects import MemoryObjects

HERE, THERE = "192.0.2.1", "192.0.2.2"
TWO = {"PROXY_API_KEY": "user-key", "ADMIN_TOKEN": "admin-key"}
SECRET = format_secret("production", "ab" * 32)
KEY = Key(
    id="key_1",
    user="ann",
    created_at=0,
    grant=ModelGrant(providers=("groq",)),
    limits=Limits(per_hour=5),
    budget=Budget(day=7),
    cache_scope="shared",
)


class Isolate:
    """The authenticator of an isolate, on a store that several may share."""

    def __init__(self, clock: ManualClock, objects: MemoryObjects, **env: str) -> None:
        self.log = Logbook()
        self.keys = KeyCache(objects, clock, self.log)
        self.authenticator = Authenticator(read_settings(env or TWO, ()).access, self.keys)

    async def authenticate(self, key: str | None, address: str = HERE) -> Principal:
        """Who is let in with a key."""
        caller = self.authenticator.authenticate(
            f"Bearer {key}" if key is not None else None, address
        )
        return caller if isinstance(caller, Principal) else await caller

    async def refusal(self, key: str | None, address: str = HERE) -> str | None:
        """The code of the refusal."""
        with pytest.raises(ProxyError) as caught:
            await self.authenticate(key, address)
        assert key is None or len(key) < 8 or key not in caught.value.message
        return caught.value.code
