"""JSON Schemas of the code's own types, as components of the document.

A Struct becomes a component with its docstring and those of its fields. msgspec's own
`schema_components` can't describe a field whose default is Raw, and knows no docstring of a field.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias, get_args, get_type_hints

import msgspec.inspect as mi
from msgspec import NODEFAULT, UNSET, Raw, Struct, UnsetType, to_builtins

JSON: TypeAlias = dict[str, Any]
ROOT = "#/components/schemas/"
STRING: JSON = {"type": "string"}
MAYBE: JSON = {"type": ["string", "null"]}
INTEGER: JSON = {"type": "integer"}
NUMBER: JSON = {"type": "number"}
MOMENT: JSON = {"type": "string", "format": "date-time"}


@dataclass(frozen=True)
class Named:
    """A schema that no type of the code has, by the name of its component."""

    name: str
    schema: JSON
    uses: tuple["Schema", ...] = ()
    """What it refers to."""
    like: type[Struct] | None = None
    """Whose fields it has beside its own."""


_PLAIN: dict[type[mi.Type], JSON] = {
    mi.AnyType: {},
    mi.RawType: {},
    mi.NoneType: {"type": "null"},
    mi.BoolType: {"type": "boolean"},
    mi.DateTimeType: {"type": "string", "format": "date-time"},
    mi.DateType: {"type": "string", "format": "date"},
}
Schema: TypeAlias = type[Struct] | Named | JSON


def thing(*required: str, **properties: JSON) -> JSON:
    """The schema of an object."""
    return {"type": "object", "properties": properties, "required": [*required]}


def full(**properties: JSON) -> JSON:
    """The schema of an object that has all of these."""
    return thing(*properties, **properties)


def refer(name: str) -> JSON:
    """A reference to a component."""
    return {"$ref": f"{ROOT}{name}"}


class Schemas:
    """The components that have been referred to so far."""

    def __init__(self, names: Mapping[type, str], refined: Mapping[type, JSON]) -> None:
        """names: of the types that are not called as their component; refined: what a type's reader
        demands beside its fields."""
        self.components: JSON = {}
        self._names = names
        self._refined = refined
        self._types: dict[str, object] = {}
        """By the component's name, what it describes."""

    def add(self, schema: Schema) -> JSON:
        """The schema as an operation refers to it. Raises ValueError where two have one name."""
        if isinstance(schema, Named):
            for used in schema.uses:
                self.add(used)
            if self._is_new(schema.name, schema.name):
                self.components[schema.name] = self._complete(schema)
            return refer(schema.name)
        return schema if isinstance(schema, dict) else self.render(schema)

    def render(self, kind: object) -> JSON:
        """The schema of a type, a Struct or not."""
        return self._render(mi.type_info(kind))

    def _complete(self, named: Named) -> JSON:
        if named.like is None:
            return named.schema
        base = self.components[self.add(named.like)["$ref"].removeprefix(ROOT)]
        properties = base["properties"] | named.schema["properties"]
        required = [*base.get("required", ()), *named.schema.get("required", ())]
        return {"type": "object", "properties": properties, "required": required}

    def _is_new(self, name: str, described: object) -> bool:
        if self._types.setdefault(name, described) is not described:
            raise ValueError(f"Two schemas are called {name}: name one in tools/openapi/names.py")
        return name not in self.components

    def _render(self, kind: mi.Type) -> JSON:
        match kind:
            case mi.Metadata():
                schema = self._render(kind.type) | (kind.extra_json_schema or {})
            case mi.StructType():
                schema = self._render_struct(kind)
            case mi.UnionType():
                schema = _unite([self._render(each) for each in kind.types])
            case mi.LiteralType():
                schema = {"enum": list(kind.values)}
            case mi.CollectionType():
                schema = _drop_none(
                    type="array",
                    items=self._render(kind.item_type) or None,
                    minItems=kind.min_length,
                    maxItems=kind.max_length,
                )
            case mi.TupleType():
                schema = {
                    "type": "array",
                    "prefixItems": [self._render(each) for each in kind.item_types],
                    "minItems": len(kind.item_types),
                    "maxItems": len(kind.item_types),
                }
            case mi.DictType():
                names = self._render(kind.key_type)
                names.pop("type", None)
                schema = _drop_none(
                    type="object",
                    propertyNames=names or None,
                    additionalProperties=self._render(kind.value_type) or None,
                    minProperties=kind.min_length,
                    maxProperties=kind.max_length,
                )
            case _:
                schema = _render_scalar(kind)
        return schema

    def _render_struct(self, kind: mi.StructType) -> JSON:
        cls = kind.cls
        name = self._names.get(cls) or cls.__name__.lstrip("_")
        if not self._is_new(name, cls):
            return refer(name)
        self.components[name] = {}  # the type may hold itself
        docs, optional = _read_docs(cls), _find_optional(cls)
        properties = {}
        for field in kind.fields:
            schema = self._render(field.type)
            if doc := docs.get(field.name):
                schema = schema | {"description": doc}
            if field.default is not NODEFAULT and _is_shown(field.default):
                schema = schema | {"default": to_builtins(field.default, str_keys=True)}
            properties[field.encode_name] = schema
        required = [f.encode_name for f in kind.fields if f.required and f.name not in optional]
        self.components[name] = _drop_none(
            type="object",
            description=_fold(cls.__doc__),
            properties=properties,
            required=required or None,
            additionalProperties=False if kind.forbid_unknown_fields else None,
            **self._refined.get(cls, {}),
        )
        return refer(name)


def _render_scalar(kind: mi.Type) -> JSON:
    match kind:
        case mi.IntType() | mi.FloatType():
            return _drop_none(
                type="integer" if isinstance(kind, mi.IntType) else "number",
                minimum=kind.ge,
                maximum=kind.le,
                exclusiveMinimum=kind.gt,
                exclusiveMaximum=kind.lt,
            )
        case mi.StrType():
            pattern = kind.pattern and kind.pattern.replace(r"\A", "^").replace(r"\Z", "$")
            return _drop_none(
                type="string", minLength=kind.min_length, maxLength=kind.max_length, pattern=pattern
            )
    return dict(_PLAIN[type(kind)])


def _unite(schemas: list[JSON]) -> JSON:
    """A schema for each of several. One scalar type or null is a list of types, as people write
    it."""
    rest = [schema for schema in schemas if schema != {"type": "null"}]
    if {} in rest:
        return {}
    if len(rest) < len(schemas):
        if len(rest) == 1 and isinstance(rest[0].get("type"), str) and "enum" not in rest[0]:
            return rest[0] | {"type": [rest[0]["type"], "null"]}
        rest.append({"type": "null"})
    return rest[0] if len(rest) == 1 else {"anyOf": rest}


def _drop_none(**fields: Any) -> JSON:
    return {name: value for name, value in fields.items() if value is not None}


def _is_shown(default: object) -> bool:
    """Whether a default says something: null and what is empty mean that the field is not there."""
    return default is not UNSET and not isinstance(default, Raw | Struct) and bool(default)


def _find_optional(cls: type) -> frozenset[str]:
    """The fields that an answer may lack."""
    hints = get_type_hints(cls)
    return frozenset(name for name, hint in hints.items() if UnsetType in get_args(hint))


def _fold(text: str | None) -> str | None:
    return " ".join(text.split()) if text else None


@cache
def _read_docs(cls: type) -> dict[str, str]:
    """The docstrings of a Struct's fields, those of its bases too."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not issubclass(base, Struct) or base is Struct:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, after in pairwise(tree.body):
            match field, after:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(doc))),
                ):
                    docs[name] = _fold(doc) or ""
    return docs
