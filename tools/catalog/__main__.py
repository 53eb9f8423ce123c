"""Bring the catalogue up to date: `make catalog`.

python -m tools.catalog                      # fetch the newest wheels, write, print the diff
python -m tools.catalog --wheels FOLDER      # read the wheels of a folder
python -m tools.catalog --add openai/gpt-6.1-sol openrouter/x-ai/grok-4.3
python -m tools.catalog --dry-run            # print the diff only
"""

import argparse
import difflib
import sys
import textwrap
from datetime import UTC, date, datetime
from pathlib import Path

from tools.catalog import genai_prices, litellm, wheels
from tools.catalog.document import Document
from tools.catalog.names import Sources
from tools.catalog.offers import SourceError
from tools.catalog.refresh import Report, add, refresh
from tools.layout import CACHE, ROOT, SOURCES

CATALOG = SOURCES / "proxy" / "providers" / "catalog.json"
WHEELS = CACHE / "catalog"
_NEW = 80  # ids of one provider that are printed


def main(arguments: list[str]) -> int:
    """Run the command; 0 where it has done what it should."""
    parser = argparse.ArgumentParser(prog="make catalog", description="Refresh the catalogue.")
    parser.add_argument("--wheels", type=Path, help="a folder with the wheels; nothing is fetched")
    parser.add_argument(
        "--add", nargs="*", default=[], metavar="PROVIDER/ID", help="models to add a line for"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the diff, write nothing")
    parser.add_argument("--date", type=date.fromisoformat, help="whose prices are the base: today")
    parser.add_argument("--file", type=Path, default=CATALOG, help="another file than catalog.json")
    options = parser.parse_args(arguments)
    today = (options.date or datetime.now(UTC).date()).isoformat()
    try:
        before, after, report = _run(options, today)
        _print_report(report)
        _print_new(report.new, (options.wheels or WHEELS) / "new.txt")
    except (SourceError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    _print_diff(before, after, options.file)
    if after != before and not options.dry_run:
        options.file.write_text(after, "utf-8")
        _tell(f"wrote {options.file.name}: look at the diff, run make test-unit")
    return 0


def _run(options: argparse.Namespace, today: str) -> tuple[str, str, Report]:
    """The file's text before and after, and what there is to tell."""
    folder = options.wheels or WHEELS
    if not options.wheels:
        _tell("fetching the newest wheels of genai-prices and LiteLLM …")
        wheels.fetch([genai_prices.PACKAGE, litellm.PACKAGE], folder)
    found = {source: wheels.find(source.PACKAGE, folder) for source in (genai_prices, litellm)}
    versions = [f"{source.PACKAGE} {wheels.read_version(at)}" for source, at in found.items()]
    _tell(f"reading {' and '.join(versions)} …")
    sources = Sources(
        genai_prices.GenaiPrices(wheels.read(found[genai_prices], genai_prices.FILE)),
        litellm.LiteLLM(wheels.read(found[litellm], litellm.FILE)),
        today,
    )
    before = options.file.read_text("utf-8")
    document = Document.read(before)
    _tell(f"comparing {len(document.entries)} models …")
    add(document, sources, options.add, today)
    report = refresh(document, sources, today)
    told = f"from {' and '.join(versions)}"
    if document.render() != before or not document.stamped.endswith(told):
        document.stamp(f"{today} {told}")
    return before, document.render(), report


def _print_report(report: Report) -> None:
    for heading, lines in (
        ("The sources disagree (the first one's price is taken)", report.disagreements),
        ("Ends, and nothing is named in its place (replaced_by)", report.endings),
        ("Known to neither source, or gone from both", report.unknown),
    ):
        if lines:
            print(f"# {heading}", *lines, "", sep="\n")


def _print_new(new: dict[str, list[str]], whole: Path) -> None:
    """The ids that are new; long lists, as resellers have, stand in a file."""
    whole.write_text("".join(f"{of}/{id_}\n" for of, ids in new.items() for id_ in ids), "utf-8")
    for provider, ids in new.items():
        if ids:
            print(f"# New at {provider}: {len(ids)} (make catalog ADD={provider}/ID)")
            told = ", ".join(ids) if len(ids) <= _NEW else f"see {whole}"
            print(
                textwrap.fill(told, 100, break_on_hyphens=False, break_long_words=False), end="\n\n"
            )


def _print_diff(before: str, after: str, file: Path) -> None:
    name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    diff = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=0)
    print("".join(diff) or "The catalogue is up to date.\n", end="")


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
