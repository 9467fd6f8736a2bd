"""Runs a command for as long as another process lives: `python -m e2e.lib.tether PID COMMAND ...`.

The demo's operator stays with its cluster this way, and ends with it, however that ends.
"""

import os
import subprocess
import sys
import time


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """Run the command until it or the other process ends."""
    pid, command = int(sys.argv[1]), sys.argv[2:]
    with subprocess.Popen(command) as process:
        while process.poll() is None and _lives(pid):
            time.sleep(0.5)
        process.terminate()


if __name__ == "__main__":
    main()
