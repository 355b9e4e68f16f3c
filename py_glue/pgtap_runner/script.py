"""Cut an SQL file into statements where psql would, each with its line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# An identifier takes the $ and the quote's prefix inside it along, so that "price$x$" opens no
# dollar quote and "type'a'" no escape string.
_TOKEN = re.compile(
    r"""
      (?P<space>   \s+ | --[^\n]* )
    | (?P<comment> /\* )
    | (?P<escape>  [eE]' )
    | (?P<string>  ' )
    | (?P<name>    " )
    | (?P<dollar>  \$ (?: [^\W\d]\w* )? \$ )
    | (?P<word>    [^\W\d][\w$]* )
    | (?P<number>  \$?[0-9]\w* )
    | (?P<meta>    \\[^\n]* )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
# What closes a token that is not whole yet. An escape string may go on in the next line.
_ENDS = {
    "string": re.compile(r"(?:[^']++|'')*+'"),
    "escape": re.compile(r"(?:[^'\\]++|''|\\.|'[^\S\n]*\n\s*')*+'", re.DOTALL),
    "name": re.compile(r'[^"]*"'),
}
_CALLED = {"string": "string", "escape": "string", "name": "quoted name"}
_COMMENT_MARK = re.compile(r"/\*|\*/")

# psql commands that only change how psql looks or talks; files written for pg_prove have them.
_HARMLESS = re.compile(r"\\(set|unset|pset|timing|warn)\b(?!.*\\\\)")
# Errors that do not end the file would need psql's own loop.
_GOES_ON = re.compile(r"\\set\s+ON_ERROR_STOP\s+(?:off|false|no|0)\b", re.IGNORECASE)
_PRINTS = re.compile(r"""\\q?echo\b(?!\s+-n\b|.*:['"\w{])([^\\`]*)\Z""")
_PRINTED_WORD = re.compile(r"'((?:[^']|'')*)'|(\S+)")
_ROUTINE = re.compile(r"create (or replace )?(function|procedure)\b")
_COPY = re.compile(r"copy\b.*\b(from\s+stdin|to\s+stdout)\b", re.IGNORECASE | re.DOTALL)


class ScriptError(Exception):
    """The file can't be run; ``message`` says what is wrong in ``line``."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    line: int
    words: tuple[str, ...] = ()  # the first ones, in lower case
    prints: str | None = None  # what psql's \\echo would print: nothing for the server

    @property
    def controls_transaction(self) -> bool:
        return self.words[:1] in _TRANSACTION_CONTROL


_TRANSACTION_CONTROL = {(w,) for w in ("begin", "start", "commit", "end", "rollback", "abort")}


def read(path: Path) -> str:
    """Return the text of an SQL file, or say in which line it stops being text."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ScriptError(line, f"byte 0x{data[error.start]:02x} is not UTF-8") from None
    if (nul := text.find("\0")) >= 0:
        raise ScriptError(text.count("\n", 0, nul) + 1, "a NUL byte: this is no text file")
    return text


def split(text: str) -> list[Statement]:
    """Return the statements of a script; what only psql could run is a ``ScriptError``."""
    statements = []
    current = _Draft()
    for kind, start, end in _tokens(text):
        if kind in ("space", "comment"):
            continue
        token = text[start:end]
        if kind == "meta":
            if current.start is not None:
                raise _unknown(text, start, token)
            statements += _psql_line(text, start, token)
        elif token == ";" and not current.nested:
            if current.start is not None:
                statements.append(current.statement(text, start))
            current = _Draft()
        else:
            current.add(kind, token, start)
    if current.start is not None:  # psql runs a last statement without its semicolon too
        statements.append(current.statement(text, len(text)))
    return statements


def _psql_line(text: str, start: int, token: str) -> list[Statement]:
    """Return what a psql command comes to for us: nothing, or a line it prints."""
    token = token.rstrip()
    if printed := _PRINTS.match(token):
        words = (m[2] or m[1].replace("''", "'") for m in _PRINTED_WORD.finditer(printed[1]))
        return [Statement(token, _line(text, start), prints=" ".join(words))]
    if not _HARMLESS.match(token) or _GOES_ON.match(token):
        raise _unknown(text, start, token)
    return []


def _unknown(text: str, start: int, token: str) -> ScriptError:
    return ScriptError(_line(text, start), f"psql's {token.split()[0]} can't be run")


class _Draft:
    """The statement being read: where it began, and whether a semicolon ends it."""

    def __init__(self) -> None:
        self.start: int | None = None
        self.words: list[str] = []
        self._parentheses = 0
        self._blocks = 0  # begin … end of a function body written in SQL

    @property
    def nested(self) -> bool:
        return self._parentheses > 0 or self._blocks > 0

    def add(self, kind: str, token: str, start: int) -> None:
        if self.start is None:
            self.start = start
        if token == "(":
            self._parentheses += 1
        elif token == ")":
            self._parentheses = max(0, self._parentheses - 1)
        elif kind == "word":
            self._word(token.lower())

    def _word(self, word: str) -> None:
        if len(self.words) < 8:
            self.words.append(word)
        if self._parentheses or not _ROUTINE.match(" ".join(self.words)):
            return
        if word == "begin" or (word == "case" and self._blocks):
            self._blocks += 1
        elif word == "end":
            self._blocks = max(0, self._blocks - 1)

    def statement(self, text: str, end: int) -> Statement:
        assert self.start is not None
        line = _line(text, self.start)
        body = text[self.start : end].rstrip()
        if copy := _COPY.match(body):
            direction = " ".join(copy[1].lower().split())
            instead = "insert" if direction.startswith("from") else "select"
            raise ScriptError(line, f"copy … {direction} can't be run: use {instead}")
        return Statement(body, line, tuple(self.words))


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    position = 0
    while match := _TOKEN.match(text, position):
        kind = match.lastgroup or "other"
        end = match.end()
        if kind == "comment":
            end = _comment_end(text, position)
        elif kind == "dollar":
            end = text.find(match[0], end) + len(match[0])
            if end < match.end():
                raise ScriptError(_line(text, position), f"{match[0]} is never closed")
        elif kind in _ENDS:
            closed = _ENDS[kind].match(text, end)
            if closed is None:
                raise ScriptError(_line(text, position), f"a {_CALLED[kind]} is never closed")
            end = closed.end()
        yield kind, position, end
        position = end


def _comment_end(text: str, start: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise ScriptError(_line(text, start), "a comment is never closed")


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
