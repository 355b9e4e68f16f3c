"""``rendio serve`` for tests: in this process, on a free port, with tokens of its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import uvicorn
from rendio.edge.server import configuration
from rendio.edge.settings import Secret, Settings

SECRET = "a secret of these tests, and of nothing else"
MODEL = "5f3b1e70-0000-4000-8000-000000000001"  # comes with rendio, costs COST
COST = 4
WAIT_SECONDS = 30.0


def token(role: str | None = None, secret: str = SECRET, **claims: Any) -> str:
    """Sign a token as an auth server does; a claim that is None is left out."""
    given = {"role": role, "exp": int(time.time()) + 3600} | claims
    found = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(found, secret, algorithm="HS256")


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def as_user(user_id: UUID | str) -> dict[str, str]:
    """The headers of a user's request."""
    return bearer(token("authenticated", sub=str(user_id)))


SERVICE = bearer(token("service_role"))


def until(condition: Callable[[], bool]) -> None:
    ended = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < ended, "it does not come to that"
        time.sleep(0.01)


@dataclass
class Edge:
    """A running server, and short names for what tests ask of it."""

    url: str
    server: uvicorn.Server
    http: httpx.Client = field(repr=False)

    def rpc(
        self, name: str, given: Any = None, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        body = {} if given is None else given
        return self.http.post(f"/rest/v1/rpc/{name}", json=body, headers=headers, **options)

    def endpoint(
        self, name: str, given: Any, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return self.http.post(f"/functions/v1/{name}", json=given, headers=headers)

    def new_user(self) -> UUID:
        """Create a guest with the ten credits of the initial grant."""
        given = {"p_user_id": None, "p_device_id": f"device-{uuid4()}"}
        found = self.rpc("device_check", given, SERVICE)
        assert found.status_code == 200, found.text
        return UUID(found.json()["user_id"])

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


@contextmanager
def running(database_url: str, **settings: Any) -> Iterator[Edge]:
    """Run a server until the end of the block."""
    given = {"jwt_secret": Secret(SECRET)} | settings
    chosen = Settings(database_url=Secret(database_url), **given)
    server = uvicorn.Server(configuration(chosen, "127.0.0.1", 0))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    ended = time.monotonic() + WAIT_SECONDS
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < ended, "the server takes too long to start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=WAIT_SECONDS) as http:
            yield Edge(url, server, http)
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)
