"""The limits hold for all callers together, whichever server or isolate each of them runs in."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from races import hold_row, race
from rpc import App, Call

CALLERS = 64
CALLS = 3200  # of all callers
STEP = 93.75  # milliseconds of the faked clock from one call to the next: 5 windows in all

pytestmark = pytest.mark.shapeless


@pytest.fixture
def app(db: str) -> Iterator[App]:
    with App(db) as app:
        yield app


def test_sixty_four_callers_get_the_burst_and_the_rate_and_no_more(app: App, db: str) -> None:
    """The clock moves on with each call, so five windows pass however fast the machine is."""
    app.owner.execute(
        f"""
        create sequence public.calls minvalue 0;
        create or replace function rendio.clock() returns timestamptz
        language sql volatile parallel safe
        begin atomic
            select timestamptz '2030-01-15 08:00:00+00'
                + nextval('public.calls') * {STEP} * interval '1 millisecond';
        end;
        """
    )
    user = uuid4()

    def allowed(calls: int) -> int:
        with psycopg.connect(db, autocommit=True) as conn:
            answers = [Call("check_rate_limit", (user, "generate"))(conn) for _ in range(calls)]
        return sum(answer["allowed"] for answer in answers)

    with ThreadPoolExecutor(CALLERS) as pool:
        total = sum(pool.map(allowed, [CALLS // CALLERS] * CALLERS))
    passed = float(app.value("select last_value from public.calls")) * STEP / 1000
    burst, rate = 10, 10 / 60
    assert passed == pytest.approx(5 * 60, abs=1)
    assert abs(total - (burst + rate * passed)) <= 1


def test_parallel_calls_of_one_user_share_one_allowance(app: App, db: str) -> None:
    user = uuid4()
    call = Call("check_rate_limit", (user, "generate"))
    assert call(app.login)["remaining"] == 9
    held = hold_row("public.rate_limits", "subject = %s", f"user:{user}")
    outcomes = race(db, [call] * CALLERS, held)
    assert [o.sqlstate for o in outcomes if o.sqlstate] == []
    answers = [o.result for o in outcomes]
    assert sum(a["allowed"] for a in answers) == 9
    assert sorted(a["remaining"] for a in answers if a["allowed"]) == list(range(9))
    assert all(a["retry_after"] > 0 for a in answers if not a["allowed"])
