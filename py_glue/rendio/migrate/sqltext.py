"""A small reader of SQL text: statements, what they create and drop, which locks they take.

It knows strings, dollar quotes, comments and ``begin atomic`` bodies, and nothing of grammar
beyond the first words of a statement. The server stays the judge of everything else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<string>(?:(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'))
    | (?P<dollar>(?<![\w$])\$(?:[^\W\d]\w*)?\$)
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d[\w.]*)
    | (?P<space>\s+)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """One lexeme: ``text`` is folded for words, unquoted for quoted names, raw otherwise."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Name:
    """A possibly qualified name as written; ``schema`` is empty when there is none."""

    schema: str
    name: str

    def __str__(self) -> str:
        parts = [self.schema, self.name] if self.schema else [self.name]
        return ".".join(map(quote_name, parts))


@dataclass(frozen=True)
class Thing:
    """An object that a statement creates or drops; ``table`` is set for policies and triggers."""

    kind: str
    name: Name
    table: Name | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" on {self.table}" if self.table else "")


@dataclass(frozen=True)
class Lock:
    """A table lock as the server's manual names it."""

    mode: str
    table: Name


def quote_name(name: str) -> str:
    """Quote an identifier when it is not a plain lower-case one."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def tokens(text: str) -> Iterator[Token]:
    """Yield every lexeme that is not white space; comments are included."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None  # the last alternative takes any character
        kind, end = match.lastgroup or "sign", match.end()
        if kind == "block":
            kind, end = "comment", _end_of_block_comment(text, at)
        elif kind == "dollar":
            closing = text.find(match[0], end)
            end = len(text) if closing < 0 else closing + len(match[0])
        raw = text[at:end]
        if kind != "space":
            yield Token(kind, _value(kind, raw), at, end)
        at = end


def _value(kind: str, raw: str) -> str:
    if kind == "word":
        return raw.lower()
    return raw[1:-1].replace('""', '"') if kind == "quoted" else raw


def _end_of_block_comment(text: str, at: int) -> int:
    depth = 0
    for mark in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return at + mark.end()
    return len(text)


@dataclass(frozen=True)
class Statement:
    """One statement of a file, without its semicolon and the comments before it."""

    text: str
    line: int
    tokens: tuple[Token, ...]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The folded words and signs up to the first body or string; enough to recognise it."""
        return tuple(token.text if token.kind == "word" else "" for token in self.tokens)

    def starts(self, *words: str) -> bool:
        return self.words[: len(words)] == words

    @property
    def creates(self) -> list[Thing]:
        """What the statement creates; for a ``do`` block, what its body may create."""
        if self.starts("do"):
            return [thing for body in self._bodies for thing in _created_anywhere(body)]
        thing = _created(self.tokens)
        return [thing] if thing else []

    @property
    def drops(self) -> list[Thing]:
        """What the statement drops; functions without their arguments."""
        return _dropped(self.tokens) if self.starts("drop") else []

    @property
    def locks(self) -> list[Lock]:
        """The locks it takes on tables, as far as its first words tell."""
        return _locks(self)

    @property
    def _bodies(self) -> list[str]:
        return [unquote(token.text) for token in self.tokens if token.kind in ("dollar", "string")]


def unquote(literal: str) -> str:
    """Return the contents of a string or dollar-quoted literal."""
    if literal.startswith("$"):
        tag = literal[: literal.index("$", 1) + 1]
        return literal[len(tag) : -len(tag)]
    return literal[literal.index("'") + 1 : -1].replace("''", "'")


def split(text: str) -> list[Statement]:
    """Cut a file into its statements."""
    statements: list[Statement] = []
    current: list[Token] = []
    depth = 0
    for token in tokens(text):
        if token.kind == "comment":
            continue
        if token.text == ";" and token.kind == "sign" and depth == 0:
            if current:
                statements.append(_statement(text, current))
            current = []
            continue
        depth = _depth(depth, current, token)
        current.append(token)
    if current:
        statements.append(_statement(text, current))
    return statements


def _depth(depth: int, before: list[Token], token: Token) -> int:
    """Count parentheses, and ``begin atomic``/``case`` … ``end`` inside a create statement."""
    if token.kind == "sign":
        step = {"(": 1, ")": -1}.get(token.text, 0)
    elif token.kind != "word" or not before or before[0].text != "create":
        return depth
    elif token.text == "atomic":
        step = 1 if before[-1].text == "begin" else 0
    elif token.text == "case":
        step = 1 if depth else 0
    else:
        step = -1 if token.text == "end" and depth else 0
    return max(0, depth + step)


def _statement(text: str, found: list[Token]) -> Statement:
    start, end = found[0].start, found[-1].end
    return Statement(text[start:end], text.count("\n", 0, start) + 1, tuple(found))


class _Cursor:
    """Reads words and names from a token list, never past its end."""

    def __init__(self, found: tuple[Token, ...], at: int = 0) -> None:
        self.tokens, self.at = found, at

    def peek(self) -> str:
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        return token.text if token and token.kind in ("word", "sign") else ""

    def take(self, *words: str) -> bool:
        """Step over these words when they come next, all of them or none."""
        for i, word in enumerate(words):
            if _Cursor(self.tokens, self.at + i).peek() != word:
                return False
        self.at += len(words)
        return True

    def take_any(self, *words: str) -> str:
        word = self.peek()
        return word if word in words and self.take(word) else ""

    def skip_to(self, word: str) -> bool:
        """Move behind the next ``word`` outside of parentheses."""
        depth = 0
        while self.at < len(self.tokens):
            text = self.peek()
            self.at += 1
            depth += {"(": 1, ")": -1}.get(text, 0)
            if text == word and depth == 0:
                return True
        return False

    def name(self) -> Name | None:
        parts: list[str] = []
        while self.at < len(self.tokens) and self.tokens[self.at].kind in ("word", "quoted"):
            parts.append(self.tokens[self.at].text)
            self.at += 1
            if not self.take("."):
                break
        if not parts:
            return None
        return Name(parts[-2] if len(parts) > 1 else "", parts[-1])

    def names(self) -> Iterator[Name]:
        """A comma list of names; argument lists and ``*`` behind a name are stepped over."""
        while (name := self.name()) is not None:
            yield name
            if self.peek() == "(":
                self.skip_to(")")
            self.take_any("*")
            if not self.take(","):
                return


_MODIFIERS = ("or", "replace", "global", "local", "unlogged", "unique", "constraint", "recursive")
_PLAIN = ("table", "view", "sequence", "publication", "extension", "role", "type", "domain")
_KINDS = (*_PLAIN, "function", "procedure", "aggregate", "schema", "index", "policy", "trigger")


def _created(found: tuple[Token, ...], at: int = 0) -> Thing | None:
    """Read ``create …`` at a position; temporary objects are nobody's."""
    cursor = _Cursor(found, at)
    if not cursor.take("create"):
        return None
    while cursor.take_any(*_MODIFIERS):
        pass
    if cursor.take_any("temp", "temporary"):
        return None
    materialized = cursor.take("materialized")
    kind = cursor.take_any(*_KINDS, "user")
    if not kind or cursor.peek() == "mapping":
        return None
    if kind == "index":
        return _created_index(cursor)
    cursor.take("if", "not", "exists")
    cursor.take("authorization")  # create schema authorization role
    name = cursor.name()
    if name is None:
        return None
    if kind in ("policy", "trigger"):
        table = cursor.name() if cursor.skip_to("on") else None
        return Thing(kind, name, table)
    kind = {"user": "role"}.get(kind, kind)
    return Thing(f"materialized {kind}" if materialized else kind, name)


def _created_index(cursor: _Cursor) -> Thing | None:
    cursor.take("concurrently")
    cursor.take("if", "not", "exists")
    name = cursor.name()
    if name is None or not cursor.take("on"):
        return None  # the server chooses a name
    cursor.take("only")
    table = cursor.name()
    return Thing("index", Name(table.schema if table else "", name.name))


def _created_anywhere(body: str) -> Iterator[Thing]:
    """What a ``do`` body may create, in statements and in the strings it executes."""
    found = tuple(token for token in tokens(body) if token.kind != "comment")
    for at, token in enumerate(found):
        if token.kind in ("string", "dollar") and "create" in token.text.lower():
            yield from _created_anywhere(unquote(token.text))
        elif (thing := _created(found, at)) is not None:
            yield thing


def _dropped(found: tuple[Token, ...]) -> list[Thing]:
    cursor = _Cursor(found)
    cursor.take("drop")
    kind = "materialized view" if cursor.take("materialized", "view") else ""
    kind = kind or cursor.take_any(*_KINDS, "routine")
    if not kind:
        return []
    cursor.take("concurrently")
    cursor.take("if", "exists")
    if kind in ("policy", "trigger"):
        name = cursor.name()
        table = cursor.name() if cursor.take("on") else None
        return [Thing(kind, name, table)] if name else []
    return [Thing(kind, name) for name in cursor.names()]


# Sub-commands of ALTER TABLE that take less than ACCESS EXCLUSIVE on the table.
_SHARE_UPDATE = (
    ("validate", "constraint"),
    ("attach", "partition"),
    ("set", "("),
    ("cluster", "on"),
    ("set", "without", "cluster"),
)
_ROW_WRITES = (("insert", "into"), ("update",), ("delete", "from"), ("merge", "into"))


def _locks(statement: Statement) -> list[Lock]:
    cursor = _Cursor(statement.tokens)
    if cursor.take("create"):
        return _locks_of_create(statement)
    if cursor.take("alter"):
        return _locks_of_alter(statement, cursor)
    if cursor.take("drop"):
        return _locks_of_drop(statement)
    if cursor.take("truncate"):
        cursor.take("table")
        cursor.take("only")
        return [Lock("access exclusive", name) for name in cursor.names()]
    if cursor.take("comment", "on"):
        return _locks_of_comment(cursor)
    for words in _ROW_WRITES:
        if cursor.take(*words):
            cursor.take("only")
            name = cursor.name()
            return [Lock("row exclusive", name)] if name else []
    return []


def _locks_of_create(statement: Statement) -> list[Lock]:
    thing = _created(statement.tokens)
    cursor = _Cursor(statement.tokens)
    if thing is None:
        return []
    if thing.kind == "policy" and thing.table:
        return [Lock("access exclusive", thing.table)]
    if thing.kind == "trigger" and thing.table:
        return [Lock("share row exclusive", thing.table)]
    if thing.kind in ("view", "materialized view"):
        return [Lock("access exclusive", thing.name)] if "replace" in statement.words[:4] else []
    if thing.kind == "index" and cursor.skip_to("on"):
        cursor.take("only")
        table = cursor.name()
        mode = "share update exclusive" if "concurrently" in statement.words[:4] else "share"
        return [Lock(mode, table)] if table else []
    if thing.kind == "table":
        parents = [Lock("access exclusive", name) for name in _after(statement, "partition", "of")]
        return parents + _referenced(statement)
    return []


def _locks_of_alter(statement: Statement, cursor: _Cursor) -> list[Lock]:
    kind = cursor.take_any("table", "view", "index", "policy", "trigger", "publication", "sequence")
    cursor.take("if", "exists")
    if kind == "publication":
        tables = [*_after(statement, "add", "table"), *_after(statement, "drop", "table")]
        return [Lock("share update exclusive", name) for name in tables]
    if kind in ("policy", "trigger"):
        table = cursor.name() if cursor.skip_to("on") else None
        return [Lock("access exclusive", table)] if table else []
    cursor.take("only")
    name = cursor.name() if kind else None
    if name is None:
        return []
    references = _referenced(statement)
    mode = "access exclusive"
    if any(_Cursor(statement.tokens, cursor.at).take(*words) for words in _SHARE_UPDATE):
        mode = "share update exclusive"
    elif references and "column" not in statement.words:
        mode = "share row exclusive"  # add foreign key
    return [Lock(mode, name), *references]


def _locks_of_drop(statement: Statement) -> list[Lock]:
    locks = []
    for thing in _dropped(statement.tokens):
        if thing.table:
            locks.append(Lock("access exclusive", thing.table))
        elif thing.kind in ("table", "view", "materialized view", "index"):
            concurrent = "concurrently" in statement.words[:3]
            mode = "share update exclusive" if concurrent else "access exclusive"
            locks.append(Lock(mode, thing.name))
    return locks


def _locks_of_comment(cursor: _Cursor) -> list[Lock]:
    if cursor.take_any("table", "view", "index"):
        name = cursor.name()
        return [Lock("share update exclusive", name)] if name else []
    if cursor.take("column"):
        parts = [token.text for token in cursor.tokens[cursor.at :] if token.kind in _IDENTIFIER]
        if len(parts) > 2:
            return [Lock("share update exclusive", Name(parts[0], parts[1]))]
    if cursor.take_any("policy", "trigger", "constraint") and cursor.skip_to("on"):
        name = cursor.name()
        return [Lock("share update exclusive", name)] if name else []
    return []


_IDENTIFIER = ("word", "quoted")


def _after(statement: Statement, *words: str) -> list[Name]:
    """The names that follow these words anywhere in the statement."""
    names = []
    for at in range(len(statement.tokens)):
        cursor = _Cursor(statement.tokens, at)
        if cursor.take(*words) and (name := cursor.name()):
            names.append(name)
    return names


def _referenced(statement: Statement) -> list[Lock]:
    return [Lock("share row exclusive", name) for name in _after(statement, "references")]
