"""What `make catalog` does to the catalogue, and what it has to tell."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy.providers.specs import undated
from tools.catalog.document import Document
from tools.catalog.entry import make_entry, read_prices, update_entry, update_mode
from tools.catalog.merge import list_disagreements, merge
from tools.catalog.names import NAMES, Sources
from tools.catalog.offers import Offer, SourceError

_NO_MODEL = re.compile(r"^(ft:|(high|low|medium|standard|hd)/|\d+-x-\d+|max-x-)|\*|/container$")
"""Keys of LiteLLM that name a price and no model: of a fine-tuned one, of a picture's size."""


@dataclass
class Report:
    """Lines for whoever looks at the diff, by their heading."""

    disagreements: list[str] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    new: dict[str, list[str]] = field(default_factory=dict)


def refresh(document: Document, sources: Sources, today: str) -> Report:
    """Bring the document's entries up to date; UTC day YYYY-MM-DD."""
    report = Report()
    for name, entry in list(document.entries.items()):
        provider, id_ = name
        if provider not in NAMES or entry.get("upstream"):
            continue
        offers = sources.find(provider, id_)
        offer = merge(provider, offers, read_prices(entry))
        if offer is None:
            report.unknown.append(f"{provider}/{id_}")
            continue
        document.replace(name, update_entry(entry, offer, today))
        told = ", ".join(list_disagreements(provider, offers))
        report.disagreements += [f"{provider}/{id_}: {told}"] if told else []
    for name, entry in list(document.entries.items()):
        if whole := document.entries.get((name[0], entry.get("upstream", ""))):
            document.replace(name, update_mode(entry, whole))
    report.endings = [*_list_endings(document, sources)]
    report.new = {provider: _list_new(document, sources, provider, today) for provider in NAMES}
    return report


def add(document: Document, sources: Sources, names: Iterable[str], today: str) -> None:
    """Write a line for each `provider/id`. Raises SourceError for one that is listed, or that no
    source knows."""
    for name in names:
        provider, _, id_ = name.partition("/")
        offer = merge(provider, sources.find(provider, id_), {})
        if offer is None:
            raise SourceError(f"--add {name}: neither source knows a model of that name")
        if (provider, id_) in document.entries:
            raise SourceError(f"--add {name}: the catalogue has it")
        document.add((provider, id_), make_entry(provider, id_, offer, today))


def _list_endings(document: Document, sources: Sources) -> Iterable[str]:
    """Models that end and have nobody in their place, with their provider's word."""
    for (provider, id_), entry in document.entries.items():
        if "shutdown" in entry and "replaced_by" not in entry:
            offers = sources.find(provider, id_)
            successor = next((offer.successor for offer in offers if offer.successor), None)
            told = f"; LiteLLM names {successor} in its place" if successor else ""
            yield f"{provider}/{id_} ends on {entry['shutdown']}{told}"


def _list_new(document: Document, sources: Sources, provider: str, today: str) -> list[str]:
    """The ids of a provider's models that the catalogue has not: without snapshots and variants
    (`:batch`, another vendor) of those that it has, retired names, variants of another new one,
    and what has ended."""
    known = {id_.lower() for of, id_ in document.entries if of == provider}
    if not known:
        return []
    known |= {id_.rpartition(":")[0] for id_ in known} - {""} | {
        name.lower() for name in document.aliases
    }
    listed = sources.list_ids(provider)
    new = (
        id_
        for id_ in listed
        if not {id_.lower(), undated(id_).lower(), id_.lower().rpartition(":")[0]} & known
        and not _NO_MODEL.search(id_)
        and id_.rpartition(":")[0] not in listed
    )
    return sorted(id_ for id_ in new if not _has_ended(sources.find(provider, id_), today))


def _has_ended(offers: list[Offer], today: str) -> bool:
    return any(offer.shutdown and offer.shutdown <= today for offer in offers)
