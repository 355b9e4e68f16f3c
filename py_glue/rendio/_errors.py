"""The errors that stand above the registry's. Import them from `rendio.errors`."""

from typing import Any


class RendioError(Exception):
    """Any refusal of a call. `str()` is for people, the attributes are for programs."""

    __module__ = "rendio.errors"

    slug: str = "error"
    status: int = 500
    is_retryable: bool = False

    def __init__(
        self,
        slug: str | None = None,
        *,
        sqlstate: str | None = None,
        detail: dict[str, Any] | None = None,
        hint: str | None = None,
        message: str | None = None,
    ) -> None:
        self.slug = slug or self.slug
        self.message = message or self.slug
        self.sqlstate = sqlstate or f"PT{self.status}"
        self.detail = detail or {}
        self.hint = hint
        if sqlstate and sqlstate.startswith("PT"):
            self.status = int(sqlstate[2:])
        super().__init__(self.slug)

    def __str__(self) -> str:
        facts = ", ".join(f"{key} {value}" for key, value in self.detail.items())
        told = f"{self.message} ({facts})" if facts else self.message
        return f"{told}: {self.hint}" if self.hint else told

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.__dict__)  # so that a process pool can carry it


def _revive(kind: type[RendioError], state: dict[str, Any]) -> RendioError:
    error = kind()
    error.__dict__.update(state)
    return error


class RetryableConflict(RendioError):
    """Another transaction was in the way (40001 or 40P01): repeat the whole transaction."""

    __module__ = "rendio.errors"

    slug = "retryable_conflict"
    is_retryable = True


class DatabaseOutdated(RendioError):
    """The database is older than this client, or not rendio's: `rendio apply` helps."""

    __module__ = "rendio.errors"

    slug = "database_outdated"
