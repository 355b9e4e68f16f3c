"""The first call of an installation: its user, and its device's initial credits, once."""

import json
from dataclasses import dataclass
from typing import Any

from rendio.edge.calls import Answer, Check, Request
from rendio.edge.devicecheck import Bits, DeviceCheck
from rendio.edge.errors import ApiError, unavailable
from rendio.edge.identity import SERVICE
from rendio.edge.logs import event
from rendio.edge.pool import Cursor, as_login
from rendio.edge.services import Services

FUNCTION = "device_check"
# device_check's argument that withholds the grant; a database that lacks it gives it to every new
# user, so there a device that had it already gets no new user.
GRANT_CLAIMED = "p_grant_claimed"
HAD_GRANT = """
    select true from public.account_identities as i
    where i.kind = 'device' and i.identifier = %s::json #>> '{}' and i.initial_grant_claimed
"""


class _Granted(Exception):
    """Undoes a call."""


@dataclass(frozen=True)
class Device:
    """A device that shows a token of Apple's, and what `device_check` is to be asked for it."""

    services: Services
    request: Request
    devices: DeviceCheck
    token: Any
    arguments: dict[str, Any]

    async def check(self, place: str | None) -> Answer:
        """Find or make its user, with the initial credits when it has not had them.

        Only who is to be given credits waits for a turn. Apple cannot compare and set, nor tell
        whose a token is: of two requests of one device that both found the bit unset, both would
        be given. Who has waited must ask again.
        """
        bits = await self.devices.query(self.token)
        if bits.initial_grant:
            return await self._without_grant()
        if answer := await self._unless_granted():
            await self._remember_grant(bits)
            return answer
        async with self.services.turns.turn(place):
            bits = await self.devices.query(self.token)
            if bits.initial_grant:
                return await self._without_grant()
            answer = await self._call(self.arguments)
            await self._remember_grant(bits)
            return answer

    async def _call(self, arguments: dict[str, Any], check: Check | None = None) -> Answer:
        calls = self.services.calls
        return await calls.by_json(SERVICE, self.request, FUNCTION, arguments, check=check)

    async def _unless_granted(self) -> Answer | None:
        """Call, unless that gives credits: then it is undone and there is no answer.

        So nobody waits for a turn whom the database refuses, or knows.
        """

        def check(answer: Answer) -> None:
            told = json.loads(answer.content)
            if told["is_new"] and told["credits_remaining"] > 0:
                raise _Granted

        try:
            return await self._call(self.arguments, check)
        except _Granted:
            return None

    async def _without_grant(self) -> Answer:
        """Find or make the user of a device that had its credits, whatever its id is now."""
        if GRANT_CLAIMED in await self.services.calls.catalogue.argument_names("device_check"):
            return await self._call(self.arguments | {GRANT_CLAIMED: True})

        def check(answer: Answer) -> None:
            if json.loads(answer.content)["is_new"]:
                raise unavailable("database_outdated", "The database needs:  rendio apply")

        return await self._call(self.arguments, check)

    async def _remember_grant(self, bits: Bits) -> None:
        """Set bit0 if credits were given for it; a known user's new device has had none.

        When Apple does not answer now, the device's next call does it.
        """
        if not await self._had_grant():
            return
        try:
            await self.devices.update(self.token, Bits(initial_grant=True, other=bits.other))
        except ApiError as error:
            event("devicecheck_bit_not_set", level="warning", reason=error.message)

    async def _had_grant(self) -> bool:
        device_id = json.dumps(self.arguments["p_device_id"])

        async def work(cursor: Cursor) -> bool:
            await cursor.execute(HAD_GRANT, [device_id])
            return await cursor.fetchone() is not None

        seconds = self.services.settings.statement_seconds[SERVICE.role]
        return await self.services.database.run(as_login(role=SERVICE.role), seconds, work)
