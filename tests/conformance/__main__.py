"""Compare the core with Erlang's own supervisor: `python -m tests.conformance`.

Exits with 0 when all traces are equal, with 1 after a difference, and with 2 when there is no Erlang.
"""

from __future__ import annotations

import argparse
import gzip
import json
import secrets
import sys
import time
from pathlib import Path

from tests.conformance.erlang import NoErlangError, Otp, running
from tests.conformance.generate import scenarios
from tests.conformance.report import table
from tests.conformance.run import check_vectors, compare

VECTORS = sorted((Path(__file__).parents[1] / "otp").glob("vectors-*.jsonl.gz"))


def say(text: str) -> None:
    """Print for the person who waits."""
    print(text, flush=True)  # noqa: T201


def reproduce(otp: Otp) -> int:
    """Run the harness on the vectors that were given; answer the exit code."""
    code = 0
    for path in VECTORS:
        vectors = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        wrong = check_vectors(otp, vectors)
        say(f"{path.name}: {len(vectors) - len(wrong):,} of {len(vectors):,} traces reproduced")
        if wrong:
            say(f"not reproduced: {', '.join(wrong)}")
            code = 1
    return code


def conform(otp: Otp, seed: int, count: int) -> int:
    """Compare fresh scenarios; answer the exit code."""
    release = otp.difference()["otp"]
    say(f"{count:,} scenarios, seed {seed}, on the supervisor of OTP {release}")
    begun = time.monotonic()
    difference = compare(otp, list(scenarios(seed, count)))
    if difference is None:
        spent = time.monotonic() - begun
        say(f"All traces are equal ({spent:.1f} s, {count / spent:,.0f} scenarios a second).")
        return 0
    say(f"A difference, in its smallest form:\n\n{table(difference.scenario, difference.otp, difference.ours)}\n")
    say(f"first difference: {difference.first}\n\n{json.dumps(difference.scenario)}")
    return 1


def main() -> int:
    """Run what the command line asks for; answer the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="how many fresh scenarios (2000)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="repeat an earlier run")
    parser.add_argument("--vectors", action="store_true", help="run the harness on the vectors in tests/otp instead")
    options = parser.parse_args()
    try:
        with running() as otp:
            return reproduce(otp) if options.vectors else conform(otp, options.seed, options.count)
    except NoErlangError as reason:
        print(reason, file=sys.stderr)  # noqa: T201
        return 2


if __name__ == "__main__":
    sys.exit(main())
