"""`make audit`: whether a known vulnerability is in what the image holds, and never a pass when nobody could tell.

pip-audit itself says "No known vulnerabilities found" and ends with 0 when the database knew none of the packages, as
behind an index that is only a mirror. Here that is exit code 3 and a sentence.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
DATABASES = ("pypi", "osv")
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 3

Json = dict[str, Any]


def ask(database: str, lock: Path = LOCK) -> tuple[Json | None, str]:
    """Ask a database about a lock file; return its report, or None, and what pip-audit said."""
    pip_audit = [sys.executable, "-m", "pip_audit", "--progress-spinner=off", "--timeout=15", "--format=json"]
    command = [*pip_audit, "--disable-pip", "--require-hashes", f"--vulnerability-service={database}"]
    done = subprocess.run([*command, f"--requirement={lock}"], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1:] or [""]
    try:
        return json.loads(done.stdout), last[0]
    except ValueError:
        return None, last[0]


def verdict(database: str, report: Json | None, said: str) -> tuple[int, list[str]]:
    """Judge a report: the exit code, and the lines that say why."""
    if report is None:
        return UNKNOWN, [f"{database}: cannot be asked from here: {said}"]
    packages = report["dependencies"]
    unknown = [it["name"] for it in packages if "skip_reason" in it]
    lines = [
        f"{it['name']} {it['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'no version yet'}"
        for it in packages
        for found in it.get("vulns", ())
    ]
    if lines:
        return VULNERABLE, lines
    if unknown or not packages:
        return UNKNOWN, [
            f"{database}: knows nothing of {len(unknown)} of {len(packages)} packages: {' '.join(unknown)}"
        ]
    return CLEAN, [f"{database}: no known vulnerability in {len(packages)} packages"]


def main() -> int:
    """Ask one database after the other until one knows."""
    for database in DATABASES:
        code, lines = verdict(database, *ask(database))
        _say("\n".join(lines))
        if code != UNKNOWN:
            return code
    _say("NOT AUDITED: no vulnerability database that can be reached from here knows all packages of requirements.lock")
    return UNKNOWN


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line prints


if __name__ == "__main__":
    sys.exit(main())
