"""Reads the content of Messages: what blocks are as parts, and what others than a provider of this
dialect can't take of them."""

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Raw

from proxy.core.errors import invalid
from proxy.core.messages import NOTHING, ImageURL, Part
from proxy.core.splice import FIELDS, ITEMS, NULL
from proxy.dialects.anthropic_body import (
    CITATIONS,
    CONTENT,
    SOURCE,
    STRING,
    Block,
    Blocks,
    Content,
    Source,
    decode,
)
from proxy.dialects.messages import check_image
from proxy.dialects.seal import MARK

ONLY_HERE = "only a provider of Anthropic's Messages can take it"


class Findings:
    """What a request holds that not every provider can take."""

    def __init__(self) -> None:
        self.native_only = ""
        """As in ChatRequest."""
        self.dropped: dict[str, None] = {}
        """As in Call, each once."""
        self.is_sealed = False
        """Whether a text that was sealed here has come back."""
        self.image_bytes = 0

    def drop(self, name: str, value: object) -> None:
        """Notes a field that others do without, if it says anything."""
        if value is not None and value is not NOTHING:
            self.dropped[name] = None

    def reserve(self, path: str, feature: str, reason: str) -> None:
        """Notes what others can't take, in words by which Claude Code knows to leave it out."""
        if not self.native_only:
            self.native_only = f"{path}: {reason}; {ONLY_HERE} (capability_rejected: {feature})."


class BlockReader:
    """Reads a list of blocks. raw: gives its bytes; path: its place in the body."""

    def __init__(self, path: str, raw: Callable[[], Raw], findings: Findings) -> None:
        self.path = path
        self._raw = raw
        self._findings = findings

    def read(self, block: Block, index: int) -> Iterator[Part]:
        """The parts that a block is; none where it holds nothing."""
        self._findings.drop("cache_control", block.cache_control)
        match block.type:
            case "text":
                parts = self._read_text(block, index)
            case "image":
                parts = self._read_image(block, index)
            case "document":
                parts = self._read_document(block, index)
            case "search_result":
                parts = self._read_search_result(block, index)
            case _:
                parts = self.keep(block, index)
        yield from parts

    def read_all(self, blocks: Blocks) -> list[Part]:
        """The parts of all the blocks."""
        return [part for index, block in enumerate(blocks) for part in self.read(block, index)]

    def keep(self, block: Block, index: int, place: str = "", reason: str = "") -> Iterator[Part]:
        """A block that has no other form than its own. place: of its field that is at fault."""
        path = f"{self.path}.{index}{place}"
        reason = reason or f"Input tag '{block.type[:80]}' is not known to other dialects"
        self._findings.reserve(path, block.type[:80], reason)
        yield Part(type=block.type, file=ITEMS.decode(self._raw())[index])

    def _read_text(self, block: Block, index: int) -> Iterator[Part]:
        if block.text is None:
            raise invalid(f"{self.path}.{index}.text", "Field required")
        if block.citations not in (NOTHING, NULL, Raw(b"[]")):
            self._findings.drop("citations", block.citations)
            if MARK.encode() in bytes(block.citations):  # no provider's own
                self._findings.is_sealed = True
        if block.text:
            yield Part(type="text", text=block.text, cache_control=block.cache_control)

    def _read_image(self, block: Block, index: int) -> Iterator[Part]:
        path = f"{self.path}.{index}.source"
        source = _read_source(block, path)
        self._findings.drop("transformations", block.transformations)
        if source.type == "file":
            yield from self.keep(block, index, ".source", "Files are not known to other dialects")
            return
        if source.type == "url":
            place, url = f"{path}.url", source.url
        else:
            place = f"{path}.data"
            url = f"data:{source.media_type};base64,{_read_data(source, path)}"
        if url is None:
            raise invalid(place, "Field required")
        self._findings.image_bytes = check_image(url, place, self._findings.image_bytes)
        yield Part(type="image_url", image_url=ImageURL(url), cache_control=block.cache_control)

    def _read_document(self, block: Block, index: int) -> Iterator[Part]:
        """A document's title is a file's name, and stands in front of a text; what is said of it
        does in any case."""
        path = f"{self.path}.{index}.source"
        source = _read_source(block, path)
        if self._wants_citations(block, index):
            yield from self.keep(block, index, ".citations", "Citations are not known elsewhere")
            return
        is_file = source.type in ("base64", "url", "file")
        head = [block.context] if is_file else [block.title, block.context]
        if text := "\n".join(filter(None, head)):
            yield Part(type="text", text=text)
        mark = block.cache_control
        if is_file:
            if source.type == "file":
                reason = "Files are not known to other dialects"
                self._findings.reserve(path, "file", reason)
            file = _make_file(source, block.title, path)
            yield Part(type="file", file=file, cache_control=mark)
        elif source.type == "text":
            yield Part(type="text", text=_read_data(source, path), cache_control=mark)
        elif source.type == "content":
            yield from self._read_inner(source.content or "", block, index)
        else:
            self._findings.reserve(path, "document", f"Input tag '{source.type[:80]}' is not known")
            yield Part(type="document", file=ITEMS.decode(self._raw())[index])

    def _read_inner(self, content: Content, block: Block, index: int) -> Iterator[Part]:
        """The parts of a document that is made of blocks itself."""
        if isinstance(content, str):
            yield Part(type="text", text=content, cache_control=block.cache_control)
            return
        path = f"{self.path}.{index}.source.content"
        source = block.source
        inner = BlockReader(path, lambda: FIELDS.decode(source)["content"], self._findings)
        for place, item in enumerate(content):
            if item.type not in ("text", "image"):
                raise invalid(f"{path}.{place}.type", "Input should be 'text' or 'image'")
            yield from inner.read(item, place)

    def _read_search_result(self, block: Block, index: int) -> Iterator[Part]:
        if self._wants_citations(block, index):
            yield from self.keep(block, index, ".citations", "Citations are not known elsewhere")
            return
        path = f"{self.path}.{index}"
        source = decode(STRING, block.source or Raw(b'""'), f"{path}.source")
        content = decode(CONTENT, block.content or Raw(b'""'), f"{path}.content")
        texts = [content] if isinstance(content, str) else [item.text or "" for item in content]
        text = "\n".join(filter(None, (block.title, source, *texts)))
        yield Part(type="text", text=text, cache_control=block.cache_control)

    def _wants_citations(self, block: Block, index: int) -> bool:
        if block.citations is NOTHING:
            return False
        wish = decode(CITATIONS, block.citations, f"{self.path}.{index}.citations")
        return bool(wish and wish.enabled)


def _read_source(block: Block, path: str) -> Source:
    if block.source is NOTHING:
        raise invalid(path, "Field required")
    return decode(SOURCE, block.source, path)


def _read_data(source: Source, path: str) -> str:
    if source.data is NOTHING:
        raise invalid(f"{path}.data", "Field required")
    return decode(STRING, source.data, f"{path}.data")


def _make_file(source: Source, title: str | None, path: str) -> Raw:
    """A document as OpenAI's object, with no other copy of its data."""
    fields = {"filename": title or "document.pdf"}
    if source.type == "url":
        if source.url is None:
            raise invalid(f"{path}.url", "Field required")
        return Raw(msgspec.json.encode(fields | {"file_url": source.url}))
    if source.type == "file":
        if source.file_id is None:
            raise invalid(f"{path}.file_id", "Field required")
        return Raw(msgspec.json.encode(fields | {"file_id": source.file_id}))
    if source.data is NOTHING:
        raise invalid(f"{path}.data", "Field required")
    data = memoryview(source.data)
    if bytes(data[:1]) != b'"':
        raise invalid(f"{path}.data", "Input should be a valid string")
    kind = msgspec.json.encode(f"data:{source.media_type or 'application/pdf'};base64,")[:-1]
    head = msgspec.json.encode(fields)[:-1]
    return Raw(b"".join((head, b',"file_data":', kind, data[1:], b"}")))
