"""The store against a naive one: whatever comes in in whatever order, the indexes agree with a plain search."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from suptree.api.child import LabelSelector
from suptree.cluster.labels import matches
from suptree.cluster.store import Namespace, Store
from suptree.cluster.trees import tree_of
from suptree.cluster.views import Pod, pod_of, workload_of
from tests.cluster.builders import child, pod, tree, workload

LABELS = st.fixed_dictionaries({"app": st.sampled_from("abc"), "tier": st.sampled_from("xy")})
UIDS = st.sampled_from([f"{at:08x}-uid" for at in range(6)])
SELECTORS = [
    LabelSelector.model_validate(raw)
    for raw in (
        {"matchLabels": {"app": "a"}},
        {"matchLabels": {"app": "b", "tier": "x"}},
        {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "c"]}]},
        {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["y"]}]},
        {"matchExpressions": [{"key": "app", "operator": "Exists"}], "matchLabels": {"tier": "y"}},
    )
]


class StoreMachine(RuleBasedStateMachine):
    """Feeds pods to a namespace, and keeps a plain dictionary of them."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Namespace()
        self.plain: dict[str, Pod] = {}
        self.version = 0

    @initialize()
    def begin(self) -> None:
        """Begin empty."""

    def view(self, uid: str, labels: dict[str, str], version: int) -> Pod:
        """Return a pod."""
        raw = pod(f"pod-{uid}", uid=uid, labels=labels)
        raw["metadata"]["resourceVersion"] = str(version)
        return pod_of(raw)

    @rule(uid=UIDS, labels=LABELS, age=st.integers(0, 3))
    def put(self, uid: str, labels: dict[str, str], age: int) -> None:
        """A watch shows a pod; an older view than the known one is ignored."""
        self.version += 1
        it = self.view(uid, labels, max(0, self.version - age))
        old = self.plain.get(uid)
        changed = self.store.put_pod(it)
        if old is None or old.version <= it.version:
            self.plain[uid] = it
        if old is None:
            assert changed

    @rule(uid=UIDS)
    def put_again(self, uid: str) -> None:
        """A relist shows what is known already; that is no news."""
        if uid in self.plain:
            assert not self.store.put_pod(self.plain[uid])

    @rule(uid=UIDS)
    def drop(self, uid: str) -> None:
        """A pod is gone."""
        known = self.plain.pop(uid, None)
        assert self.store.drop_pod(uid) == known

    @rule(selector=st.sampled_from(SELECTORS), keep=st.sets(UIDS), labels=LABELS)
    def relist(self, selector: LabelSelector, keep: set[str], labels: dict[str, str]) -> None:
        """A fresh list of a selector's pods is the truth about them."""
        self.version += 1
        listed = [self.view(uid, labels, self.version) for uid in sorted(keep)]
        listed = [it for it in listed if matches(selector, it.labels)]
        lost = self.store.lost(listed, selector, self.version)
        self.store.put_pods(listed)
        self.store.miss_pods(lost)
        found = {it.uid: it for it in listed}
        self.plain = {uid: it for uid, it in self.plain.items() if uid in found or not matches(selector, it.labels)}
        self.plain |= found

    @invariant()
    def agrees(self) -> None:
        """Every selector finds exactly what a plain search finds."""
        assert self.store.pods_by_uid == self.plain
        for selector in SELECTORS:
            expected = {uid for uid, it in self.plain.items() if matches(selector, it.labels)}
            assert {it.uid for it in self.store.pods(selector)} == expected
        assert all(bucket for bucket in self.store._by_pair.values())


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, derandomize=True)


def test_a_workload_that_was_made_again_is_another() -> None:
    """C58: a workload that is deleted and created again under its name is not taken for the old one, nor dropped with it."""
    store = Namespace()
    old, new = workload("StatefulSet", "db"), workload("StatefulSet", "db")
    store.put_workload(workload_of("StatefulSet", old))
    assert store.put_workload(workload_of("StatefulSet", new))
    store.drop_workload("StatefulSet", "db", old["metadata"]["uid"])
    found = store.workload("StatefulSet", "db")
    assert found is not None
    assert found.uid == new["metadata"]["uid"]
    assert set(store.controllers) == {new["metadata"]["uid"]}
    store.drop_workload("StatefulSet", "db", new["metadata"]["uid"])
    assert store.workload("StatefulSet", "db") is None
    assert store.controllers == {}


def test_an_older_view_of_a_workload_is_ignored() -> None:
    """A late event does not undo what is known."""
    store = Namespace()
    raw = workload("StatefulSet", "db", 3)
    store.put_workload(workload_of("StatefulSet", raw))
    late = {**raw, "metadata": {**raw["metadata"], "resourceVersion": "1"}, "spec": {**raw["spec"], "replicas": 1}}
    assert not store.put_workload(workload_of("StatefulSet", late))
    found = store.workload("StatefulSet", "db")
    assert found is not None
    assert found.replicas == 3


def claims(created: str, name: str, *children: Any, **meta: Any) -> Namespace:  # noqa: ANN401 - parts of a manifest
    """Return a store with the tree 'mine' and another one, and a Deployment `web` with one pod."""
    store = Namespace()
    top = workload("Deployment", "web")
    replica_set = workload("ReplicaSet", "web-r1", of=top, app="web")
    for raw in (top, replica_set):
        store.put_workload(workload_of(raw["kind"], raw))
    store.put_pod(pod_of(pod("web-r1-0", of=replica_set)))
    mine = tree(child("web", "Deployment"), name="mine")
    other = tree(*children, name=name)
    other["metadata"] |= {"creationTimestamp": created, **meta}
    for raw in (mine, other):
        store.put_tree(tree_of(raw))
    return store


def test_c57_the_older_tree_has_the_claim() -> None:
    """C57: of two trees the older one keeps the pods, by whatever way it names them; the younger takes over."""
    by_target, by_selector = child("x", "Deployment"), {"name": "x", "selector": {"matchLabels": {"app": "web"}}}
    by_target["targetRef"]["name"] = "web"
    for one in (by_target, by_selector):
        store = claims("2026-01-01T00:00:00Z", "old", one)
        assert store.older_claim("mine", store.pods_by_uid.values()) == "old"
        assert store.older_claim("old", store.pods_by_uid.values()) == ""
        store.drop_tree("old")
        assert store.older_claim("mine", store.pods_by_uid.values()) == ""


def test_c57_a_younger_tree_or_one_that_goes_has_no_claim() -> None:
    """C57: a tree that was made later, or is being deleted, takes nothing from an older one."""
    younger = claims("2026-12-01T00:00:00Z", "new", child("web", "Deployment"))
    assert younger.older_claim("mine", younger.pods_by_uid.values()) == ""
    going = claims("2026-01-01T00:00:00Z", "old", child("web", "Deployment"), deletionTimestamp="2026-03-01T00:00:00Z")
    assert going.older_claim("mine", going.pods_by_uid.values()) == ""


def test_a_namespace_that_was_never_heard_of_is_empty() -> None:
    """Namespaces do not see one another's pods."""
    store = Store()
    store.namespace("one").put_pod(pod_of(pod("db-0", labels={"app": "a"})))
    assert [it.name for it in store.namespace("one").pods(SELECTORS[0])] == ["db-0"]
    assert list(store.namespace("two").pods(SELECTORS[0])) == []


def test_a_pod_that_came_after_the_list_is_not_lost() -> None:
    """A pod that a watch shows while an older list is still under way is not taken for one that is gone."""
    store = Namespace()
    raw = pod("db-0", labels={"app": "db"})
    raw["metadata"]["resourceVersion"] = "8"
    store.put_pod(pod_of(raw))
    selector = LabelSelector(match_labels={"app": "db"})
    assert store.lost([], selector, 7) == []
    assert store.lost([], selector, 8) == [raw["metadata"]["uid"]]


def test_what_ends_while_a_list_is_under_way_does_not_come_back_with_it() -> None:
    """A pod whose end a watch shows while an older list is still under way is not taken for one that is there."""
    store = Namespace()
    raws = [pod("db-0", labels={"app": "db"}), pod("db-1", labels={"app": "db"})]
    store.put_pods(map(pod_of, raws))
    with store.ends() as ended:
        store.drop_pod(raws[0]["metadata"]["uid"])
    store.drop_pod(raws[1]["metadata"]["uid"])
    assert ended == {raws[0]["metadata"]["uid"]}
