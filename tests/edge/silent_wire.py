"""A wire to the database that can fall silent: connected, and nothing comes through."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import sleep

from psycopg.conninfo import conninfo_to_dict, make_conninfo

PORT = 5432


@contextmanager
def silent_wire(url: str, folder: Path) -> Iterator[tuple[str, Event]]:
    """Yield a URL to the same database by way of a socket in the folder, and what silences it."""
    folder.mkdir()
    given, is_silent, opened = conninfo_to_dict(url), Event(), list[socket.socket]()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / f".s.PGSQL.{PORT}"))
    listener.listen()

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = _connect(str(given["host"]), int(given.get("port") or PORT))
                opened.extend((near, far))
                for source, target in ((near, far), (far, near)):
                    Thread(target=_pump, args=(source, target, is_silent), daemon=True).start()

    Thread(target=accept, daemon=True).start()
    try:
        yield make_conninfo(url, host=str(folder), port=PORT), is_silent
    finally:
        for one in (listener, *opened):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _connect(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    made = socket.socket(socket.AF_UNIX)
    made.connect(f"{host}/.s.PGSQL.{port}")
    return made


def _pump(source: socket.socket, target: socket.socket, is_silent: Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            while is_silent.is_set():
                sleep(0.01)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
