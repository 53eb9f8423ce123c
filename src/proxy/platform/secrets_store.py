"""Cloudflare's Secrets Store, of which each secret is a binding that has to be asked."""

import asyncio
from collections.abc import Mapping
from typing import Any

READ_SECONDS = 5.0
"""What the store may take to give a secret."""


async def read_secrets(bindings: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The secrets of bindings by their names, and why others could not be read."""
    answers = await asyncio.gather(*map(_read, bindings.values()), return_exceptions=True)
    found = dict(zip(bindings, answers, strict=True))
    secrets = {name: value for name, value in found.items() if isinstance(value, str)}
    return secrets, {
        name: repr(found[name])[:200] if isinstance(found[name], BaseException) else "no text came"
        for name in bindings.keys() - secrets.keys()
    }


async def _read(binding: Any) -> Any:
    async with asyncio.timeout(READ_SECONDS):
        return await binding.get()
