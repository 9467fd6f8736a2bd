"""Diagrams for the documentation, drawn from the core's own tables and by running the machine on small examples.

`python -m suptree.core.diagrams` prints docs/diagrams/README.md.
"""

from suptree.core import effects as do
from suptree.core.events import Event, Exited, Started, Stopped
from suptree.core.machine import step
from suptree.core.restart import RESTARTED, Reason
from suptree.core.spec import Child, Restart, Strategy, Supervisor
from suptree.core.state import Ending, State, adopted
from suptree.core.strategy import slice_of

CHILDREN = ("a", "b", "c")


def run(sup: Supervisor, state: State) -> tuple[State, list[str]]:
    """Answer every effect at once; return the state at rest and what was done, in order."""
    done: list[str] = []
    while todo := do.effects(sup, state):
        event: Event
        match todo[0]:
            case do.Stop(name):
                done.append(f"stop {name}")
                event = Stopped(name)
            case do.Start(name):
                done.append(f"start {name}")
                event = Started(name)
            case _:
                break
        state, _ = step(sup, state, event)
    return state, done


def strategies() -> str:
    """Draw, for each strategy, what follows when b of a, b, c fails."""
    lines = ["flowchart LR"]
    for strategy in Strategy:
        sup = Supervisor(tuple(map(Child, CHILDREN)), strategy)
        state, _ = step(sup, adopted(sup), Exited("b", Reason.ABNORMAL, 0))
        _, done = run(sup, state)
        steps = [f'{strategy}{at}["{what}"]' for at, what in enumerate(done)]
        lines += [
            f'  subgraph {strategy}["{strategy}: {", ".join(slice_of(strategy, CHILDREN, "b"))}"]',
            "    direction LR",
        ]
        lines += [f"    {' --> '.join(steps)}", "  end"]
    return "\n".join(lines)


def restart_types() -> str:
    """Write which exits are restarted, as a table."""
    rows = ["| restart type | " + " | ".join(Reason) + " |", "| --- |" + " --- |" * len(Reason)]
    for restart in Restart:
        cells = ["restarted" if reason in RESTARTED[restart] else "not restarted" for reason in Reason]
        rows.append(f"| {restart} | {' | '.join(cells)} |")
    return "\n".join(rows)


def budget() -> str:
    """Draw a supervisor with intensity 2 in 60 s whose only child fails every 10 s, until it gives up."""
    sup = Supervisor((Child("a"),), intensity=2, period=60)
    state, lines, at = adopted(sup), ["stateDiagram-v2", "  direction LR", "  [*] --> used0"], 0
    while state.ending is not Ending.INTENSITY:
        before = len(state.window)
        state, _ = step(sup, state, Exited("a", Reason.ABNORMAL, at))
        after = "gives_up" if state.ending else f"used{len(state.window)}"
        lines.append(f"  used{before} --> {after}: fails at {at} s")
        if state.ending is None:
            state, _ = run(sup, state)
        at += 10
    return "\n".join([*lines, "  gives_up --> [*]: its parent sees an exit with reason shutdown"])


def document() -> str:
    """Return all of it as Markdown."""
    return f"""# Diagrams

Made by `python -m suptree.core.diagrams` from the core's tables and by running its machine. Do not edit.

## What follows when b of a, b, c fails

```mermaid
{strategies()}
```

## Which exits are restarted

{restart_types()}

## The budget: two restarts in 60 s

```mermaid
{budget()}
```
"""


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201 - that is what the command is for
