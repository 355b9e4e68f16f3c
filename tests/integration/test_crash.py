"""The crash test, short: one death inside each kind of call, a few at random, and the workers'."""

import pytest
from crash.calls import KINDS
from crash.campaign import crash, report

pytestmark = [pytest.mark.once, pytest.mark.shapeless, pytest.mark.thorough]

MORE = 5  # at random, and at the start of a call


def test_no_credit_is_lost_or_made_when_the_server_dies_inside_a_call() -> None:
    """What fails prints where its journal and the server's log are."""
    run = crash(len(KINDS) + MORE, seed=1, say=print)
    print("\n".join(report(run)))
    assert run.inside.keys() == KINDS.keys()
