"""An Edge function in the runtime that Supabase uses: its types are checked, then it is called."""

from uuid import uuid4

import pytest
from client_processes import check_types, edge_function, install_npm
from edge_server import COST, MODEL, Edge, as_user
from servers import Run

pytestmark = [pytest.mark.once, pytest.mark.shapeless, pytest.mark.thorough]

SAMPLE = "generate-video"


@pytest.fixture(autouse=True)
def packages(run: Run) -> None:
    with run.exclusive("npm"):
        install_npm()


def test_what_fits_the_definitions_passes_and_what_does_not_is_refused() -> None:
    check_types(f"functions/{SAMPLE}/index.ts", "functions/wrong.ts")


def test_a_user_generates_until_the_credits_are_spent(edge: Edge) -> None:
    user, key = edge.new_user(), str(uuid4())
    given = {"user_id": str(user), "model_id": MODEL, "prompt": "A fox", "settings": {}}
    with edge_function(SAMPLE, edge.url) as http:

        def ask(key: str, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
            answer = http.post("/", json=given, headers=headers | {"Idempotency-Key": key})
            return answer.status_code, answer.json()

        first, again = ask(key, as_user(user)), ask(key, as_user(user))
        assert (first[0], first[1]["spent"], first[1]["again"]) == (200, COST, False)
        assert again == (200, first[1] | {"again": True})
        assert ask(str(uuid4()), as_user(user))[0] == 200
        poor = ask(str(uuid4()), as_user(user))
        assert poor == (402, {"error": "insufficient_credits", "told": "Not enough credits."})
        status, told = ask(str(uuid4()), as_user(edge.new_user()))
        assert (status, told["error"]) == (403, "not_your_account")
        assert ask(str(uuid4()), {})[0] == 401
        assert ask("no uuid", as_user(user))[0] == 400
