"""The tables of the core: who is restarted, after which exits, and what a spec may not say."""

import pytest

from suptree.core.restart import Reason, is_restarted
from suptree.core.spec import AutoShutdown, Child, Restart, Strategy, Supervisor, problems
from suptree.core.strategy import slice_of

NAMES = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("strategy", "failed", "members"),
    [
        pytest.param(Strategy.ONE_FOR_ONE, "a", "a", id="one_for_one: the first alone"),
        pytest.param(Strategy.ONE_FOR_ONE, "c", "c", id="one_for_one: one in the middle alone"),
        pytest.param(Strategy.REST_FOR_ONE, "a", "abcd", id="rest_for_one: the first takes all along"),
        pytest.param(Strategy.REST_FOR_ONE, "c", "cd", id="rest_for_one: those after it"),
        pytest.param(Strategy.REST_FOR_ONE, "d", "d", id="rest_for_one: the last alone"),
        pytest.param(Strategy.ONE_FOR_ALL, "a", "abcd", id="one_for_all: the first takes all along"),
        pytest.param(Strategy.ONE_FOR_ALL, "d", "abcd", id="one_for_all: so does the last"),
    ],
)
def test_the_strategy_says_who_is_restarted(strategy: Strategy, failed: str, members: str) -> None:
    """A child that fails takes along whom its tree's strategy names, in start order."""
    assert slice_of(strategy, NAMES, failed) == tuple(members)


@pytest.mark.parametrize("strategy", Strategy)
def test_an_only_child_is_its_own_group(strategy: Strategy) -> None:
    """With one child the three strategies are the same."""
    assert slice_of(strategy, ["a"], "a") == ("a",)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_child_that_is_not_there_has_no_group(strategy: Strategy) -> None:
    """A child that is not in the list cannot quietly restart others."""
    with pytest.raises(ValueError, match="x"):
        slice_of(strategy, NAMES, "x")


@pytest.mark.parametrize(
    ("restart", "reason", "expected"),
    [
        pytest.param(Restart.PERMANENT, Reason.NORMAL, True, id="permanent_normal"),
        pytest.param(Restart.PERMANENT, Reason.SHUTDOWN, True, id="permanent_shutdown"),
        pytest.param(Restart.PERMANENT, Reason.ABNORMAL, True, id="permanent_abnormal"),
        pytest.param(Restart.TRANSIENT, Reason.NORMAL, False, id="transient_normal"),
        pytest.param(Restart.TRANSIENT, Reason.SHUTDOWN, False, id="transient_shutdown"),
        pytest.param(Restart.TRANSIENT, Reason.ABNORMAL, True, id="transient_abnormal"),
        pytest.param(Restart.TEMPORARY, Reason.NORMAL, False, id="temporary_normal"),
        pytest.param(Restart.TEMPORARY, Reason.SHUTDOWN, False, id="temporary_shutdown"),
        pytest.param(Restart.TEMPORARY, Reason.ABNORMAL, False, id="temporary_abnormal"),
    ],
)
def test_the_restart_type_says_which_exits_are_restarted(restart: Restart, reason: Reason, expected: bool) -> None:
    """A permanent child always comes back, a transient one after a failure, a temporary one never."""
    assert is_restarted(restart, reason) is expected


def test_a_good_spec_has_no_problems() -> None:
    """Intensity 0 and the shortest period are legal, and so is a significant child that can end."""
    worker = Child("w", Restart.TRANSIENT, significant=True)
    assert problems(Supervisor((Child("a"), Child("b")), intensity=0, period=1)) == ()
    assert problems(Supervisor((worker,), auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)) == ()


@pytest.mark.parametrize(
    ("sup", "words"),
    [
        pytest.param(Supervisor((Child("a"),), intensity=-1), ("intensity", "-1"), id="intensity below 0"),
        pytest.param(Supervisor((Child("a"),), period=0), ("period", "0"), id="period below 1"),
        pytest.param(Supervisor((Child("a"), Child("b"), Child("a"))), ("'a'", "twice"), id="a name twice"),
        pytest.param(
            Supervisor((Child("a", Restart.TRANSIENT, significant=True),)),
            ("'a'", "significant", "Never"),
            id="significant with auto_shutdown never",
        ),
        pytest.param(
            Supervisor((Child("a", significant=True),), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT),
            ("'a'", "significant", "Permanent"),
            id="significant and permanent",
        ),
    ],
)
def test_a_bad_spec_is_refused_with_a_reason(sup: Supervisor, words: tuple[str, ...]) -> None:
    """What OTP's supervisor would refuse is named: the field or the child, and what is wrong with it."""
    (found,) = problems(sup)
    assert all(word in found for word in words)


def test_every_mistake_is_named_at_once() -> None:
    """Somebody with three mistakes learns of all three, not of one after the other."""
    assert len(problems(Supervisor((Child("a"), Child("a")), intensity=-1, period=0))) == 3


def test_asking_for_a_child_that_is_not_there_names_it() -> None:
    """A name that no child has is an error that shows the name."""
    with pytest.raises(KeyError, match="x"):
        Supervisor((Child("a"),)).child("x")
