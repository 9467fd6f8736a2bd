"""Which changes of the status must be written before anything is done, and which may wait.

What may wait is what can be seen again: how many pods are Ready, how far an operation is. Losing it loses nothing. What
was decided cannot be seen again: it is written first, each time.
"""

from suptree.api.status import ChildStatus, SupervisionTreeStatus


def is_urgent(before: SupervisionTreeStatus, after: SupervisionTreeStatus, *, is_followed: bool = False) -> bool:
    """Tell whether the change must be written at once.

    Args:
        before: What is written.
        after: What is to be written.
        is_followed: Whether child trees read in it what they are to do: then each step of an operation is news.
    """
    return _decided(before) != _decided(after) or (is_followed and _steps(before) != _steps(after))


def _steps(status: SupervisionTreeStatus) -> tuple[object, ...]:
    op = status.operation
    lives = tuple(child.supervision for child in status.children)
    return (op.stop, op.start, lives) if op else (lives,)


def _decided(status: SupervisionTreeStatus) -> tuple[object, ...]:
    op = status.operation
    return (
        status.uid,
        status.generation,
        status.observed_generation,
        status.serial,
        status.reset,
        status.restarts,
        status.exhausted,
        status.ending,
        status.parent,
        status.incarnation,
        status.parent_reset,
        (status.budget.times, status.budget.earlier) if status.budget else None,
        status.budget.limit if status.budget else None,
        status.uncounted,
        status.uncounted_earlier,
        status.retry,
        status.next_attempt_time,
        (op.id, op.kind, op.slice, op.replacing, op.stage == "Waiting", op.turn_time) if op else None,
        tuple((entry.operation, entry.outcome) for entry in status.history),
        tuple((condition.type, condition.status, condition.reason) for condition in status.conditions),
        tuple(map(_decided_of_child, status.children)),
    )


def _decided_of_child(child: ChildStatus) -> tuple[object, ...]:
    return child.name, child.last_exit, child.restarts, child.selector
