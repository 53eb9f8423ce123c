"""The calls of a request, each as its candidate's provider takes it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from msgspec import structs

from proxy.core.body_memory import Hold
from proxy.core.chat import Call, ChatRequest
from proxy.core.errors import Fault, FaultDetails, InvalidRequest, drop_frames
from proxy.core.permit import Permit
from proxy.core.ports import Outgoing, Ports
from proxy.providers.registry import ADAPTERS
from proxy.providers.target import Target
from proxy.routing.images import fetch_images, has_remote_images, inline_images
from proxy.routing.needs import Needs

R = TypeVar("R")


class ChatCalls:
    """The calls of a chat request, with images by value for providers that fetch none."""

    def __init__(self, call: Call, permit: Permit, ports: Ports, hold: Hold | None) -> None:
        """hold: counts the memory of images and of the answer."""
        self.permit = permit
        self.needs = Needs.of(call.chat)
        self._call = call
        self._ports = ports
        self._hold = hold
        self._images: asyncio.Task[dict[str, str]] | None = None

    async def prepare(self, target: Target, seconds: float) -> Outgoing:
        """A candidate's call, with the limit of the answer by which a budget reserves. Images are
        fetched once for all candidates, within `seconds`. Raises as Operation.prepare does."""
        chat = await self._chat_for(target, seconds)
        limit = self.permit.output_limit(target.offer)
        if limit is not None:
            chat = structs.replace(chat, max_tokens=limit)
        build = ADAPTERS[target.spec.dialect].build_request
        outgoing = build_call(build, target, chat, self._call.passed_on)
        return structs.replace(outgoing, hold=self._hold)

    def close(self) -> None:
        """Ends a fetch that no candidate waits for, and keeps neither images nor error."""
        images, self._images = self._images, None
        if images is None or images.cancel() or images.cancelled():
            return
        if isinstance(error := images.exception(), Exception):  # looked at, it is not logged
            drop_frames(error)

    async def _chat_for(self, target: Target, seconds: float) -> ChatRequest:
        chat, ports = self._call.chat, self._ports
        if target.spec.fetches_images or not has_remote_images(chat):
            return chat
        if self._images is None:
            fetching = fetch_images(chat, ports.upstream, ports.parse_url, seconds, self._hold)
            self._images = asyncio.ensure_future(fetching)
        images = await asyncio.shield(self._images)
        return inline_images(chat, images, raw=target.spec.dialect == "openai")


def build_call(
    build: Callable[[Target, R], Outgoing], target: Target, request: R, passed_on: dict[str, str]
) -> Outgoing:
    """The call. What this provider's dialect can't carry is a Fault: another's may."""
    try:
        outgoing = build(target, request)
        return structs.replace(outgoing, headers=passed_on | outgoing.headers)
    except InvalidRequest as error:
        raise Fault(
            "bad_request",
            error.message,
            source="proxy",
            details=FaultDetails(param=error.param, lacks=True),
        ) from error
