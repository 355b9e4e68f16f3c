"""`rendio demo --serve`: a server over the demo's database, two tokens, and lines to try."""

import secrets
import socket
import time
from typing import Any
from uuid import uuid4

import jwt
import psycopg

from rendio.demo import DemoError
from rendio.edge.settings import Secret, Settings

HOST = "127.0.0.1"
DAY_SECONDS = 86_400
RICHEST = """
select user_id::text, credits_remaining
from public.users as u (user_id)
where merged_into is null and deleted_at is null
order by credits_remaining desc, created_at
limit 1
"""
FEATURED = """
select id::text, cost_per_generation
from public.models
where is_available and is_featured
order by id
limit 1
"""

TEXT = """
  The server answers on {url} until Ctrl-C; its log goes to stderr.
  In another terminal, a guest with {credits} credits and the service, for a day:
    export GUEST={guest}
    export SERVICE={service}

  The models, and again with the ETag, which costs nothing:
    curl -si {url}/functions/v1/get-models
    curl -si {url}/functions/v1/get-models -H 'If-None-Match: {etag}'
  A video for {cost} credits; sent again with the same key it takes none:
    curl -si {url}/functions/v1/generate-video -H "Authorization: Bearer $GUEST" \\
      -H 'Idempotency-Key: {key}' -H 'Content-Type: application/json' \\
      -d '{{"model_id": "{model}", "prompt": "A red fox in the snow"}}'
    curl -s {url}/functions/v1/get-video-jobs -H "Authorization: Bearer $GUEST"
  As PostgREST answers; the guest may not grant credits, the service may:
    curl -s {url}/rest/v1/rpc/get_user_credits -H "Authorization: Bearer $GUEST" \\
      -d '{{"p_user_id": "{user}"}}' -H 'Content-Type: application/json'
    export GRANT='{{"p_user_id": "{user}", "p_amount": 99,
      "p_reason": "promo_grant", "p_idempotency_key": "{grant_key}"}}'
    curl -s {url}/rest/v1/rpc/add_credits -H "Authorization: Bearer $GUEST" \\
      -H 'Content-Type: application/json' -d "$GRANT"
    curl -s {url}/rest/v1/rpc/add_credits -H "Authorization: Bearer $SERVICE" \\
      -H 'Content-Type: application/json' -d "$GRANT"
  What is called here is not in the demo's diary: `rendio demo --proof` will say so.
"""


def check_port(port: int) -> None:
    """Raise unless the port is free, before anything is played."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoError(f"Port {port} is taken: choose another with --port.") from error


def settings(database_url: str) -> Settings:
    """Return settings with a secret of this run; devices and purchases are taken without proof."""
    secret = Secret(secrets.token_hex(32))
    return Settings(database_url=Secret(database_url), jwt_secret=secret, insecure_dev=True)


def text(conn: psycopg.Connection[Any], chosen: Settings, port: int) -> str:
    """Return what to try, with tokens that `chosen` lets in."""
    user, credits = conn.execute(RICHEST).fetchone() or ("", 0)
    model, cost = conn.execute(FEATURED).fetchone() or ("", 0)
    etag = conn.execute("select public.get_models() ->> 'etag'").fetchone() or ("",)
    return TEXT.format(
        url=f"http://{HOST}:{port}",
        guest=_token(chosen, role="authenticated", sub=user),
        service=_token(chosen, role="service_role"),
        key=uuid4(),
        grant_key=uuid4(),
        **{"user": user, "credits": credits, "model": model, "cost": cost, "etag": etag[0]},
    )


def _token(chosen: Settings, **claims: str) -> str:
    assert chosen.jwt_secret
    expires = int(time.time()) + DAY_SECONDS
    return jwt.encode(claims | {"exp": expires}, chosen.jwt_secret.reveal(), algorithm="HS256")
