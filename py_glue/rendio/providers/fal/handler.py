"""What a webhook does to its job."""

import asyncio
import copy
import random
import time
from contextlib import suppress
from typing import Any, TypeVar

from psycopg.pq import TransactionStatus

from rendio._wire import translated
from rendio.client import AsyncClient, Client, _AsyncOne, _One
from rendio.errors import RetryableConflict
from rendio.providers.fal.event import PROVIDER, Event, Video
from rendio.results import CompleteVideoJobResult, FailVideoJobResult

C = TypeVar("C", Client, AsyncClient)

# A poller that ends the same job by itself locks the submission before the job; with its start in
# the same transaction a webhook locks the job before the submission. One of them is told to repeat,
# which leaves the other time to take what it waited for.
_REPEATS = 2


def handle(
    client: Client, event: Event, *, credits_charged: int | None = None
) -> CompleteVideoJobResult | FailVideoJobResult:
    """Record the start, unless the worker has, and end the job: in one transaction.

    With the start first it does not matter whether the worker comes before the webhook, after it,
    or died on the way. Repeating it changes nothing, and is what fal does when it got no answer.
    In a transaction that the client's connection has open it becomes part of that one.

    `credits_charged` is what a video costs that came out shorter; None charges all.
    """
    with translated(), client._connections.connection() as conn:
        ours = _on(client, _One(conn))
        if conn.info.transaction_status != TransactionStatus.IDLE:
            return _end(ours, event, credits_charged)
        for _ in range(_REPEATS):
            with suppress(RetryableConflict), translated(), conn.transaction():
                return _end(ours, event, credits_charged)
            time.sleep(_pause())
        with conn.transaction():
            return _end(ours, event, credits_charged)


def _end(
    client: Client, event: Event, credits_charged: int | None
) -> CompleteVideoJobResult | FailVideoJobResult:
    client.start_video_job(**_start_of(event))
    if isinstance(event.outcome, Video):
        return client.complete_video_job(**_end_of(event), credits_charged=credits_charged)
    return client.fail_video_job(**_end_of(event))


async def handle_async(
    client: AsyncClient, event: Event, *, credits_charged: int | None = None
) -> CompleteVideoJobResult | FailVideoJobResult:
    """As `handle`, for asyncio."""
    with translated():
        async with client._connections.connection() as conn:
            ours = _on(client, _AsyncOne(conn))
            if conn.info.transaction_status != TransactionStatus.IDLE:
                return await _async_end(ours, event, credits_charged)
            for _ in range(_REPEATS):
                with suppress(RetryableConflict), translated():
                    async with conn.transaction():
                        return await _async_end(ours, event, credits_charged)
                await asyncio.sleep(_pause())
            async with conn.transaction():
                return await _async_end(ours, event, credits_charged)


async def _async_end(
    client: AsyncClient, event: Event, credits_charged: int | None
) -> CompleteVideoJobResult | FailVideoJobResult:
    await client.start_video_job(**_start_of(event))
    if isinstance(event.outcome, Video):
        return await client.complete_video_job(**_end_of(event), credits_charged=credits_charged)
    return await client.fail_video_job(**_end_of(event))


def _on(client: C, connection: Any) -> C:
    """Return the client on one connection, which is its for several calls."""
    view = copy.copy(client)
    view._connections = connection
    return view


def _pause() -> float:
    return random.uniform(0.1, 0.3)


def _start_of(event: Event) -> dict[str, Any]:
    return {
        "user_id": event.target.user_id,
        "job_id": event.target.job_id,
        "provider_job_id": event.request_id,
        "attempt": event.target.attempt,
    }


def _end_of(event: Event) -> dict[str, Any]:
    ours = {
        "provider": PROVIDER,
        "provider_job_id": event.request_id,
        "event_id": event.event_id,
    }
    if isinstance(event.outcome, Video):
        video = {"video_url": event.outcome.url, "thumbnail_url": event.outcome.thumbnail_url}
        return ours | video
    return ours | {"error": event.outcome.error}
