"""fal's webhooks, from the URL that fal is given to the calls that end the job.

::

    from rendio.providers import fal

    KEYS = fal.FalKeys()                     # one for the process
    SECRETS = [bytes.fromhex("…")]           # newest first; see fal.webhook_url

    # the worker, for each job that it claimed
    url = fal.webhook_url(BASE, job.user_id, job.job_id, job.attempt, secret=SECRETS[0])

    # the web framework's handler of POST requests to BASE
    try:
        event = fal.receive(
            request.url, request.headers, request.body,
            keys=KEYS, account=FAL_ACCOUNT, secrets=SECRETS,
        )
        fal.handle(client, event)
    except RendioError as refused:
        return Response(status=refused.status)
    return Response(status=204)

What is not answered with a 2xx fal sends again, ten times in two hours. Everything may come twice,
late, out of order, and before the worker has recorded the start: `handle` is safe in every case.

fal signs the body and the account that asked for the video. It does not sign the URL. So three
things are checked, and none can stand for another: fal's signature (fal sent this body, now), the
account (for us, not for somebody else who gave fal our URL), and our own token in the URL (for the
job that we asked it for, not for another).

Only `FalKeys` needs the extra: pip install 'rendio[fal]'.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from rendio.providers.fal.callback import Target, read_target, webhook_url
from rendio.providers.fal.errors import (
    InvalidSignature,
    KeysUnavailable,
    MalformedWebhook,
    WebhookRefused,
    WebhookTooLarge,
)
from rendio.providers.fal.event import PROVIDER, Event, Failure, Video, decode
from rendio.providers.fal.handler import handle, handle_async
from rendio.providers.fal.signature import receive, verify

if TYPE_CHECKING:
    from rendio.providers.fal.keys import FalKeys

__all__ = [
    "PROVIDER",
    "Event",
    "Failure",
    "FalKeys",
    "InvalidSignature",
    "KeysUnavailable",
    "MalformedWebhook",
    "Target",
    "Video",
    "WebhookRefused",
    "WebhookTooLarge",
    "decode",
    "handle",
    "handle_async",
    "read_target",
    "receive",
    "verify",
    "webhook_url",
]


def __getattr__(name: str) -> Any:
    # On demand: all but the keys, which need cryptography, serves without the extra.
    if name != "FalKeys":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _import_module("rendio.providers.fal.keys").FalKeys
