"""Supabase's storage: whether a schema of that name is it, and which of our buckets are public."""

from collections.abc import Iterable

from rendio.migrate.files import File
from rendio.migrate.session import Conn, one

TABLE = "storage.objects"
_CLOSE = "update storage.buckets set public = false where id = '{}';"

# The columns and the function that policies/storage.sql counts on. Their owner, who may replace
# them, decides who reads a file.
_IS_SUPABASE_S = """
    select
        pg_catalog.count(*) = 4
        and pg_catalog.to_regprocedure('storage.foldername(text)') is not null
        and (
            select r.rolsuper or r.rolname in ('supabase_storage_admin', current_user)
            from pg_catalog.pg_class as c
            inner join pg_catalog.pg_roles as r on r.oid = c.relowner
            where c.oid = pg_catalog.to_regclass('storage.objects')
        )
    from pg_catalog.pg_attribute as a
    where
        a.attrelid = pg_catalog.to_regclass('storage.buckets')
        and a.attname in ('id', 'public', 'file_size_limit', 'allowed_mime_types')
"""


def is_supabase_s(conn: Conn) -> bool:
    """Whether what is called storage is made by Supabase, and new enough to have limits."""
    return bool(one(conn, _IS_SUPABASE_S))


def public(conn: Conn, files: Iterable[File]) -> list[str]:
    """The public buckets among those that the files name, as far as this login may look."""
    texts = [file.text for file in files if file.where == TABLE]
    may = (
        "select pg_catalog.has_table_privilege(pg_catalog.to_regclass('storage.buckets'), 'select')"
    )
    if not texts or not one(conn, may):
        return []
    rows = conn.execute(
        "select b.id from storage.buckets as b"
        " where b.public and pg_catalog.strpos(%s, pg_catalog.quote_literal(b.id)) > 0"
        " order by b.id",
        ["\n".join(texts)],
    )
    return [name for (name,) in rows]


def closing(bucket: str) -> str:
    """The line that makes a bucket private."""
    return _CLOSE.format(bucket)
