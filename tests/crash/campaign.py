"""One whole run: a server, the kills, the deaths of workers, and what it came to."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import servers

from crash import deaths
from crash.calls import Journal
from crash.run import Kill, Run, planned
from crash.server import CrashServer

Say = Callable[[str], None]


def crash(kills: int, seed: int, say: Say) -> Run:
    """Run the whole test on a server of its own; one that fails keeps its journal and log."""
    begun = time.monotonic()
    kept = Path(tempfile.mkdtemp(prefix=f"rendio-crash-{seed}-"))
    journal = Journal(kept / "journal.jsonl")
    scratch = servers.Scratch(servers.bin_dir_of(servers.chosen_kind()))
    try:
        run = Run(CrashServer(scratch), seed, journal)
        say(f"private PostgreSQL {run.server.version}, fsync on; {kills} kills, seed {seed}")
        _play(run, planned(kills, random.Random(f"{seed}/kills")), say)
    except BaseException as error:
        log = scratch.folder / "pg" / "server.log"
        if log.exists():
            shutil.copy(log, kept)
        say(f"\nFAILED, seed {seed}: {error or type(error).__name__}")
        say(f"The journal and the server's log are in {kept}")
        raise
    else:
        shutil.rmtree(kept)
        say(f"{time.monotonic() - begun:.0f} s")
        return run
    finally:
        journal.close()
        scratch.close()


def _play(run: Run, kills: Iterable[Kill], say: Say) -> None:
    for n, kill in enumerate(kills, 1):
        run.kill(kill)
        say(f"{n:4}  {_told(kill)}")
    run.repeat_what_is_open()
    deaths.play(run)
    run.close_books()


def _told(kill: Kill) -> str:
    if not kill.kind:
        return f"{kill.victim}, at random"
    where = {"clock": "at its start", "commit": "at its commit"}
    return f"{kill.victim}, in {kill.kind} {where.get(kill.point, f'after writing {kill.point}')}"


def report(run: Run) -> list[str]:
    """Return what the run came to, line by line; there is none of a run that found a drift."""
    calls = [call for client in run.everyone for call in client.calls]
    lost = [call for call in calls if call.lost]
    done = sum(_is_replay(call.answer) for call in lost)
    replays = sum(bool(call.repeats) or _is_replay(call.answer) for call in calls)
    repeated = sum(client.repeated_transactions for client in run.everyone)
    inside = ", ".join(f"{kind} {n}" for kind, n in sorted(run.inside.items()))
    return [
        *(f"{n:7} kills: {name}" for name, n in sorted(run.kills.items())),
        f"{run.inside.total():7} of them inside a call, by the server's log: {inside}",
        f"{len(calls):7} calls of {len({call.kind for call in calls})} kinds",
        f"{len(lost):7} without an answer, repeated until there was one: {done} had been done",
        f"{replays:7} replays",
        f"{repeated:7} transactions repeated after 40001 or 40P01",
        f"{run.checks.count:7} times every ledger entry was compared with the journal",
        f"{0:7} drift",
    ]


def _is_replay(answer: object) -> bool:
    return isinstance(answer, dict) and bool(
        answer.get("replayed") or answer.get("is_new") is False
    )
