"""What an isolate holds of its memory for requests."""

import asyncio

from proxy.api.app import App


async def held(app: App) -> int:
    await asyncio.sleep(0)
    return app.services.memory.held
