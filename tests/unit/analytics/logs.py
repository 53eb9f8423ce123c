"""Reads the request log of a shard."""

import asyncio

from proxy.analytics.query.reader import read_page
from proxy.analytics.store.messages import LogPage, LogQuery
from proxy.analytics.store.request_log import RequestLog
from proxy.analytics.store.shard import Shard


def read_whole(shard: Shard | RequestLog, query: LogQuery) -> LogPage:
    """A page, however many parts the shard answers it in."""

    async def ask(part: LogQuery) -> LogPage:
        return shard.read_page(part)

    return asyncio.run(read_page(query, ask))
