"""The process: sockets, patience with slow clients, a graceful stop."""

import asyncio
import resource
import signal
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from rendio.edge.app import create_app
from rendio.edge.logs import event, set_up
from rendio.edge.settings import Settings

BACKLOG = 2048
DESCRIPTORS = 16_384


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM; requests that have begun are answered before the end."""
    set_up()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)  # uvicorn's own handler gives them back to it at the end
    event("starting", host=host, port=port, descriptors=raise_descriptor_limit())
    uvicorn.Server(configuration(settings, host, port)).run()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def configuration(settings: Settings, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings),
        host=host,
        port=port,
        http=_patient(settings.header_seconds, settings.answer_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        proxy_headers=settings.trusted_proxies is not None,
        forwarded_allow_ips=settings.trusted_proxies or "",
        timeout_graceful_shutdown=settings.stop_seconds,
    )


def raise_descriptor_limit() -> int:
    """Allow as many open sockets as the hard limit does: each connection is one.

    The soft limit is often 1,024, which 1,000 clients and the pool would exhaust.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def _patient(head_seconds: float, answer_seconds: float) -> type[H11Protocol]:
    """Return uvicorn's protocol with limits to how long a request's head and an answer may take.

    Without them a client that sends a byte a minute, or nothing, keeps its socket for ever; and one
    that takes no answer keeps the answer too, also when the server has closed the connection.
    """

    class Patient(H11Protocol):
        _head_timer: asyncio.TimerHandle | None = None
        _answer_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            transport.set_write_buffer_limits(high=0)  # to be told of whatever is not taken
            self._watch()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._answer_timer = self.loop.call_later(answer_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            self._forget_answer()
            super().resume_writing()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget_head()
            self._forget_answer()
            super().connection_lost(exc)

        def _watch(self) -> None:
            is_waiting = self.cycle is None or self.cycle.response_complete
            if not is_waiting:
                self._forget_head()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(head_seconds, self.transport.close)

        def _forget_head(self) -> None:
            if self._head_timer:
                self._head_timer.cancel()
                self._head_timer = None

        def _forget_answer(self) -> None:
            if self._answer_timer:
                self._answer_timer.cancel()
                self._answer_timer = None

    return Patient
