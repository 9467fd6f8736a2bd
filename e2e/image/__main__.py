"""Builds the image, for the tests or, as a docker-archive, for another cluster: `python -m e2e.image [FILE]`."""

import argparse
import pathlib
import sys

from e2e.cluster.report import Report
from e2e.image import build, why_not


def main() -> int:
    """Build the image, or say why not; without a file that is no failure, as the tests that need it are skipped."""
    parser = argparse.ArgumentParser(prog="python -m e2e.image", description="The operator's image, without Docker.")
    parser.add_argument("file", nargs="?", type=pathlib.Path, help="where to put the image, as a docker-archive")
    file: pathlib.Path | None = parser.parse_args().file
    reason = why_not()
    if reason:
        print(reason, file=sys.stderr)
        return 1 if file else 0
    try:
        build(Report(), file)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
