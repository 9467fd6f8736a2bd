"""Argo CD's view of a tree: the health check of docs/, run by a Lua interpreter as Argo CD runs it."""

from pathlib import Path
from typing import Any

from lupa import LuaRuntime

Json = dict[str, Any]

SCRIPT = Path(__file__).parents[2] / "docs" / "argocd-health.lua"


def health(tree: Json) -> tuple[str, str]:
    """Return status and message."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    run = lua.eval(
        "function(script, obj) return assert(load(script, 'health', 't', {obj = obj, ipairs = ipairs}))() end"
    )
    found = run(SCRIPT.read_text(), lua.table_from(tree, recursive=True))
    return str(found["status"]), str(found["message"])
