"""Python exceptions for the error registry: a class for each HTTP status, below it each slug."""

from http import HTTPStatus

from rendio.gen.catalog import Api, Error, GenError
from rendio.gen.python import HEAD, camel

# Postgres' own refusal, which belongs with its kin.
_PERMISSION_DENIED = Error(
    "PT403", "permission_denied", "The database role may not call this at all (42501)."
)
_ABOVE = ("DatabaseOutdated", "RendioError", "RetryableConflict")
# RFC 9110's names where Python's releases differ from each other.
_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}

_TEMPLATE = '''{head}"""Errors of the calls.

::

{tree}

Each carries `slug`, `status` (HTTP), `sqlstate`, `detail` (a dict), `hint` and `is_retryable`, and
psycopg's error as its `__cause__`. A refusal that this release does not know, from a newer
database, is raised as the class of its status, with its own slug. What is not about the call stays
psycopg's: `psycopg.OperationalError` for a lost connection, `psycopg.DataError` for a value that
is not of the argument's type.
"""

from rendio._errors import DatabaseOutdated, RendioError, RetryableConflict

__all__ = [
{exported}]

{classes}


BY_STATUS: dict[int, type[RendioError]] = {{
{by_status}}}

BY_SLUG: dict[str, type[RendioError]] = {{
{by_slug}}}
'''


def errors(api: Api) -> str:
    """Render errors.py."""
    by_status: dict[int, list[Error]] = {}
    for error in [*api.errors, _PERMISSION_DENIED]:
        by_status.setdefault(error.status, []).append(error)
    by_status = {status: sorted(by_status[status], key=lambda e: e.slug) for status in by_status}
    leaves = [error for status in sorted(by_status) for error in by_status[status]]
    names = [*_ABOVE, *map(_status_class, sorted(by_status)), *(camel(e.slug) for e in leaves)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise GenError(f"rendio.errors(): two errors would both be called {', '.join(twice)}")

    classes = []
    for status in sorted(by_status):
        classes.append(_class(_status_class(status), "RendioError", _phrase(status), status=status))
        for error in by_status[status]:
            classes.append(
                _class(camel(error.slug), _status_class(status), error.description, slug=error.slug)
            )
    return _TEMPLATE.format(
        head=HEAD,
        tree=_tree(by_status),
        exported="".join(f'    "{name}",\n' for name in sorted(names)),
        classes="\n\n".join(classes),
        by_status="".join(f"    {s}: {_status_class(s)},\n" for s in sorted(by_status)),
        by_slug="".join(
            f'    "{e.slug}": {camel(e.slug)},\n' for e in sorted(leaves, key=lambda e: e.slug)
        ),
    )


def _phrase(status: int) -> str:
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def _status_class(status: int) -> str:
    return _phrase(status).replace(" ", "").replace("-", "")


def _class(name: str, base: str, text: str, *, slug: str = "", status: int = 0) -> str:
    attribute = f'slug = "{slug}"' if slug else f"status = {status}"
    ended = text if text.endswith(".") else f"Status {status}, {text}."
    return f'\nclass {name}({base}):\n    """{ended}"""\n\n    {attribute}'


def _tree(by_status: dict[int, list[Error]]) -> str:
    """Draw the classes."""
    rows = [("    RendioError", "")]
    for status in sorted(by_status):
        rows.append((f"    ├── {_status_class(status)}", str(status)))
        for error in by_status[status]:
            corner = "└" if error is by_status[status][-1] else "├"
            told = "42501" if error is _PERMISSION_DENIED else error.slug
            rows.append((f"    │   {corner}── {camel(error.slug)}", told))
    rows.append(("    ├── DatabaseOutdated", "a function or a key is missing: rendio apply"))
    rows.append(("    └── RetryableConflict", "40001, 40P01: repeat the transaction"))
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:{width}}{told}".rstrip() for name, told in rows)
