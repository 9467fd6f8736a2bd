"""The chart's values as its README lists them: `make chart-docs` writes the table again, from values.yaml and its comments."""

import collections.abc
import json
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "suptree"
README = CHART / "README.md"
BEGIN, END = "<!-- values: written by `make chart-docs` -->\n", "<!-- end of the values -->\n"


def commented(text: str) -> collections.abc.Iterator[tuple[str, str]]:
    """Walk all values of values.yaml that have a comment above them, each with the comment."""
    above: dict[int, str] = {}
    comment: list[str] = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.lstrip().startswith("#"):
            comment.append(line.strip("# "))
        elif comment and line:
            above = {depth: name for depth, name in above.items() if depth < indent}
            above[indent] = line.strip().split(":")[0]
            yield "".join(f".{name}" for name in above.values()), " ".join(comment)
            comment = []
        else:
            comment = []


def table(text: str) -> str:
    """Write a Markdown table of the values in a values.yaml."""
    values = yaml.safe_load(text)
    comments = dict(commented(text))
    rows = ["| value | default | what it is |", "| --- | --- | --- |"]
    for path, comment in comments.items():
        if not any(other.startswith(f"{path}.") for other in comments):
            what = comment.replace("|", "\\|")
            rows.append(f"| `{path[1:]}` | `{json.dumps(_at(values, path))}` | {what} |")
    return "\n".join(rows) + "\n"


def _at(values: Any, path: str) -> object:  # noqa: ANN401 - YAML is anything
    for name in path[1:].split("."):
        values = values[name]
    return values


def readme(text: str, values: str) -> str:
    """Put the table into a README between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(values)}{END}{after}"


def main() -> None:
    """Write the chart's README again."""
    README.write_text(readme(README.read_text(), (CHART / "values.yaml").read_text()))


if __name__ == "__main__":
    main()
