"""Who is restarted: the three strategies differ only in the slice of children they take (OTP rules 5 to 7)."""

from collections.abc import Callable, Sequence

from suptree.core.spec import Strategy

SLICES: dict[Strategy, Callable[[Sequence[str], int], Sequence[str]]] = {
    Strategy.ONE_FOR_ONE: lambda names, failed: names[failed : failed + 1],
    Strategy.REST_FOR_ONE: lambda names, failed: names[failed:],
    Strategy.ONE_FOR_ALL: lambda names, _: names,
}


def slice_of(strategy: Strategy, names: Sequence[str], failed: str) -> tuple[str, ...]:
    """Return the names, in start order, that a restart because of `failed` takes along.

    Args:
        strategy: The supervisor's strategy.
        names: All children in start order.
        failed: The child that ended, or that failed to start.

    Raises:
        ValueError: `failed` is not among `names`.
    """
    return tuple(SLICES[strategy](names, list(names).index(failed)))
