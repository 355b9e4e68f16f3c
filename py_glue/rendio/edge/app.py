"""The application: routes, and what is done around every request."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rendio.edge import endpoints, health, postgrest
from rendio.edge.errors import ApiError, of_database, refusal
from rendio.edge.identity import Caller
from rendio.edge.logs import event, logger, user_hash
from rendio.edge.responses import respond_error
from rendio.edge.services import running
from rendio.edge.settings import Settings
from rendio.stores import StoreError

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# PostgREST answers every one of them; so do we, with its words.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# What a page may read of an answer beside its body.
EXPOSED = (
    "Content-Range",
    "ETag",
    "Preference-Applied",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Request-Id",
)


def create_app(settings: Settings) -> Starlette:
    """Return the ASGI application; its lifespan opens the pool."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with running(settings) as services:
            app.state.services = services
            yield

    routes = [
        Route("/healthz", health.healthz),
        Route("/readyz", health.readyz),
        Route("/rest/v1/rpc/{function}", postgrest.rpc, methods=METHODS),
        Route("/rest/v1/{table}", postgrest.no_table, methods=METHODS),
    ]
    for name, (endpoint, methods) in endpoints.ENDPOINTS.items():
        routes.append(Route(f"{endpoints.PREFIX}/{name}", endpoint, methods=methods))
    app = Starlette(
        routes=routes,
        middleware=[*_cors(settings), Middleware(Around)],
        exception_handlers={HTTPException: _no_route},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _cors(settings: Settings) -> list[Middleware]:
    """Return what lets pages of other origins call; it stands outermost, so errors have it too."""
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("*",),
            expose_headers=EXPOSED,
        )
    ]


class Around:
    """Gives each request an id, turns what is raised into an answer, and writes the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0
        state = scope.setdefault("state", {})
        state["request_id"] = _request_id(Request(scope))

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = state["request_id"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception as error:
            if status:
                logger.error("answer_broken_off", exc_info=error)
                raise
            await _failure(error, scope)(scope, receive, note)
        finally:
            caller: Caller | None = state.get("caller")
            event(
                "request",
                request_id=state["request_id"],
                method=scope["method"],
                path=scope["path"][:200],
                status=status,
                milliseconds=round((time.monotonic() - began) * 1000),
                role=caller.role if caller else None,
                user=user_hash(caller.user_id if caller else None),
            )


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid4().hex


def _failure(error: Exception, scope: Scope) -> Response:
    answer = _told(error, scope)
    if answer.status >= 500:
        facts = {"request_id": scope["state"]["request_id"], "code": answer.code}
        logger.error("failed", exc_info=error, extra={"facts": facts})
    more: dict[str, Any] = {}
    if scope["path"].startswith(endpoints.PREFIX):
        # The keys of the plans' own errors, which clients in the field read.
        more = {"error": answer.message}
        if seconds := answer.headers.get("Retry-After"):
            more["retry_after"] = int(seconds)
    return respond_error(answer, more)


def _told(error: Exception, scope: Scope) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, psycopg.Error):
        caller: Caller | None = scope["state"].get("caller")
        return of_database(error, anonymous=caller is None or caller.role == "anon")
    if isinstance(error, StoreError):
        again = {"Retry-After": "1"} if error.is_retryable else {}
        return refusal(error.status, error.slug, error.detail, error.hint, again)
    return ApiError(500, "PGRSTX00", "Internal server error")


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        told = f"Unsupported HTTP method: {request.method[:20]}"
        return _failure(ApiError(405, "PGRST117", told, headers=error.headers), request.scope)
    told = "Invalid path specified in request URL"
    return _failure(ApiError(error.status_code, "PGRST125", told), request.scope)
