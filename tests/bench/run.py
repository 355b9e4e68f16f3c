"""What `make bench` runs: one generation call beside its floor, the plan's version and pgbench -N.

Everything runs on one private server, interleaved, so that only ratios are read: each round takes
every contender once, and a contender's ratio is against the floor of the same round. All are called
by an ordinary role, as a backend calls them: a superuser's rights are never looked up, which would
flatter whatever does not change to its owner's. That role owns the floor and the plan.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import plan as plans_sql
import psycopg
import servers
import traffic
from rendio import migrate

HERE = Path(__file__).resolve().parent
USERS = 10_000
CLIENTS = 2 * (os.cpu_count() or 1)  # as a pool is sized: more only wait for one another
CALLER = "backend"
OWN_EVERYTHING = f"""
    do $$
    declare
        v_object text;
    begin
        for v_object in
            select 'table ' || oid::regclass from pg_class
            where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            union all
            select 'function ' || oid::regprocedure from pg_proc
            where pronamespace = 'public'::regnamespace
        loop
            execute format('alter %s owner to {CALLER}', v_object);
        end loop;
    end $$
"""
CALL = (
    "select {function}(md5(:u::text)::uuid, '5f3b1e70-0000-4000-8000-000000000001',"
    " 'A red fox runs through fresh snow at dawn, cinematic',"
    ' \'{{"duration":8,"resolution":"1080p"}}\', gen_random_uuid());\n'
)
PEOPLE = (
    "insert into {table} (id, {extra}credits_remaining)"
    f" select md5(n::text)::uuid, {{value}}1000000000 from generate_series(1, {USERS}) as n"
)


@dataclass
class Contender:
    name: str
    database: str
    options: list[str]
    tps: list[float] = field(default_factory=list)
    wal: float = 0.0
    xids: float = 0.0
    buffers: float = 0.0


def pgbench(cluster: servers.Cluster, who: Contender, *options: str) -> str:
    """Run pgbench against one contender and return what it printed."""
    done = subprocess.run(
        [
            *(cluster.pgbench_path, "-n", "-M", "prepared"),
            *(*who.options, *options, cluster.url(who.database, CALLER)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"pgbench failed for {who.name}:\n{done.stderr}")
    return done.stdout


def throughput(cluster: servers.Cluster, who: Contender, clients: int, seconds: int) -> float:
    out = pgbench(cluster, who, "-c", str(clients), "-j", "2", "-T", str(seconds))
    match = re.search(r"tps = ([\d.]+) \(without", out)
    assert match, out
    return float(match[1])


def counters(cluster: servers.Cluster, database: str) -> tuple[int, int, int]:
    """Return WAL position, next transaction id and buffers touched in the database so far."""
    with cluster.admin() as conn:
        row = conn.execute(
            "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn,"
            " pg_snapshot_xmax(pg_current_snapshot())::text::bigint, blks_hit + blks_read"
            " from pg_stat_database where datname = %s",
            [database],
        ).fetchone()
    assert row
    return int(row[0]), int(row[1]), int(row[2])


def cost(cluster: servers.Cluster, who: Contender, calls: int = 3000) -> None:
    """Count what one warm call writes and touches. A first run warms it; full pages are off."""
    pgbench(cluster, who, "-c", "1", "-t", "200")
    before = counters(cluster, who.database)
    pgbench(cluster, who, "-c", "1", "-t", str(calls))
    after = counters(cluster, who.database)
    who.wal, who.xids, who.buffers = ((b - a) / calls for a, b in zip(before, after, strict=True))


def prepare(cluster: servers.Cluster, folder: Path) -> list[Contender]:
    """Build the contenders' databases, each with the same users."""

    def script(name: str, function: str) -> list[str]:
        path = folder / f"{name}.sql"
        path.write_text(f"\\set u random(1, {USERS})\n" + CALL.format(function=function))
        return ["-f", str(path)]

    migrate.apply(cluster.create("bench_rendio"))  # first: it makes service_role
    with cluster.admin("bench_rendio") as conn:
        conn.execute(f"create role {CALLER} login in role service_role")
        conn.execute(PEOPLE.format(table="public.users", extra="", value=""))
    cluster.create("bench_floor", owner=CALLER)
    with psycopg.connect(cluster.url("bench_floor", CALLER), autocommit=True) as conn:
        conn.execute((HERE / "floor.sql").read_text())
        conn.execute(PEOPLE.format(table="floor.users", extra="", value=""))
    cluster.create("bench_plan", owner=CALLER)
    with cluster.admin("bench_plan") as conn:
        plans_sql.load(conn)
        conn.execute(OWN_EVERYTHING)
        conn.execute(
            PEOPLE.format(table="public.users", extra="device_id, ", value="'device ' || n, ")
        )
        conn.execute(
            "insert into public.models (id, name, category, provider)"
            " values ('5f3b1e70-0000-4000-8000-000000000001', 'Veo 3.1', 'cinematic', 'fal')"
        )
    cluster.create("bench_pgbench", owner=CALLER)
    subprocess.run(
        [cluster.pgbench_path, "-i", "-q", "-s", "10", cluster.url("bench_pgbench", CALLER)],
        check=True,
        capture_output=True,
    )
    contenders = [
        Contender("floor", "bench_floor", script("floor", "floor.generate_video")),
        Contender("rendio", "bench_rendio", script("rendio", "public.generate_video_atomic")),
        Contender("plan", "bench_plan", script("plan", "public.generate_video_atomic")),
        Contender("pgbench -N", "bench_pgbench", ["-N"]),
    ]
    for who in contenders:
        with cluster.admin(who.database) as conn:
            conn.execute("vacuum analyze")
    return contenders


def measure(
    cluster: servers.Cluster, contenders: list[Contender], rounds: int, clients: int, seconds: int
) -> None:
    """Run the rounds; each takes every contender once, in an order that turns by one.

    A run of each comes before them and is not counted: it finds short files and old statistics.
    """
    with cluster.admin() as conn:
        conn.execute("checkpoint")
    for who in contenders:
        throughput(cluster, who, clients, seconds)
        who.tps.clear()
    for number in range(rounds):
        turn = number % len(contenders)
        for who in contenders[turn:] + contenders[:turn]:
            who.tps.append(throughput(cluster, who, clients, seconds))
        if sys.stdout.isatty():
            print(f"  round {number + 1} of {rounds}", end="\r", flush=True)


def ratios(who: Contender, base: Contender) -> tuple[float, float, float]:
    each = [mine / theirs for mine, theirs in zip(who.tps, base.tps, strict=True)]
    return statistics.median(each), min(each), max(each)


def report(title: str, contenders: list[Contender]) -> None:
    floor, rendio, plan, _ = contenders
    print(f"\n{title}")
    print("  throughput            of the floor, median (least to most)")
    for who in contenders:
        middle, least, most = ratios(who, floor)
        print(f"  {who.name:<20}  {middle:5.2f}  ({least:.2f} to {most:.2f})")
    middle, least, most = ratios(rendio, plan)
    print(f"  {'rendio of the plan':<20}  {middle:5.2f}  ({least:.2f} to {most:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=int, default=4, help="for each contender and round")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="twice the cores if not given")
    options = parser.parse_args()

    settings = {
        "fsync": "on",
        "full_page_writes": "on",
        "wal_level": "logical",
        "shared_preload_libraries": "",
        "shared_buffers": "2GB",  # nothing is evicted
        "max_wal_size": "8GB",
        "checkpoint_timeout": "1h",
    }
    kind = servers.chosen_kind()
    with servers.private_cluster(servers.bin_dir_of(kind), settings=settings) as cluster:
        folder = Path(tempfile.mkdtemp(prefix="rendio-bench-"))
        contenders = prepare(cluster, folder)
        print(
            f"{cluster.label}, wal_level logical, {USERS} users, {options.clients} clients,"
            f" {options.rounds} interleaved rounds of {options.seconds} s"
        )
        with cluster.admin() as conn:
            conn.execute("alter system set full_page_writes = off")
            conn.execute("select pg_reload_conf()")
        for who in contenders:
            cost(cluster, who)
        print("\n  one call              WAL bytes  transaction ids  buffers")
        for who in contenders:
            print(f"  {who.name:<20}  {who.wal:9,.0f}  {who.xids:15.2f}  {who.buffers:7.1f}")
        with cluster.admin() as conn:
            conn.execute("alter system reset full_page_writes")
            conn.execute("select pg_reload_conf()")

        print("\n".join(traffic.report(cluster.url("bench_rendio"))))

        measure(cluster, contenders, options.rounds, options.clients, options.seconds)
        report("Durable: every commit waits for the disk", contenders)
        with cluster.admin() as conn:
            conn.execute("alter system set synchronous_commit = off")
            conn.execute("select pg_reload_conf()")
        measure(cluster, contenders, options.rounds, options.clients, options.seconds)
        report("Processor only: no commit waits", contenders)


if __name__ == "__main__":
    main()
