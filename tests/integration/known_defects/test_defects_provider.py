"""What goes wrong between us and the provider: paid for twice, or paid for and lost."""

import json
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from rendio import Client
from rendio.providers import fal
from worlds import ALICE, COST, GRANT, Ours, Plan, generate

pytestmark = pytest.mark.shapeless

BASE, SECRET = "https://api.example.com/fal", bytes(range(32))


@dataclass
class Provider:
    """A provider, which bills every request that it accepts."""

    billed: list[str] = field(default_factory=list)

    def accept(self, job: str) -> str:
        """Take a job and return the provider's own id of the request."""
        self.billed.append(job)
        return f"fal-{len(self.billed)}"


def reported(job: str, attempt: int, request_id: str) -> fal.Event:
    """Return what the provider sends to the URL that it was given with a request."""
    url = fal.webhook_url(BASE, ALICE, UUID(job), attempt, secret=SECRET)
    body = {
        "request_id": request_id,
        "status": "OK",
        "payload": {"video": {"url": f"https://v3.fal.media/{request_id}.mp4"}},
    }
    return fal.decode(json.dumps(body).encode(), fal.read_target(url, [SECRET]))


class TestDefect2_13_ReplayCallsTheProvider:
    """A repeated request is answered like the first, and the caller asks the provider again."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        provider, key = Provider(), uuid4()
        answers = [generate(plan.as_user(ALICE), ALICE, key) for _ in range(2)]
        # Nothing in the answers tells which of them is to be sent on, and no job is anybody's.
        assert answers[0] == answers[1]
        for answer in answers:
            provider.accept(answer["job_id"])
        assert len(provider.billed) == 2
        assert plan.credits(ALICE) == GRANT - COST

    def test_refused_by_ours(self, ours: Ours) -> None:
        provider, key = Provider(), uuid4()
        answers = [generate(ours.as_user(ALICE), ALICE, key) for _ in range(2)]
        assert [answer["replayed"] for answer in answers] == [False, True]
        # Nor does it hang on the caller: a job goes to the provider from whoever claimed it.
        for worker in ("one", "another"):
            for job in ours.call("claim_video_jobs", worker)["jobs"]:
                provider.accept(job["job_id"])
        assert provider.billed == [answers[0]["job_id"]]
        assert ours.credits(ALICE) == GRANT - COST


class TestDefect2_14_CrashAfterTheProviderAccepted:
    """Whoever called the provider dies before its id is written: a paid job that nobody finds."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        provider, service = Provider(), plan.as_service()
        request_id = provider.accept(generate(plan.as_user(ALICE), ALICE)["job_id"])
        done = service.execute(
            "update public.video_jobs set status = 'completed' where provider_job_id = %s",
            [request_id],
        )
        assert done.rowcount == 0
        for (command,) in plan.owner.execute("select command from cron.job").fetchall():
            plan.owner.execute(command)
        assert plan.value("select status from public.video_jobs") == "pending"
        assert (len(provider.billed), plan.credits(ALICE)) == (1, GRANT - COST)

    def test_refused_by_ours(self, ours: Ours) -> None:
        """The report names the job."""
        provider = Provider()
        generate(ours.as_user(ALICE), ALICE)
        (job,) = ours.call("claim_video_jobs", "dies")["jobs"]
        event = reported(job["job_id"], job["attempt"], provider.accept(job["job_id"]))
        ended = fal.handle(Client(ours.service), event)
        assert (ended.status, ended.credits_charged, ended.replayed) == ("completed", COST, False)
        found = ours.call("get_video_status", ALICE, job["job_id"])
        assert found["video_url"] == "https://v3.fal.media/fal-1.mp4"
        assert ours.discrepancies() == []

    def test_without_a_report_another_worker_takes_it(self, ours: Ours) -> None:
        provider = Provider()
        generate(ours.as_user(ALICE), ALICE)
        (job,) = ours.call("claim_video_jobs", "dies")["jobs"]
        provider.accept(job["job_id"])
        assert ours.call("claim_video_jobs", "too early")["jobs"] == []
        ours.pass_time("3 minutes")
        (again,) = ours.call("claim_video_jobs", "lives")["jobs"]
        assert (again["job_id"], again["attempt"]) == (job["job_id"], 2)
        second = provider.accept(again["job_id"])
        fal.handle(Client(ours.service), reported(again["job_id"], 2, second))
        late = fal.handle(Client(ours.service), reported(job["job_id"], 1, "fal-1"))
        assert (late.status, late.replayed) == ("completed", True)
        assert ours.credits(ALICE) == GRANT - COST
        assert ours.discrepancies() == []
