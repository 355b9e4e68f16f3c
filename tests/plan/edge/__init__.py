"""The plan's Edge functions, run in Deno; deno.json puts stand-ins in the place of what they fetch.

`functions` has the plan's text: its rate limiter and its get-models as they are written there, and
its generate-video put together from the parts that it gives.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import deno
import httpx
import psycopg
from client_processes import edge_function
from edge_server import COST, MODEL, token
from servers import Cluster

import plan

HERE = Path(__file__).parent
FUNCTIONS = "../../../plan/edge/functions"  # seen from where our sample function is

ALICE = UUID("a11ce000-0000-4000-8000-000000000001")
BOB = UUID("b0b00000-0000-4000-8000-000000000002")
GRANT = 10


@contextmanager
def database(server: Cluster, name: str) -> Iterator[str]:
    """Make the plans' database, in which Alice and Bob hold ten credits and a model costs four."""
    url = server.create(name)
    with psycopg.connect(url, autocommit=True) as conn:
        plan.load(conn)
        for user in (ALICE, BOB):
            conn.execute(
                "insert into public.users (id, device_id, credits_remaining) values (%s, %s, %s)",
                [user, f"phone of {user}", GRANT],
            )
        add_model(conn, MODEL)
    yield url
    server.drop(name)


def add_model(conn: psycopg.Connection[Any], model: UUID | str) -> None:
    """Put a model on sale; they all have one name."""
    conn.execute(
        "insert into public.models"
        " (id, name, category, provider, provider_model_id, cost_per_generation)"
        " values (%s, 'Cinematic', 'video', 'fal', 'fal-ai/veo3.1', %s)",
        [model, COST],
    )


@contextmanager
def function(name: str, url: str) -> Iterator[httpx.Client]:
    """Serve a function of the plan's, with the service key that it takes everything with."""
    key = {"SUPABASE_SERVICE_ROLE_KEY": token("service_role")}
    with mock.patch.dict(os.environ, key), edge_function(f"{FUNCTIONS}/{name}", url) as http:
        yield http


# --- the rate limiter -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A call of the limiter: in which isolate, at which millisecond, for whom."""

    isolate: int
    at: int
    user: str


def ask_limiter(calls: list[Call]) -> list[dict[str, Any]]:
    """Return what the plan's limiter says to each call, and how many users it then remembers."""
    command = [deno.find_deno_bin(), "run", "--no-prompt", f"--allow-read={HERE}", "isolates.ts"]
    done = subprocess.run(
        command,
        cwd=HERE,
        env=os.environ | {"NO_COLOR": "1"},
        input=json.dumps([vars(call) for call in calls]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
