"""Where two traces of one scenario part. What OTP keeps for itself, the restarts on record, is left out."""

from itertools import zip_longest
from typing import Any

Json = dict[str, Any]


def without_restarts(state: Json | None) -> Json | None:
    """Leave out the restarts on record, nested too: they are internal to OTP."""
    if state is None:
        return None
    below = {name: without_restarts(child) for name, child in state["below"].items()}
    return {key: value for key, value in state.items() if key != "restarts"} | {"below": below}


def first_difference(otp: Json, ours: Json) -> str:
    """Say where our trace leaves OTP's; empty when it does not."""
    if "error" in ours:
        return f"{otp['id']}: {ours['error']}"
    for number, (theirs, mine) in enumerate(zip_longest(otp["steps"], ours["steps"])):
        if theirs != mine:
            return f"{otp['id']}, step {number}: OTP {theirs}, we {mine}"
    if without_restarts(otp["final"]) != without_restarts(ours["final"]):
        return f"{otp['id']}, at the end: OTP {otp['final']}, we {ours['final']}"
    return ""
