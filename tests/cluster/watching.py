"""One child that is looked at again and again, with nothing remembered but what the status holds."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from suptree.api.child import Child
from suptree.cluster.exits import Evidence, Judgement, judge
from suptree.cluster.memory import Seen, decode, encode, short_uid
from suptree.cluster.views import Pod, pod_of, workload_of
from tests.cluster.builders import T0, Raw
from tests.cluster.builders import child as child_raw


@dataclass
class Watch:
    """The judgement of one child over time."""

    workloads: tuple[Raw, ...] = ()
    child: Child = field(default_factory=lambda: Child.model_validate(child_raw("db")))
    seen: str | None = None
    before: dict[str, Pod] = field(default_factory=dict)
    now: float = T0
    is_fresh: bool = True
    """Whether controllers are read again when that is asked for."""

    def look(self, *raws: Raw, after: float = 1, **more: Any) -> Judgement:  # noqa: ANN401 - fields of Evidence
        """Look at the child as it is now; controllers that have to be confirmed are, unless `is_fresh` says otherwise."""
        self.now += after
        pods = tuple(map(pod_of, raws))
        present = {it.uid for it in pods}
        views = {it["metadata"]["uid"]: workload_of(it["kind"], it) for it in self.workloads}
        top = next(iter(views.values()), None)
        evidence = Evidence(
            child=self.child,
            pods=pods,
            seen=decode(self.seen),
            now=self.now,
            desired=top.replicas if top else len(pods),
            workload=top,
            generation=top.generation if top else 0,
            controllers=views,
            ghosts=tuple(it for uid, it in self.before.items() if uid not in present),
        )
        evidence = replace(evidence, **more)
        found = judge(evidence)
        if found.confirm and self.is_fresh:
            found = judge(replace(evidence, fresh=frozenset(it.uid for it in found.confirm)))
            assert not found.confirm
        self._remember(found, evidence.ghosts, pods)
        return found

    def _remember(self, found: Judgement, ghosts: Iterable[Pod], pods: Iterable[Pod]) -> None:
        self.seen = encode(found.seen)
        left = [it for it in ghosts if short_uid(it.uid) in found.seen.pods]
        self.before = {it.uid: it for it in (*pods, *left)}

    @property
    def memory(self) -> Seen:
        """What is remembered."""
        memory = decode(self.seen)
        assert memory is not None
        return memory

    def cause(self, *raws: Raw, after: float = 1, **more: Any) -> str | None:  # noqa: ANN401 - fields of Evidence
        """Look, and answer the cause of the exit, if there is one."""
        found = self.look(*raws, after=after, **more)
        return str(found.exit.cause) if found.exit else None
