"""How the operator logs: one line for each decision, with what it is about in fields, as text or as JSON.

Text is for people (`kubectl logs`), JSON for what collects logs. Both have the same fields: namespace, tree, reason, operation,
child and cause, each only where it is known; docs/design/running.md lists them.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger.json import JsonFormatter

FORMATS = ("text", "json")
_FIELDS = ("namespace", "tree", "reason", "operation", "child", "cause")


def set_up(form: str, *, verbose: bool) -> None:
    """Log to standard error.

    Args:
        form: One of `FORMATS`.
        verbose: Log what the framework does, too. Otherwise only its warnings: it has a line for every event.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("kopf").setLevel(logging.INFO if verbose else logging.WARNING)


def about(key: tuple[str, str], **fields: object) -> Mapping[str, Any]:
    """Return the fields of a line, for logging's `extra`.

    Args:
        key: Namespace and name of the tree.
        fields: Others of the fields; those that are None are left out.
    """
    namespace, tree = key
    return {"namespace": namespace, "tree": tree, **{name: it for name, it in fields.items() if it is not None}}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line, *trace = super().format(record).split("\n", 1)
        # A trace, if there is one, stays below the line.
        fields = [f"{name}={record.__dict__[name]}" for name in _FIELDS if name in record.__dict__]
        return "\n".join([" ".join([line, *fields]), *trace])


class _Json(JsonFormatter):
    def __init__(self) -> None:
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=names)
        self.default_time_format, self.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03d"
