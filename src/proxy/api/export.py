"""The request log as CSV: a stream, as far as it goes in bounds."""

from msgspec import structs

from proxy.analytics.query import parameters
from proxy.analytics.query.csv_text import CONTENT_TYPE, render_lines
from proxy.analytics.query.pages import PageQuery, merge_pages, show_record
from proxy.analytics.query.reader import StatisticsReader
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import LogPage
from proxy.core.errors import ProxyError
from proxy.core.ports import Sink
from proxy.core.web import Response

MOST_ROWS = 50_000
"""Of an export."""
_COLUMNS = (*show_record(RequestRecord(at=0, id="", endpoint="", status=0, ms=0)),)


async def export_requests(reader: StatisticsReader, query: PageQuery) -> Response:
    """All rows that a query names. Raises ProxyError where the first can't be read; where a later
    one can't, the last line says so."""
    pages = await reader.read_pages(query.of_shard)

    async def write(sink: Sink) -> None:
        await sink.write(render_lines([_COLUMNS]))
        await _write_rows(reader, query, pages, sink)

    headers = {
        "content-type": CONTENT_TYPE,
        "content-disposition": 'attachment; filename="requests.csv"',
        "cache-control": "no-store",
    }
    return Response(headers=headers, stream=write)


async def _write_rows(
    reader: StatisticsReader, query: PageQuery, pages: list[LogPage], sink: Sink
) -> None:
    written = 0
    while True:
        records, after = merge_pages(query, pages)
        if records:
            await sink.write(render_lines(show_record(record).values() for record in records))
        written += len(records)
        if after is None:
            return
        query = structs.replace(query, positions=tuple(after))
        cursor = parameters.encode_cursor(after)
        if written >= MOST_ROWS:
            why = f"Cut after {written} rows: go on with cursor={cursor}"
            break
        try:
            pages = await reader.read_pages(query.of_shard)
        except ProxyError as error:
            why = f"Broken off after {written} rows: {error.message} Go on with cursor={cursor}"
            break
    await sink.write(render_lines([[f"({why})"]]))
