"""Who takes the Lease, and when: the rules of client-go's election."""

import pytest

from suptree.cluster.lease import Move, Sight, held, move, released, see

ME, OTHER = "me", "other"
SPEC = {"holderIdentity": OTHER, "leaseDurationSeconds": 4, "renewTime": "2026-01-01T00:00:00.000000Z"}


@pytest.mark.parametrize(
    ("sight", "now", "expected"),
    [
        pytest.param(None, 0.0, Move.CREATE, id="there is no Lease"),
        pytest.param(Sight(SPEC, 10.0), 13.9, Move.WAIT, id="the holder may still renew it"),
        pytest.param(Sight(SPEC, 10.0), 14.0, Move.TAKE, id="the holder was seen too long ago"),
        pytest.param(Sight({**SPEC, "holderIdentity": ""}, 10.0), 10.0, Move.TAKE, id="it was released"),
        pytest.param(Sight({}, 10.0), 10.0, Move.TAKE, id="somebody made an empty one"),
        pytest.param(Sight({**SPEC, "holderIdentity": ME}, 10.0), 99.0, Move.RENEW, id="it is ours, however late"),
        pytest.param(Sight({"holderIdentity": OTHER}, 10.0), 19.0, Move.WAIT, id="the holder named no time"),
        pytest.param(
            Sight({**SPEC, "leaseDurationSeconds": 30}, 10.0), 39.0, Move.WAIT, id="the holder's own time counts"
        ),
    ],
)
def test_what_a_candidate_does(sight: Sight | None, now: float, expected: Move) -> None:
    """A Lease is taken only when its holder released it or has not renewed it for as long as it promised to."""
    assert move(sight, ME, now, 10.0) is expected


def test_a_renewal_starts_the_wait_again_and_a_second_look_does_not() -> None:
    """A holder whose clock is wrong keeps its Lease: only whether it was renewed counts, not what time it wrote."""
    first = see(None, {"spec": SPEC}, 10.0)
    assert see(first, {"spec": dict(SPEC)}, 13.0).since == 10.0
    renewed = see(first, {"spec": {**SPEC, "renewTime": "1999-01-01T00:00:00.000000Z"}}, 13.0)
    assert move(renewed, ME, 16.9, 4.0) is Move.WAIT


def test_what_a_holder_writes() -> None:
    """`kubectl get lease` shows since when the leader leads, and how often the leader has changed."""
    first = held(None, ME, 4, "t1")
    assert (first["acquireTime"], first["leaseTransitions"]) == ("t1", 0)
    renewed = held(first, ME, 4, "t2")
    assert (renewed["acquireTime"], renewed["renewTime"], renewed["leaseTransitions"]) == ("t1", "t2", 0)
    taken = held(renewed, OTHER, 4, "t3")
    assert (taken["holderIdentity"], taken["acquireTime"], taken["leaseTransitions"]) == (OTHER, "t3", 1)


def test_a_released_lease_is_free_at_once() -> None:
    """The next candidate need not wait for a holder that said goodbye."""
    left = released(held(None, ME, 4, "t1"), "t2")
    assert move(see(None, {"spec": left}, 10.0), OTHER, 10.0, 4.0) is Move.TAKE
    assert held(left, OTHER, 4, "t3")["leaseTransitions"] == 1
