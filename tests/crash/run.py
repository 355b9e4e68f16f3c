"""Rounds of calls, each ended by a kill."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg

from crash.calls import KINDS, MAINTENANCE, Call, Journal
from crash.checks import Checks
from crash.clients import Client, Order
from crash.facts import Drift
from crash.people import Fal, new_id
from crash.server import CrashServer, died_inside, waits_inside

CLIENTS = 6
VICTIMS = ("backend", "postmaster")
HELD_SECONDS = 4.0  # until a round without the call that is to be killed is ended without a kill
ROUNDS_FOR_A_KILL = 8
PLAY_SECONDS = 0.3  # at most, until a call is held or a kill comes at random
STEPS = (0, 0, 1, 2, 5, 26)  # hours between two rounds


@dataclass(frozen=True)
class Kill:
    """Which process to kill, and inside which call; at random without one."""

    victim: str
    kind: str = ""
    point: str = ""

    @property
    def name(self) -> str:
        return self.victim if self.kind else f"{self.victim}, at random"


def planned(kills: int, chance: random.Random) -> Iterator[Kill]:
    """Yield kills: one late in each kind of call, then some at random among early and late ones."""
    # Maintenance comes last in a lap: then there is something to settle, sweep and archive.
    kinds = chance.sample(sorted(KINDS.keys() - {*MAINTENANCE}), len(KINDS) - len(MAINTENANCE))
    kinds += chance.sample(MAINTENANCE, len(MAINTENANCE))
    inside = 0
    for n in range(kills):
        lap, place = divmod(inside, len(kinds))
        if lap and n % 4 == 0:
            yield Kill(VICTIMS[n // 4 % 2])
            continue
        kind, is_late = kinds[place], lap % 2 == 0
        point = chance.choice(KINDS[kind].late_points) if is_late else "clock"
        yield Kill(VICTIMS[(place + lap) % 2], kind, point)
        inside += 1


class Run:
    """The server, the clients, and the books that are kept of them."""

    def __init__(self, server: CrashServer, seed: int, journal: Journal) -> None:
        self.server = server
        self.journal = journal
        self.chance = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.inside: Counter[str] = Counter()  # by kind of call
        self.fal = Fal()
        self.begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.at = self.begin
        self.clients = [Client(f"c{n}", seed, journal, self.fal) for n in range(CLIENTS)]
        self.bystanders: list[Client] = []  # whose calls are checked too
        self.checks = Checks(self.begin)

    @property
    def everyone(self) -> list[Client]:
        return self.clients + self.bystanders

    # -- rounds

    def kill(self, kill: Kill) -> None:
        """Run rounds until one has ended with this kill, and check what is left."""
        for _ in range(ROUNDS_FOR_A_KILL):
            self._advance(kill.kind)
            if self._round(kill):
                self.kills[kill.name] += 1
                self.check()
                return
            self.check()
        raise Drift(f"no call came that could be killed: {kill}")

    def repeat_what_is_open(self) -> None:
        """Let every client repeat the call that was not answered, and make no other."""
        stop = threading.Event()
        stop.set()
        with self._playing(Order(), stop):
            pass
        self.check()

    def close_books(self) -> None:
        """Let time run out for every open job and expired credit; then nothing at all is open."""
        closing = Client("closing", 0, self.journal, self.fal)
        self.bystanders.append(closing)
        self.at += timedelta(days=1)
        for kind in ("sweep", "settle"):
            call = Call(new_id(self.chance), kind, (), self.at)
            closing.calls.append(call)
            with self.server.connect() as conn:
                closing.send(conn, call, Order())
        self.checks.begin_anew()
        self.check(at=self.at)
        calls = [call for client in self.everyone for call in client.calls]
        if unanswered := [call.name for call in calls if not call.is_answered]:
            raise Drift(f"never answered: {unanswered}")

    def _advance(self, kind: str) -> None:
        """Move time on, so that leases end, jobs time out and credits expire."""
        hours = 26 if kind == "settle" else self.chance.choice(STEPS)
        self.at += timedelta(hours=max(hours, kind == "sweep"))
        with self.server.connect() as conn:
            conn.execute("select set_config('crash.now', %s, false)", [self.at.isoformat()])
            conn.execute("set role rendio_owner")
            conn.execute("select rendio.ensure_partitions()")

    def _round(self, kill: Kill) -> bool:
        offset = self.server.log_size()
        self.journal.write("round", at=self.at, kill=kill)
        # Maintenance at once, while there is something left to do for it.
        after = 0 if kill.kind in MAINTENANCE else self.chance.uniform(0, PLAY_SECONDS)
        order, stop = Order(kill.kind, kill.point, after), threading.Event()
        with self._playing(order, stop) as observer:
            if kill.kind:
                pid = self._await_held(observer, order, offset)
                if pid is None:
                    return False
                self._kill_inside(kill, order, pid, offset)
            else:
                time.sleep(0.1 + after)
                self._kill_at_random(kill)
        return True

    @contextmanager
    def _playing(self, order: Order, stop: threading.Event) -> Iterator[psycopg.Connection[Any]]:
        """Let the clients play until they are lost or, when the block ends, stopped."""
        connect = self.server.connect
        with connect() as referee, connect() as observer, ThreadPoolExecutor(CLIENTS) as pool:
            referee.execute("select pg_advisory_lock(hashtext('crash'))")
            playing = [pool.submit(c.play, connect, self.at, order, stop) for c in self.clients]
            try:
                yield observer
            finally:
                stop.set()
                with suppress(psycopg.OperationalError):  # it may have died with the server
                    referee.execute("select pg_advisory_unlock(hashtext('crash'))")
            for played in playing:
                played.result()

    # -- kills

    def _await_held(
        self, observer: psycopg.Connection[Any], order: Order, offset: int
    ) -> int | None:
        """Wait until a call is held where it was ordered; return its backend."""
        query = (
            "select pid, backend_xid is not null from pg_stat_activity"
            " where application_name = %s and wait_event = 'advisory'"
        )
        deadline = time.monotonic() + HELD_SECONDS
        while time.monotonic() < deadline:
            call = order.call
            found = call and observer.execute(query, [call.name]).fetchone()
            # What the view tells of a backend is not of one moment.
            if call and found and (found[1] or order.point == "clock"):
                pid = found[0]
                inside = partial(waits_inside, name=call.name, function=KINDS[call.kind].function)
                self.server.await_log(offset, inside, f"{call.name}, waiting inside its function,")
                return int(pid)
            time.sleep(0.005)
        return None

    def _kill_inside(self, kill: Kill, order: Order, pid: int, offset: int) -> None:
        call = order.call
        assert call
        call.is_surely_undone = call.sent == 1
        self.journal.write("kill", victim=kill.victim, pid=pid, inside=call.name, at=kill.point)
        if kill.victim == "backend":
            self.server.kill_backend(pid)
            function = KINDS[call.kind].function
            if not died_inside(self.server.log_since(offset), pid, function):
                raise AssertionError(f"the log does not say that {pid} died inside {call.name}")
        else:
            self.server.kill_everything(pid)
            self._check_recovered(offset)
        self.inside[call.kind] += 1

    def _kill_at_random(self, kill: Kill) -> None:
        offset = self.server.log_size()
        self.journal.write("kill", victim=kill.victim)
        if kill.victim == "backend":
            pids = [client.backend_pid for client in self.clients if client.backend_pid]
            self.server.kill_backend(self.chance.choice(pids))
        else:
            self.server.kill_postmaster()
            self._check_recovered(offset)

    def _check_recovered(self, offset: int) -> None:
        if "automatic recovery in progress" not in self.server.log_since(offset):
            raise AssertionError("the server was not killed: it did not have to recover")

    def check(self, at: datetime | None = None) -> None:
        with self.server.connect() as conn:
            self.checks.check(conn, self.everyone, at)
        self.journal.write("checked", at=self.at)
