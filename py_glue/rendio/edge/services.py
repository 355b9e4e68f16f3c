"""What the server holds while it runs: the pool, the keys, the outside world."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from starlette.requests import Request

from rendio.edge.addresses import network_of
from rendio.edge.calls import Calls
from rendio.edge.catalogue import Catalogue
from rendio.edge.devicecheck import DeviceCheck
from rendio.edge.identity import Caller, Verifier
from rendio.edge.keys import KeySet
from rendio.edge.pool import Database
from rendio.edge.purchases import Purchases
from rendio.edge.settings import Settings
from rendio.edge.turns import Turns

OUTSIDE_SECONDS = 10.0
OUTSIDE_CONNECTIONS = 20


@dataclass(frozen=True)
class Services:
    settings: Settings
    database: Database
    turns: Turns
    calls: Calls
    verifier: Verifier
    devices: DeviceCheck | None
    purchases: Purchases | None

    async def identify(self, request: Request) -> Caller:
        """Return who calls, and let the log know."""
        caller = await self.verifier.caller(request.headers)
        request.scope["state"]["caller"] = caller
        return caller

    def address(self, request: Request) -> str:
        """Return where the client is, as far as that is known (RENDIO_TRUSTED_PROXIES)."""
        return network_of(request.client.host) if request.client else "unknown"


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Open what the server needs, and close it again."""
    database, turns = Database(settings), Turns(settings)
    limits = httpx.Limits(max_connections=OUTSIDE_CONNECTIONS)
    async with httpx.AsyncClient(timeout=OUTSIDE_SECONDS, limits=limits) as http:
        keys = KeySet(settings.jwks, http) if settings.jwks else None
        await database.open()
        await turns.open()
        try:
            yield Services(
                settings,
                database,
                turns,
                Calls(database, Catalogue(database), settings),
                Verifier(settings.jwt_secret, keys, settings.jwt_audience, settings.jwt_issuer),
                DeviceCheck.of(settings, http),
                Purchases.of(settings),
            )
        finally:
            await turns.close()
            await database.close()


def services_of(request: Request) -> Services:
    found: Services = request.app.state.services
    return found
