"""The convention in a function's comment: prose first, then tags.

::

    Summary.

    Prose, in paragraphs.

    p_limit: 1 to 100.                       a paragraph of arguments, each on a line of its own

    @nullable p_settings, p_user_id          arguments that may be null although required
    @returns {jobs: [job], next_before: uuid?}
    @shape job {job_id: uuid, settings: jsonb, completed_at: timestamptz?}
    @raises PT404 job_not_found

A type is an SQL type of ``SCALARS`` or the name of a shape; ``[t]`` is a list of it, ``t?`` may be
null. A shape may be defined in any comment, also a helper's. A tag goes on until the next ``@`` at
the start of a line.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

SCALARS = ("bigint", "boolean", "integer", "interval", "jsonb", "text", "timestamptz", "uuid")

_TOKEN = re.compile(r"\s*([{}\[\],:?]|[a-z][a-z0-9_]*)")


class CommentError(ValueError):
    """A comment that does not follow the convention."""


@dataclass(frozen=True)
class Type:
    """The type of a key: a scalar's or a shape's name, perhaps a list of it, perhaps null."""

    name: str
    is_list: bool = False
    nullable: bool = False

    def __str__(self) -> str:
        name = f"[{self.name}]" if self.is_list else self.name
        return f"{name}?" if self.nullable else name


@dataclass(frozen=True)
class Shape:
    """A JSON object: its keys and their types, in order."""

    fields: dict[str, Type]

    def __str__(self) -> str:
        return "{" + ", ".join(f"{key}: {type_}" for key, type_ in self.fields.items()) + "}"


@dataclass(frozen=True)
class Comment:
    """A function's comment, taken apart."""

    summary: str
    prose: tuple[str, ...]
    arguments: dict[str, str]
    returns: Type | Shape | None
    shapes: dict[str, Shape]
    nullable: tuple[str, ...]
    raises: tuple[tuple[str, str], ...]


def parse(text: str) -> Comment:
    """Take a comment apart; raise `CommentError` where it leaves the convention."""
    untagged, *tags = re.split(r"^@", text, flags=re.MULTILINE)
    summary, *paragraphs = re.split(r"\n\n+", untagged.strip())
    explained = [p for p in paragraphs if p.startswith("p_")]
    items = [i for p in explained for i in re.split(r"\n(?=p_\w+: )", p)]
    arguments = {name: _flat(rest) for name, _, rest in (i.partition(": ") for i in items)}
    returns: Type | Shape | None = None
    shapes: dict[str, Shape] = {}
    nullable: list[str] = []
    raises: list[tuple[str, str]] = []
    for tag in tags:
        name, _, rest = tag.strip().partition(" ")
        if name == "returns" and returns is None:
            returns = _Reader(rest).whole()
        elif name == "shape" and (found := re.fullmatch(r"([a-z_]+) (\{.*)", rest, re.DOTALL)):
            shape = _Reader(found[2]).whole()
            if not isinstance(shape, Shape):
                raise CommentError(f"@shape {found[1]} is not an object")
            shapes[found[1]] = shape
        elif name == "nullable":
            nullable += re.split(r"[,\s]+", rest)
        elif name == "raises" and (found := re.fullmatch(r"(PT\d{3}) ([a-z_]+)", rest)):
            raises.append((found[1], found[2]))
        else:
            raise CommentError(f"@{tag.strip()!r}: no such tag, or not in its form")
    prose = tuple(_flat(p) for p in paragraphs if p not in explained)
    return Comment(
        _flat(summary), prose, arguments, returns, shapes, tuple(nullable), tuple(raises)
    )


def _flat(text: str) -> str:
    return " ".join(text.split())


class _Reader:
    """Reads one type or object from text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> Type | Shape:
        found = self._object() if self._text.lstrip().startswith("{") else self._type()
        if self._text[self._at :].strip():
            self._refuse("nothing")
        return found

    def _object(self) -> Shape:
        self._expect("{")
        fields: dict[str, Type] = {}
        while True:
            key = self._name()
            self._expect(":")
            fields[key] = self._type()
            if not self._skip(","):
                break
        self._expect("}")
        return Shape(fields)

    def _type(self) -> Type:
        is_list = self._skip("[")
        name = self._name()
        if is_list:
            self._expect("]")
        return Type(name, is_list, self._skip("?"))

    def _name(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        if not found or not found[1][0].isalpha():
            self._refuse("a name")
        self._at = found.end()
        return found[1]

    def _skip(self, sign: str) -> bool:
        found = _TOKEN.match(self._text, self._at)
        if found and found[1] == sign:
            self._at = found.end()
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._skip(sign):
            self._refuse(repr(sign))

    def _refuse(self, wanted: str) -> NoReturn:
        rest = self._text[self._at :].strip()
        raise CommentError(f"{wanted} expected before {rest[:40]!r} in {self._text!r}")
