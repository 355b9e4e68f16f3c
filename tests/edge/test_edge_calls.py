"""The core of both faces, on every server and shape of database: who calls, and what comes back."""

from uuid import uuid4

from edge_server import COST, MODEL, SERVICE, Edge, as_user


def test_a_user_spends_its_own_credits_once(edge: Edge) -> None:
    user, key = edge.new_user(), str(uuid4())
    given = {
        "p_user_id": str(user),
        "p_model_id": MODEL,
        "p_prompt": "A red fox in fresh snow",
        "p_settings": {"duration": 8},
        "p_idempotency_key": key,
    }
    first = edge.rpc("generate_video_atomic", given, as_user(user))
    again = edge.rpc("generate_video_atomic", given, as_user(user))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["credits_used"] == COST
    assert again.json() == first.json() | {"replayed": True}
    left = edge.rpc("get_user_credits", {"p_user_id": str(user)}, as_user(user)).json()
    assert left["credits_remaining"] == 10 - COST


def test_nobody_acts_for_another(edge: Edge) -> None:
    mine, other = edge.new_user(), edge.new_user()
    refused = edge.rpc("get_user_credits", {"p_user_id": str(other)}, as_user(mine))
    assert (refused.status_code, refused.json()["message"]) == (403, "not_your_account")
    nobody = edge.rpc("get_user_credits", {"p_user_id": str(other)})
    assert (nobody.status_code, nobody.json()["code"]) == (401, "42501")
    assert nobody.headers["WWW-Authenticate"] == "Bearer"


def test_a_user_is_not_the_service(edge: Edge) -> None:
    user = edge.new_user()
    given = {
        "p_user_id": str(user),
        "p_amount": 5,
        "p_reason": "promo_grant",
        "p_idempotency_key": str(uuid4()),
    }
    refused = edge.rpc("add_credits", given, as_user(user))
    assert (refused.status_code, refused.json()["code"]) == (403, "42501")
    assert edge.rpc("add_credits", given, SERVICE).json()["credits_added"] == 5


def test_an_error_has_the_status_it_was_raised_with(edge: Edge) -> None:
    user = edge.new_user()
    given = {"p_user_id": str(user), "p_job_id": str(uuid4())}
    missing = edge.rpc("get_video_status", given, as_user(user))
    assert missing.status_code == 404
    assert set(missing.json()) == {"code", "message", "details", "hint"}
    assert (missing.json()["code"], missing.json()["message"]) == ("PT404", "job_not_found")


def test_the_plans_endpoints_make_the_same_calls(edge: Edge) -> None:
    user = edge.new_user()
    headers = as_user(user) | {"Idempotency-Key": str(uuid4())}
    given = {"model_id": MODEL, "prompt": "A lighthouse in a storm", "settings": {}}
    made = edge.endpoint("generate-video", given, headers)
    assert made.status_code == 200, made.text
    found = edge.http.get(
        "/functions/v1/get-video-status",
        params={"job_id": made.json()["job_id"]},
        headers=as_user(user),
    )
    assert (found.status_code, found.json()["status"]) == (200, "pending")
    jobs = edge.http.get("/functions/v1/get-video-jobs", headers=as_user(user)).json()["jobs"]
    assert [job["job_id"] for job in jobs] == [made.json()["job_id"]]
