"""Which exits are restarted: exit reason x restart type, as a table (OTP's `do_restart`)."""

from enum import StrEnum

from suptree.core.spec import Restart


class Reason(StrEnum):
    """The classes of exit reasons that OTP tells apart; `{shutdown, _}` is `SHUTDOWN`."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    ABNORMAL = "abnormal"


RESTARTED: dict[Restart, frozenset[Reason]] = {
    Restart.PERMANENT: frozenset(Reason),
    Restart.TRANSIENT: frozenset({Reason.ABNORMAL}),
    Restart.TEMPORARY: frozenset(),
}


def is_restarted(restart: Restart, reason: Reason) -> bool:
    """Tell whether a child of that restart type is restarted after an exit for that reason."""
    return reason in RESTARTED[restart]
