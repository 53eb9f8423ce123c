"""What is said of an operation."""

from dataclasses import KW_ONLY, dataclass, field

from tools.openapi.errors import Errors
from tools.openapi.headers import NO_STORE, TRACED
from tools.openapi.schemas import JSON, Named, Schema, full

JSON_TYPE = "application/json"
EVENTS_TYPE = "text/event-stream"
CSV_TYPE = "text/csv"
ANY_TYPE = "*/*"


@dataclass(frozen=True)
class Parameter:
    """A parameter of the query or of the path."""

    what: str
    schema: JSON
    required: bool = False


@dataclass(frozen=True)
class Body:
    """The body of a request."""

    schema: Schema
    example: object = None
    _: KW_ONLY
    media_type: str = JSON_TYPE
    required: bool = True


@dataclass(frozen=True)
class Answer:
    """An answer that is no error."""

    what: str
    schema: Schema | None = None
    """None: it has no body."""
    _: KW_ONLY
    media_type: str = JSON_TYPE
    events: str = ""
    """What the events of a streamed one are; empty: there is none."""
    csv: str = ""
    """What its rows are where it is wanted as CSV; empty: it can't be."""
    headers: tuple[str, ...] = NO_STORE


@dataclass(frozen=True)
class Operation:
    """A method of a path. The rest follows from the table of paths."""

    id: str
    """By which generated clients call it."""
    summary: str
    answers: Answer | dict[int | str, Answer]
    """By status, or that of 200; `default`: whatever a provider answers."""
    errors: Errors = ()
    """Beside those that follow from the table of paths."""
    _: KW_ONLY
    detail: str = ""
    bodies: tuple[Body, ...] = ()
    query: dict[str, Parameter] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    """Those that it reads, beside TRACED."""

    @property
    def answers_by_status(self) -> dict[int | str, Answer]:
        """The answers, each by its status."""
        return {200: self.answers} if isinstance(self.answers, Answer) else self.answers

    @property
    def read_headers(self) -> tuple[str, ...]:
        """All that it reads."""
        return TRACED + self.headers


def text(what: str, **limits: object) -> Parameter:
    """A parameter of the query that is a text."""
    return Parameter(what, {"type": "string", "minLength": 1, "maxLength": 256} | limits)


def number(what: str, least: int, most: int, default: int | None = None) -> Parameter:
    """A parameter of the query that is a whole number."""
    schema: JSON = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(what, schema | ({} if default is None else {"default": default}))


def listing(name: str, items: Named | JSON, **fields: JSON) -> JSON:
    """The schema of an object that holds a list."""
    schema = {"$ref": f"#/components/schemas/{items.name}"} if isinstance(items, Named) else items
    return full(**{name: {"type": "array", "items": schema}}, **fields)
