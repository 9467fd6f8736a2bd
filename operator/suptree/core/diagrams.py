"""Diagrams for the documentation, drawn from the core's own tables and by running the machine on small examples.

`python -m suptree.core.diagrams` prints docs/diagrams/README.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from suptree.core import effects as do
from suptree.core import events
from suptree.core.machine import step
from suptree.core.restart import RESTARTED, Reason
from suptree.core.spec import Child, Ordering, Restart, Strategy, Supervisor
from suptree.core.state import Ending, Kind, Life, State, adopted, created
from suptree.core.strategy import SLICES, slice_of

SHOP = ("db", "web", "worker")
"""The children of the running example."""

Round = tuple[str, ...]
"""What is done at once, such as 'stop db'."""


# Running the machine.


def answer(effect: do.Effect, failing: list[str]) -> tuple[str, events.Event | None]:
    """Do one thing at once; return what was done, and what to tell the machine. The `failing` fail to start, once each."""
    match effect:
        case do.Stop(name):
            return f"stop {name}", events.Stopped(name)
        case do.Start(name) if name in failing:
            failing.remove(name)
            return f"start {name}: fails", events.StartFailed(name)
        case do.Start(name):
            return f"start {name}", events.Started(name)
        case do.Attempt(name):
            return f"try {name} again", events.Retry(name, 0)
        case do.Wait(until):
            return "wait", events.Due(until)
        case do.End(ending):
            return f"end: {ending}", None


def run(sup: Supervisor, state: State, failing: Iterable[str] = ()) -> tuple[State, list[Round]]:
    """Answer all that is wanted at once, round by round; return the state at rest and the rounds."""
    fail, rounds = list(failing), list[Round]()
    while todo := do.effects(sup, state):
        done = [answer(effect, fail) for effect in todo]
        rounds.append(tuple(what for what, _ in done))
        for _, event in done:
            if event is None:
                return state, rounds
            state, _ = step(sup, state, event)
    return state, rounds


def after(sup: Supervisor, *happened: events.Event, failing: Iterable[str] = ()) -> tuple[State, list[Round]]:
    """Run a supervisor whose children run through what happened, each after the other has been dealt with."""
    state, rounds = adopted(sup), list[Round]()
    for event in happened:
        state, _ = step(sup, state, event)
        state, rounds = run(sup, state, failing)
    return state, rounds


def crash(name: str, now: float = 0) -> events.Exited:
    """Return the failure of a child."""
    return events.Exited(name, Reason.ABNORMAL, now)


def shop(strategy: Strategy, ordering: Ordering = Ordering.ORDERED) -> Supervisor:
    """Return the supervisor of the running example."""
    return Supervisor(tuple(map(Child, SHOP)), strategy, ordering=ordering)


# Writing Mermaid and Markdown.


def flowchart(groups: Iterable[tuple[str, str, Sequence[Round]]]) -> str:
    """Draw rounds as boxes, a row a group: its id, its title and its rounds."""
    lines = ["flowchart LR"]
    for key, title, rounds in groups:
        boxes = [f'{key}{at}["{"<br>".join(done)}"]' for at, done in enumerate(rounds)]
        lines += [f'  subgraph {key}["{title}"]', "    direction LR", f"    {' --> '.join(boxes)}", "  end"]
    return "\n".join(lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


# The diagrams.


def slices() -> str:
    """Write who is restarted, for each strategy and each child that fails."""
    rows = [(strategy, *(", ".join(slice_of(strategy, SHOP, name)) for name in SHOP)) for strategy in SLICES]
    return table(("strategy", *(f"{name} fails" for name in SHOP)), rows)


def strategies() -> str:
    """Draw, for each strategy, what follows when web fails."""
    return flowchart(
        (strategy, f"{strategy}: {', '.join(slice_of(strategy, SHOP, 'web'))}", after(shop(strategy), crash("web"))[1])
        for strategy in Strategy
    )


def orderings() -> str:
    """Draw, for each ordering, what follows when db fails under OneForAll."""
    sups = [(ordering, shop(Strategy.ONE_FOR_ALL, ordering)) for ordering in Ordering]
    return flowchart((ordering, ordering, after(sup, crash("db"))[1]) for ordering, sup in sups)


def failed_starts() -> str:
    """Draw, for each strategy, what follows when db fails and then web fails to start (for OneForOne: web, and web)."""
    rows = []
    for strategy in Strategy:
        first = "web" if strategy is Strategy.ONE_FOR_ONE else "db"
        state, rounds = after(shop(strategy), crash(first), failing=["web"])
        rows.append((strategy, f"{strategy}: {state.restarts} restarts counted", rounds))
    return flowchart(rows)


def kinds() -> str:
    """Write what each kind of operation does with the running example."""
    sup = shop(Strategy.ONE_FOR_ALL)
    begins: dict[Kind, tuple[State, events.Event]] = {
        Kind.START: (created(sup), events.StartUp()),
        Kind.RESTART: (adopted(sup), crash("db")),
        Kind.SHUTDOWN: (adopted(sup), events.ShutDown()),
    }
    rows = []
    for kind in Kind:
        state, event = begins[kind]
        state, _ = step(sup, state, event)
        op = state.operation
        rows.append((kind, type(event).__name__, *(", ".join(it) or "-" for it in (op.stop, op.start))) if op else ())
    return table(("operation", "begun by", "to be stopped", "to be started"), rows)


def restart_types() -> str:
    """Write which exits are restarted."""
    rows = [
        (restart, *("restarted" if reason in RESTARTED[restart] else "not restarted" for reason in Reason))
        for restart in Restart
    ]
    return table(("restart type", *Reason), rows)


def budget() -> str:
    """Draw a supervisor with intensity 2 in 60 s whose only child fails every 10 s, until it gives up."""
    sup = Supervisor((Child("db"),), intensity=2, period=60)
    state, lines, at = adopted(sup), ["stateDiagram-v2", "  direction LR", "  [*] --> used0"], 0
    while state.ending is not Ending.INTENSITY:
        before = len(state.window)
        state, _ = step(sup, state, crash("db", at))
        now = "gives_up" if state.ending else f"used{len(state.window)}"
        lines.append(f"  used{before} --> {now}: fails at {at} s")
        if state.ending is None:
            state, _ = run(sup, state)
        at += 10
    state, _ = step(sup, after(sup, crash("db", 0))[0], crash("db", 61))
    lines.append(f"  used1 --> used{len(state.window)}: fails at 61 s, when the first has left the window")
    return "\n".join([*lines, "  gives_up --> [*]: its parent sees an exit with reason shutdown"])


def escalation() -> str:
    """Draw a tree of trees: db of inner, which is allowed no restart, fails, so its parent restarts inner."""
    inner = Supervisor((Child("db"), Child("web")), intensity=0)
    outer = Supervisor((Child("inner"), Child("worker")), Strategy.REST_FOR_ONE, intensity=1)
    lines = [
        "sequenceDiagram",
        "  participant outer",
        "  participant inner",
        "  participant db",
        "  db ->> inner: fails",
    ]
    _, rounds = after(inner, crash("db"))
    lines += [f"  inner ->> inner: {what}" for done in rounds for what in done if not what.startswith("end")]
    lines.append("  inner ->> outer: exit, reason shutdown")
    state, _ = step(outer, adopted(outer), events.Exited("inner", Reason.SHUTDOWN, 0))
    lines.append(f"  Note over outer: restart {len(state.window)} of {outer.intensity}")
    for what in (what for done in run(outer, state)[1] for what in done):
        if what == "stop inner":
            lines.append("  Note over inner: is down already")
        elif what == "start inner":
            fresh, _ = step(inner, created(inner), events.StartUp())
            lines.append("  outer ->> inner: start, with an empty window")
            lines += [f"  inner ->> inner: {it}" for done in run(inner, fresh)[1] for it in done]
        else:
            lines.append(f"  outer ->> outer: {what}")
    return "\n".join(lines)


# A child's life: every transition that the machine can make, found by trying all events in all states.


def lives() -> str:
    """Draw how a supervisor sees a child, and what changes that."""
    names: dict[Life, str] = {life: life.value for life in Life}
    found: dict[tuple[Life, Life], set[str]] = {}
    for restart, intensity in product(Restart, (0, 9)):
        sup = Supervisor((Child("a"), Child("b", restart)), Strategy.ONE_FOR_ALL, intensity)
        for before, now, why in _transitions(sup):
            found.setdefault((before, now), set()).add(why)
    order = list(Life)
    lines = [
        "stateDiagram-v2",
        f"  [*] --> {names[Life.UNDEFINED]}: created",
        f"  [*] --> {names[Life.ALIVE]}: adopted",
    ]
    for (before, now), whys in sorted(found.items(), key=lambda it: (order.index(it[0][0]), order.index(it[0][1]))):
        lines.append(f"  {names[before]} --> {names[now]}: {' or '.join(sorted(whys))}")
    return "\n".join(lines)


def _transitions(sup: Supervisor) -> Iterator[tuple[Life, Life, str]]:
    seen: set[State] = set()
    todo = [created(sup), adopted(sup)]
    while todo:
        state = todo.pop()
        if state in seen or len(state.retries) > 1:
            continue
        seen.add(state)
        for event in _possible(sup, state):
            new, decision = step(sup, state, event)
            before, now = state.life("b"), new.life("b")
            if before is not None and now is not None and before is not now:
                yield before, now, _why(event, decision)
            # Counts and times make no difference to what is possible.
            op = replace(new.operation, id=0) if new.operation else None
            todo.append(replace(new, window=(), uncounted=(), serial=0, restarts=0, operation=op))


def _possible(sup: Supervisor, state: State) -> Iterator[events.Event]:
    yield from (events.StartUp(), events.ShutDown(), events.Reset("a"))
    for effect in do.effects(sup, state):
        for failing in ([], ["a", "b"]):
            _, event = answer(effect, failing)
            if event is not None:
                yield event
    for name, life in state.children:
        if life is Life.ALIVE:
            yield from (events.Exited(name, reason, 0) for reason in Reason)
        elif not do.is_under_way(state.operation, name):
            yield events.Started(name)  # It has come back by itself.


_WHY: dict[type[events.Event], str] = {
    events.Exited: "fails",
    events.Stopped: "stopped",
    events.Started: "started (or came back by itself)",
    events.StartFailed: "does not start",
    events.Reset: "reset",
}


def _why(event: events.Event, decision: events.Decision) -> str:
    if isinstance(decision, events.LetGo):
        return "ends, and is not restarted"
    if isinstance(decision, events.GaveUp):
        return "fails, and the budget is spent"
    return _WHY[type(event)]


def document() -> str:
    """Return all of it as Markdown."""
    return f"""# Diagrams

Made by `python -m suptree.core.diagrams` from the core's tables and by running its machine. Do not edit.

## Who is restarted

{slices()}

## What follows when web of db, web, worker fails

```mermaid
{strategies()}
```

## The orderings, when db fails under OneForAll

What is in one box is done at once. `OneAtATime` is what `Ordered` does where pods cannot be held.

```mermaid
{orderings()}
```

## A start that fails, in a restart

It is a new attempt, and counts. Under OneForOne web fails, and fails to start; otherwise db fails, and then web fails to start.

```mermaid
{failed_starts()}
```

## Which exits are restarted

{restart_types()}

## The budget: two restarts in 60 s

```mermaid
{budget()}
```

## Handing a failure up

outer (RestForOne: inner, worker; one restart allowed), inner (db, web; none allowed).

```mermaid
{escalation()}
```

## What an operation is for

A supervisor has at most one. With OneForAll:

{kinds()}

## How a supervisor sees a child

All that the machine can do with a child of any restart type, found by trying every event in every state (OneForAll).

```mermaid
{lives()}
```
"""


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201 - that is what the command is for
