"""A database in which every table holds something, most of it Alice's and Bob's."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from rpc import App, generation


@dataclass(frozen=True)
class Person:
    """A user with credits and with a job in every state."""

    user: UUID
    device: str
    pending: UUID
    started: UUID
    provider_job: str  # of the started one
    ended: UUID
    key: UUID  # of the pending one
    question: str  # a consumption request
    apple_sub: str


@dataclass(frozen=True)
class People:
    alice: Person
    bob: Person

    def filled(self, text: str) -> str:
        """Put ids in for their names. Not str.format: claims and settings are full of braces."""
        names = {
            "alice": self.alice.user,
            "bob": self.bob.user,
            "alices_job": self.alice.pending,
            "alices_started_job": self.alice.started,
            "alices_ended_job": self.alice.ended,
            "bobs_job": self.bob.pending,
            "alices_provider_job": self.alice.provider_job,
            "alices_key": self.alice.key,
            "alices_question": self.alice.question,
            "alices_sub": self.alice.apple_sub,
        }
        for name, known in names.items():
            text = text.replace(f"{{{name}}}", str(known))
        return text


def people(app: App) -> People:
    """Fill the database."""
    return People(_person(app), _person(app))


def _person(app: App) -> Person:
    device = f"device-{uuid4()}"
    user = UUID(app.call("device_check", None, device)["user_id"])
    app.call("add_credits", user, 90, "promo_grant", uuid4())
    apple_sub = _signed_in_elsewhere(app, user)
    question = _half_refunded(app, user)
    app.call("check_rate_limit", user, "general")

    def done(rpc: str, *more: object) -> None:
        _, provider_job = app.submit(user)
        app.call(rpc, "fal", provider_job, *more)

    done("complete_video_job", "https://v/1.mp4", None, str(uuid4()))
    archive(app)
    done("complete_video_job", "https://v/2.mp4", None, str(uuid4()), 1)
    done("fail_video_job", "no", str(uuid4()))
    late, late_provider_job = app.submit(user)
    app.call("refund_video_job", user, late)
    app.call("complete_video_job", "fal", late_provider_job, "https://v/3.mp4")
    app.call("cancel_video_job", user, app.generate(user), user=user)

    started, provider_job = app.submit(user)
    key = uuid4()
    pending = UUID(generation(user, key)(app.login)["job_id"])
    app.owner.execute("select rendio.fold_lots(%s)", [user])
    return Person(user, device, pending, started, provider_job, late, key, question, apple_sub)


def _signed_in_elsewhere(app: App, user: UUID) -> str:
    """Let an account take over a guest with a job and a purchase."""
    guest = app.new_user(20)
    app.submit(guest)
    app.call("record_iap_purchase", guest, *_product(), "credits_20")
    sub = f"sub-{uuid4()}"
    app.call("link_apple_account", user, sub)
    app.call("link_apple_account", guest, sub)
    return sub


def _half_refunded(app: App, user: UUID) -> str:
    """Let a store take back half of a purchase that was spent, and ask about the other half."""
    product = _product()
    app.call("record_iap_purchase", user, *product, "credits_120")
    app.call("set_consumption_consent", user, True)
    app.call("add_credits", user, -220, "admin_adjustment", uuid4())
    half = '{"revocationPercentage": 50000}'
    question = f"q-{uuid4()}"
    notified = (f"n-{uuid4()}", "REFUND", half), (question, "CONSUMPTION_REQUEST", "{}")
    for notification_id, kind, payload in notified:
        notification = (*product[:2], notification_id, kind, product[2], payload)
        app.call("apply_store_notification", *notification)
    app.call("add_credits", user, 90, "promo_grant", uuid4())
    return question


def _product() -> tuple[str, str, str]:
    return "app_store", "Production", f"t-{uuid4()}"


def archive(app: App) -> None:
    """Move every job that has ended to the archive."""
    app.owner.execute(
        "update public.video_jobs set completed_at = completed_at - interval '91 days',"
        " times_out_at = times_out_at - interval '92 days' where completed_at is not null"
    )
    app.owner.execute("select rendio.archive_jobs()")
