"""A backend as a process of its own, worker and webhook handler, which tells how far it has come.

It does what each line on its standard input says; between two systems it waits for one more line,
and there the test may kill it instead.
"""

import json
import sys
from datetime import timedelta
from typing import Any
from urllib.request import Request, urlopen

import psycopg
from fal_sender import ACCOUNT, BASE, SECRET
from rendio import Client
from rendio.providers import fal


def tell(**facts: Any) -> None:
    print(json.dumps(facts, default=str), flush=True)


def may_die(**facts: Any) -> None:
    tell(**facts)
    sys.stdin.readline()


def work(client: Client, provider: str) -> None:
    """Claim a job, submit it, and record what the provider calls it."""
    claimed = client.claim_video_jobs(worker="crash", limit=1, lease=timedelta(minutes=2)).jobs
    for job in claimed:
        url = fal.webhook_url(BASE, job.user_id, job.job_id, job.attempt, secret=SECRET)
        with urlopen(Request(f"{provider}/submit", url.encode(), method="POST")) as answer:
            request_id = answer.read().decode()
        may_die(accepted=request_id, attempt=job.attempt)
        started = client.start_video_job(
            user_id=job.user_id,
            job_id=job.job_id,
            provider_job_id=request_id,
            attempt=job.attempt,
        )
        tell(started=request_id, current=started.current)
    if not claimed:
        tell(idle=True)


def handle(client: Client, provider: str, url: str, headers: dict[str, str], body: str) -> None:
    """Verify a webhook and end its job."""

    def fetch() -> bytes:
        with urlopen(f"{provider}/keys") as answer:
            return bytes(answer.read())

    keys = fal.FalKeys(fetch)
    event = fal.receive(url, headers, body.encode(), keys=keys, account=ACCOUNT, secrets=[SECRET])
    may_die(verified=event.event_id)
    result = fal.handle(client, event)
    tell(handled=event.event_id, replayed=result.replayed, status=result.status)


def main(database: str, provider: str) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        client = Client(conn)
        for line in iter(sys.stdin.readline, ""):
            asked = json.loads(line)
            conn.execute("select set_config('crash.now', %s, false)", [asked.pop("at")])
            if asked.pop("do") == "work":
                work(client, provider)
            else:
                handle(client, provider, **asked)


if __name__ == "__main__":
    main(*sys.argv[1:])
