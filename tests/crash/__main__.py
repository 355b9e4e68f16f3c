"""Kill the server and its clients at every kind of call, and prove that no credit is lost or made.

The seed decides what is called and killed; what runs at the same moment, no seed can decide.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import servers

from crash import deaths
from crash.calls import KINDS, Journal
from crash.run import Kill, Run, planned
from crash.server import CrashServer


def main() -> int:
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of the server or a backend of it")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    try:
        run = crash(options.kills, options.seed, say=lambda line: print(line, flush=True))
    except servers.NoServer as error:
        sys.exit(str(error))
    except Exception:
        return 1
    print("\n".join(report(run)))
    return 0


def crash(kills: int, seed: int, say: Callable[[str], None]) -> Run:
    """Run the whole test on a server of its own; what fails keeps journal and log."""
    begun = time.monotonic()
    kept = Path(tempfile.mkdtemp(prefix=f"rendio-crash-{seed}-"))
    journal = Journal(kept / "journal.jsonl")
    scratch = servers.Scratch(servers.bin_dir_of(servers.chosen_kind()))
    try:
        server = CrashServer(scratch)
        say(f"private PostgreSQL {server.version}, fsync on; {kills} kills, seed {seed}")
        run = Run(server, seed, journal)
        for n, kill in enumerate(planned(kills, random.Random(f"{seed}/kills")), 1):
            run.kill(kill)
            say(f"{n:4}  {_told(kill)}")
        run.repeat_what_is_open()
        deaths.play(run)
        run.close_books()
    except BaseException as error:
        log = scratch.folder / "pg" / "server.log"
        if log.exists():
            shutil.copy(log, kept)
        say(f"\nFAILED, seed {seed}: {error}\nThe journal and the server's log are in {kept}")
        raise
    else:
        shutil.rmtree(kept)
        say(f"{time.monotonic() - begun:.0f} s")
        return run
    finally:
        journal.close()
        scratch.close()


def _told(kill: Kill) -> str:
    if not kill.kind:
        return f"{kill.victim}, at random"
    where = {"clock": "at its start", "commit": "at its commit"}
    return f"{kill.victim}, in {kill.kind} {where.get(kill.point, f'after writing {kill.point}')}"


def report(run: Run) -> list[str]:
    """Return what the run came to, line by line."""
    calls = [call for client in run.everyone for call in client.calls]
    lost = [call for call in calls if call.lost]
    replays = sum(bool(call.repeats) or _is_replay(call.answer) for call in calls)
    repeated = sum(client.repeated_transactions for client in run.everyone)
    inside = ", ".join(f"{kind} {n}" for kind, n in sorted(run.tally.inside.items()))
    return [
        *(f"{n:7} kills: {name}" for name, n in sorted(run.tally.kills.items())),
        f"{sum(run.tally.inside.values()):7} of them inside a call, by the server's log: {inside}",
        f"{len(calls):7} calls of {len({call.kind for call in calls})} kinds",
        f"{len(lost):7} whose answer was lost, repeated until answered: "
        f"{sum(_is_replay(call.answer) for call in lost)} had been done, the others not at all",
        f"{replays:7} replays",
        f"{repeated:7} transactions repeated after 40001 or 40P01",
        f"{run.checks:7} checks of every ledger entry against the journal",
        "      0 drift",  # else there would be no report
    ]


def _is_replay(answer: object) -> bool:
    return isinstance(answer, dict) and bool(
        answer.get("replayed") or answer.get("is_new") is False
    )


def missed(run: Run) -> set[str]:
    """Return the kinds of calls inside which nothing was killed."""
    return KINDS.keys() - run.tally.inside.keys()


if __name__ == "__main__":
    sys.exit(main())
