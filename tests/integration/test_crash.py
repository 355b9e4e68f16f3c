"""The crash test, short: one death inside each kind of call and a few at random."""

import pytest
from crash import __main__ as command
from crash.calls import KINDS

pytestmark = [pytest.mark.once, pytest.mark.shapeless, pytest.mark.thorough]

AT_RANDOM = 3


def test_no_credit_is_lost_or_made_when_the_server_dies_inside_a_call() -> None:
    """The seed of a failure is in its output, with where the journal and the log are."""
    run = command.crash(len(KINDS) + AT_RANDOM, seed=1, say=print)
    print("\n".join(command.report(run)))
    assert command.missed(run) == set()
