"""The few figures of docs/performance.md that README.md shows."""

import re

from bench import rows

CONNECTIONS = "50"
PEERS = ("LiteLLM", "Portkey")
_SHOWN = (
    ("cached answers a second", "hit", rows.HIT, "answers/s"),
    ("answers a second, the provider answers at once", "miss", rows.MISS, "answers/s"),
    ("ms until a stream begins, over the provider's own", "paced", rows.PASSED, "over"),
    ("CPU ms of a stream of 22 events", "paced", rows.PASSED, "CPU ms"),
)
"""What a line is called, the load, which row of it is the proxy's, and the column."""


def summarise(document: str) -> str:
    """Markdown: the proxy beside two peers, with the date and the versions of the run."""
    header, *lines = re.findall(r"^\| (.*) \|$", document.partition("### All figures")[2], re.M)
    columns = [column.replace("ms over the upstream's", "over") for column in header.split(" | ")]
    table = {tuple(cells[:3]): cells for cells in (line.split(" | ") for line in lines)}
    versions = re.search(r"^- Versions: (.*)$", document, re.M)
    date = re.search(r"^- Date: (.*)$", document, re.M)
    assert versions and date

    def read(load: str, who: str, column: str) -> str:
        cells = table.get((load, CONNECTIONS, who))
        return cells[columns.index(column)].strip() if cells else "none"

    titles = [re.search(rf"{peer} [\d.]+", versions[1]) for peer in PEERS]
    names = [title[0] if title else peer for title, peer in zip(titles, PEERS, strict=True)]
    text = [
        f"| {CONNECTIONS} connections, {date[1]} | this proxy | {' | '.join(names)} |",
        "| --- " * (2 + len(PEERS)) + "|",
    ]
    for title, load, own, column in _SHOWN:
        figures = [read(load, who, column) for who in (own, *PEERS)]
        text.append(f"| {title} | {' | '.join(figures)} |")
    return "\n".join(text) + "\n"
