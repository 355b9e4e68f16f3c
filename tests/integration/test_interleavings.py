"""Every two calls that write, one stopped at each of its steps while the other runs into it.

Whatever they meet, they end as if one had come after the other: answers, ledger, lots, jobs and
claims are the same. See steps.py for the stops, shared_world.py for what the calls have in common.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations_with_replacement, count
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from rendio import sqlfiles
from rpc import MODEL, App, Call
from servers import Cluster
from shared_world import LATER, STORE, World, Worlds, anonymous
from steps import Ended, Overlap, Stage, Upkeep, install

pytestmark = [pytest.mark.once, pytest.mark.shapeless, pytest.mark.thorough]


@dataclass(frozen=True)
class Case:
    """A call in a world."""

    call: Callable[[World], Call]
    passes_by: bool = False  # what others hold, and leaves it to the next run
    timed_out: str | None = None  # the job that has, when the call comes


def rpc(name: str, *args: object, passes_by: bool = False) -> Case:
    """Return a call by the service. A ``$name`` stands for the world's id of that name."""

    def fill(arg: object, world: World) -> object:
        if isinstance(arg, dict):
            return {key: fill(value, world) for key, value in arg.items()}
        return world[arg[1:]] if isinstance(arg, str) and arg.startswith("$") else arg

    return Case(lambda world: Call(name, tuple(fill(arg, world) for arg in args)), passes_by)


def upkeep(function: str, *, timed_out: str | None = None) -> Case:
    """Return a run of a maintenance function."""
    return Case(lambda _: Upkeep(function), passes_by=True, timed_out=timed_out)


VIDEO = (MODEL, "a dog surfing", "{}")
BOUGHT = (*STORE, "$purchase", "credits_20")
CHARGE = (
    "ONE_TIME_CHARGE",
    "$purchase",
    {"productId": "credits_20", "appAccountToken": "$guest"},
)
DONE = ("fal", "$started id", "https://v", None, "$event", 1)

CASES = {
    "generate": rpc("generate_video_atomic", "$guest", *VIDEO, "$new key"),
    "generate with an old key": rpc("generate_video_atomic", "$guest", *VIDEO, "$old key"),
    "generate for the account": rpc("generate_video_atomic", "$account", *VIDEO, "$new key"),
    "cancel": rpc("cancel_video_job", "$guest", "$waiting"),
    "claim": rpc("claim_video_jobs", "worker", passes_by=True),
    "start": rpc("start_video_job", "$guest", "$waiting", "$new id"),
    "complete": rpc("complete_video_job", *DONE),
    "complete an old attempt": rpc("complete_video_job", "fal", "$late id", "https://v"),
    "fail": rpc("fail_video_job", "fal", "$started id", "no", "$event"),
    "refund": rpc("refund_video_job", "$guest", "$started"),
    "delete a job": rpc("delete_video_job", "$guest", "$waiting"),
    "delete an old job": rpc("delete_video_job", "$guest", "$old"),
    "take": rpc("add_credits", "$guest", -3, "admin_adjustment", "$new key"),
    "purchase": rpc("record_iap_purchase", "$guest", *BOUGHT),
    "charge": rpc("apply_store_notification", *STORE, "$notice", *CHARGE),
    "take back": rpc("apply_store_notification", *STORE, "$notice", "REFUND", "$bought"),
    "take back at once": rpc(
        "apply_store_notification", *STORE, "$other notice", "REFUND", "$purchase"
    ),
    "waive": rpc("waive_credit_debt", "$guest"),
    "consent": rpc("set_consumption_consent", "$guest", True),
    "answer the store": rpc("answer_consumption_request", *STORE, "$asked"),
    "sign in": rpc("link_apple_account", "$guest", "$apple"),
    "sign up": rpc("link_apple_account", "$guest", "$other apple"),
    "delete the guest": rpc("delete_account", "$guest"),
    "delete the account": rpc("delete_account", "$account"),
    "open the app": rpc("device_check", None, "$phone"),
    "open the app elsewhere": rpc("device_check", "$guest", "$new phone"),
    "sweep": upkeep("sweep_stuck_jobs", timed_out="started"),
    "sweep what nobody took": upkeep("sweep_stuck_jobs", timed_out="waiting"),
    "settle": upkeep("settle_expired_credits"),
    "archive": upkeep("archive_jobs"),
    "clean up": upkeep("cleanup_idempotency_log"),
}
# Credits that come to a guest who has signed in go on to the account: two people's rows.
FOLLOWS = (
    "generate for the account", "cancel", "complete", "fail", "purchase", "take back",
    "sign in", "delete the account", "sweep", "settle",
)  # fmt: skip
# What they write to is nobody's, or no other call's.
UNSHARED = {
    "ensure_partitions", "purge_cron_history", "purge_webhook_events",
    "check_rate_limit", "check_request", "cleanup_rate_limits",  # see test_rate_limits.py
}  # fmt: skip


def pairs(names: Iterable[str]) -> list[Any]:
    """Return every two of the calls, each with itself too."""
    return [
        pytest.param(*pair, id=" - ".join(pair)) for pair in combinations_with_replacement(names, 2)
    ]


@dataclass(frozen=True)
class Run:
    """How two calls met, and what came of it, without ids and times."""

    overlap: Overlap
    end: list[str]


@dataclass
class Arena:
    """A database in which calls can be stopped."""

    app: App
    worlds: Worlds
    stage: Stage
    met: dict[str, str] = field(default_factory=dict)  # whose world was whose

    def runs(self, first: str, second: str, *, merged: bool) -> Iterator[Run]:
        """Stop the first call at each of its steps in turn; last, let it end before the second."""
        cases = [CASES[first], CASES[second]]
        for stop in count(1):
            timed_out = {case.timed_out for case in cases if case.timed_out}
            world = self.worlds.new(timed_out=timed_out, merged=merged)
            for person in (world["guest"], world["account"]):
                self.met[person] = f"{first}, stopped at step {stop}, and {second}"
            calls = [case.call(world) for case in cases]
            overlap = self.stage.overlap(*calls, stop)
            again = [
                self.stage.alone(call) if case.passes_by else None
                for case, call in zip(cases, calls, strict=True)
            ]
            told = [
                f"{first} -> {answer(overlap.first, again[0])}",
                f"{second} -> {answer(overlap.second, again[1])}",
            ]
            lines = told + self.worlds.end(world)
            yield Run(overlap, sorted(anonymous("\n".join(lines), world).splitlines()))
            if overlap.stopped_at is None:
                return


def answer(ended: Ended, again: Ended | None) -> str:
    """Return what a call answered, in both runs together if it was made once more."""
    if ended.error or again is None:
        return str(ended.error or json.dumps(ended.result))
    if isinstance(ended.result, int):
        return str(ended.result + again.result)
    return json.dumps(sorted(ended.result["jobs"] + again.result["jobs"], key=str))


@pytest.fixture(scope="module")
def arena(server: Cluster, clone: Callable[[], str]) -> Iterator[Arena]:
    url = clone()
    try:
        with App(url) as app:
            install(app)
            worlds = Worlds(app)
            with Stage.at(url, LATER) as stage:
                arena = Arena(app, worlds, stage)
                yield arena
            wrong = app.discrepancies()
            assert [(arena.met.get(str(row[0])), row) for row in wrong] == []
    finally:
        server.drop(str(conninfo_to_dict(url)["dbname"]))


@pytest.mark.parametrize(("one", "other"), pairs(CASES))
def test_they_end_as_if_one_came_after_the_other(arena: Arena, one: str, other: str) -> None:
    assert_serial(arena, one, other, merged=False)


@pytest.mark.parametrize(("one", "other"), pairs(FOLLOWS))
def test_so_they_do_after_the_guest_has_signed_in(arena: Arena, one: str, other: str) -> None:
    assert_serial(arena, one, other, merged=True)


def assert_serial(arena: Arena, one: str, other: str, *, merged: bool) -> None:
    runs = {
        order: list(arena.runs(*order, merged=merged)) for order in {(one, other), (other, one)}
    }
    serial = [found[-1].end for found in runs.values()]
    wrong = [
        _described(*order, run, serial)
        for order, found in runs.items()
        for run in found
        if run.end not in serial or not _registered(run.overlap)
    ]
    assert not wrong, "neither of the serial results:\n" + "\n".join(wrong)


def _registered(overlap: Overlap) -> bool:
    errors = [ended.error for ended in (overlap.first, overlap.second) if ended.error]
    return all((error[0] or "").startswith("PT") for error in errors)


def _described(first: str, second: str, run: Run, serial: list[list[str]]) -> str:
    """Return how two calls met, and what is not as in the serial result that is nearest."""
    nearest = min(serial, key=lambda end: len(set(end) ^ set(run.end)))
    waited = "waited" if run.overlap.second_waited else "did not wait"
    differences = [f"    not: {line}" for line in nearest if line not in run.end]
    differences += [f"    but: {line}" for line in run.end if line not in nearest]
    header = f"{first} stopped at {run.overlap.stopped_at}; {second} {waited}"
    return "\n".join([header, *differences])


def test_every_call_that_writes_is_met(arena: Arena) -> None:
    anyones: World = defaultdict(str)
    met = {case.call(anyones).rpc for case in CASES.values()}
    writers = arena.app.owner.execute(
        "select distinct p.proname from pg_proc as p"
        " where p.pronamespace = 'public'::regnamespace and p.provolatile = 'v'"
        " and p.proowner = 'rendio_owner'::regrole"
        " and (has_function_privilege('service_role', p.oid, 'execute')"
        " or has_function_privilege('authenticated', p.oid, 'execute'))"
    )
    jobs = "".join(path.read_text() for path in sqlfiles.root().glob("cron/*.sql"))
    maintenance = set(re.findall(r"\brendio\.(\w+)\(", jobs))
    assert met | UNSHARED == {name for (name,) in writers} | maintenance
