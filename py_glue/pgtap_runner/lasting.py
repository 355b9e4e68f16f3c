"""Tell which statements outlive a test when it runs them outside a transaction."""

import re

from .script import Statement

_CHANGES = re.compile(
    r"alter|comment|create|delete|drop|grant|import|insert|merge|reassign|refresh|revoke|security"
    r"|truncate|update"
)
_TEMPORARY = re.compile(
    r"create\s+(?:(?:global|local)\s+)?temp(?:orary)?\s+\w+\s+(?:if\s+not\s+exists\s+)?(\w+)",
    re.IGNORECASE,
)
# A usual first line of a test; what is there already is left as it is.
_HARMLESS = ("create", "extension", "if", "not", "exists")


class Lasting:
    """Reads a file's statements in order: what it does to its own temporary tables is forgotten.

    It goes by the statement's words. What a function called outside a transaction does is not seen.
    """

    def __init__(self) -> None:
        self._temporary = {"temp", "temporary", "pg_temp"}

    def __call__(self, statement: Statement) -> bool:
        """Tell whether the statement, committed alone, changes the database for good."""
        if named := _TEMPORARY.match(statement.text):
            self._temporary.add(named[1].lower())
        words = statement.words
        return (
            _CHANGES.fullmatch(" ".join(words[:1])) is not None
            and words[:5] != _HARMLESS
            and self._temporary.isdisjoint(words)
        )
