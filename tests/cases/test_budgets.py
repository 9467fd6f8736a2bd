"""Budgets: what must not hide from them, and what must not grow with them (C47, C69)."""

import json

from tests.cluster.builders import T0
from tests.cluster.scene import Scene, scene

KUBELET_BACKOFF = (0, 10, 20, 40, 80, 160, 300)
"""Seconds before the kubelet starts a container again, by the times that it has."""
DAY = 86_400
LIVES_SECONDS = 2
"""How long a container of a broken revision runs, and is Ready, before it dies again."""


def crash_in_turn(it: Scene, names: list[str], until: float) -> set[int]:
    """Let pods crash again and again as their kubelet restarts them; answer how many of all pods were Ready at any time."""
    due = {name: (T0 + 3 * at, "dies") for at, name in enumerate(names)}
    seen = set()
    while it.now < until and "Parked" not in it.condition("Stalled"):
        name = min(due, key=lambda one: due[one])
        it.now, what = due[name]
        if what == "dies":
            it.dies(name, 1)
            again = KUBELET_BACKOFF[min(it.restarts(name), len(KUBELET_BACKOFF) - 1)]
            due[name] = (it.now + again + 0.5, "runs")
        else:
            it.runs(name)
            due[name] = (it.now + LIVES_SECONDS, "dies")
        it.act(it.decide())
        seen.add(it.child("web").ready)
    return seen


def test_c47_ready_counts_that_wander_do_not_hide_a_crash_loop() -> None:
    """Ten of a hundred pods crash in turn, and at no time are all or none of them Ready: the tree parks all the same."""
    it = scene("web=deploy*100")
    seen = crash_in_turn(it, [f"web-r1-{number}" for number in range(10)], T0 + DAY)
    assert it.condition("Stalled") == "True Parked"
    assert it.status.restarts == 3
    assert it.now < T0 + 600, "within minutes, not after a day"
    assert len(seen) > 2, "the number of Ready pods went up and down"
    assert min(seen) >= 90


def test_c69_the_status_of_200_children_that_crash_stays_small() -> None:
    """However many children crash, and however long what they say, the status stays under 80 kB and each text is cut."""
    names = [f"c{number:03}" for number in range(200)]
    it = scene(" ".join(names), intensity=1000, periodSeconds=60)
    for round_ in range(3):
        for name in names:
            it.dies(f"{name}-0", 1, message=f"{round_} " + "x" * 5_000)
        it.act(it.decide())
        for name in names:
            it.runs(f"{name}-0")
        it.now += 61
        it.decide()
    assert it.status.restarts == 600
    assert len(it.status.history) == 10
    said = [one.last_exit.message for one in it.status.children if one.last_exit is not None and one.last_exit.message]
    assert len(said) == len(names)
    assert all(text.startswith("2 xxx") for text in said)
    assert max(map(len, said)) <= 40
    assert len(json.dumps(it.status.to_json(), separators=(",", ":"))) < 80_000


def test_c69_a_few_children_say_more() -> None:
    """What a container said last is kept to 200 characters where there are few children."""
    it = scene("db web")
    it.dies("db-0", 1, message="x" * 300_000)
    it.decide()
    assert len(it.child("db").last_exit.message) == 200
