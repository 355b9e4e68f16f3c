"""Why a webhook is refused. `status` is what to answer fal with; the rest is for our own log."""

from rendio.errors import RendioError


class WebhookRefused(RendioError):
    """Any refusal of a webhook, before the database was asked."""

    slug = "webhook_refused"
    status = 400


class InvalidSignature(WebhookRefused):
    """fal did not send this now, for our account and for this job; detail names the check."""

    slug = "invalid_signature"
    status = 401


class MalformedWebhook(WebhookRefused):
    """It is from fal, and not in a form that this release knows."""

    slug = "malformed_webhook"


class WebhookTooLarge(WebhookRefused):
    """The body is larger than any report of a video."""

    slug = "webhook_too_large"
    status = 413


class KeysUnavailable(WebhookRefused):
    """fal's keys could not be fetched: nothing can be said of the webhook. fal sends it again."""

    slug = "keys_unavailable"
    status = 503
    is_retryable = True
