"""Recalls what a request means: one of the same bytes means the same.

Most requests that the cache answers repeat another to the byte. What a hit needs is kept by the
SHA-256 of the body, so that nothing of it is read again, and a short answer as it was rendered, so
that it isn't rendered again; no text of a caller is kept.
"""

from collections import OrderedDict
from hashlib import sha256
from typing import TypeAlias

from msgspec import Struct

from proxy.cache.directives import Directives
from proxy.core.chat import Call
from proxy.core.principal import Principal
from proxy.dialects.contract import Dialect
from proxy.serving.context import RequestContext
from proxy.serving.replay import Rendered
from proxy.serving.task import STEERING, ChatTask

LONGEST_KNOWN = 4096
"""Bytes of what is kept of a request: one that repeats long instructions in its answer is read
again."""
LONGEST_BETAS = 1024
"""Characters of the betas that a request asks for."""
MOST = 500
"""Requests that are recalled; beyond, the least recently used is forgotten."""

Fingerprint: TypeAlias = tuple[bytes, Dialect, Principal | None, str, int]
"""The digest of a body, and what its meaning depends on: a caller may have models of its own, and
ask for betas; and a model may end with the day."""
DAY = 86_400


class Recalled(Struct):
    """What a hit needs of a request."""

    call: Call
    """Without the caller's texts."""
    directives: Directives
    key: str
    """The cache's key."""
    rendered: Rendered | None = None
    """What such a request was answered with, where the next may be answered the same."""


class Recall:
    """The requests that an isolate recalls."""

    def __init__(self) -> None:
        self._known: OrderedDict[Fingerprint, Recalled] = OrderedDict()

    def find(self, fingerprint: Fingerprint | None) -> Recalled | None:
        """What a request means; None: it is not known."""
        if fingerprint is None or fingerprint not in self._known:
            return None
        self._known.move_to_end(fingerprint)
        return self._known[fingerprint]

    def keep(self, fingerprint: Fingerprint, task: ChatTask) -> None:
        """Recalls a request from now on, which the task has been made from, unless there is too
        much to keep of it."""
        if task.size_without_texts > LONGEST_KNOWN:
            return
        self._known[fingerprint] = Recalled(task.textless_call, task.directives, task.key)
        if len(self._known) > MOST:
            self._known.popitem(last=False)


def take_fingerprint(context: RequestContext, body: bytes) -> Fingerprint | None:
    """The fingerprint of a request; None where its headers say something of its meaning too, or are
    too long to be kept."""
    is_long = len(context.betas) > LONGEST_BETAS
    if is_long or not STEERING.isdisjoint(context.request.headers):
        return None
    day = int(context.began // DAY)
    return sha256(body).digest(), context.dialect, context.principal, context.betas, day
