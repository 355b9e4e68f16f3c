"""``/healthz``: the process answers. ``/readyz``: and so does the database, with rendio in it."""

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse

from rendio.edge.pool import Cursor, as_login
from rendio.edge.services import services_of

SECONDS = 2.0


async def healthz(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    try:
        is_applied = await services_of(request).database.run(as_login(), SECONDS, _is_applied)
    except psycopg.Error:
        return _not_ready("the database does not answer")
    if not is_applied:
        return _not_ready("rendio is not applied to the database")
    return JSONResponse({"status": "ready"})


async def _is_applied(cursor: Cursor) -> bool:
    await cursor.execute("select to_regprocedure('public.get_models(text)') is not null")
    row = await cursor.fetchone()
    return bool(row and row[0])


def _not_ready(reason: str) -> JSONResponse:
    headers = {"Retry-After": "1"}
    return JSONResponse({"status": "not ready", "reason": reason}, 503, headers)
