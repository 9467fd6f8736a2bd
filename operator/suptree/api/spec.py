"""What a user asks for: the spec of a SupervisionTree.

Descriptions are written for ``kubectl explain``, defaults for the kubelet's clock (a container in CrashLoopBackOff dies
at about 0, 10, 30, 70, 150 and 310 seconds) and not for the BEAM's, and bounds so that the API server's cost estimate
of the rules stays below its limit.
"""

from typing import ClassVar

from pydantic import Field
from pydantic.config import JsonDict

from suptree.api.child import DAY, Child
from suptree.api.choices import AutoShutdown, Mode, OnExhausted, Ordering, Strategy
from suptree.api.model import ApiModel, Rule

MAX_CHILDREN = 256

_MAP_BY_NAME: JsonDict = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}

# The list of one list gives the names a name, so that they are collected once, and indexOf compares outside CEL. A loop in
# a loop would take seconds for the largest tree, and the API server evaluates the rules at every write of the status.
_NAMES_DIFFER = (
    "[self.children.map(child, child.name)].all(names, names.all(name, names.indexOf(name) == names.lastIndexOf(name)))"
)


class Backoff(ApiModel):
    """How the wait between counted group restarts grows."""

    initial_seconds: int = Field(
        default=5,
        ge=0,
        le=DAY,
        description=(
            "Seconds before the second counted restart in the window; the first is immediate. "
            "0 means that no restart waits. Default: 5."
        ),
    )
    factor: int = Field(
        default=2,
        ge=1,
        le=10,
        description="The wait is multiplied by this for each further restart in the window. Default: 2.",
    )
    max_seconds: int = Field(default=300, ge=0, le=DAY, description="The longest wait, in seconds. Default: 300.")
    jitter_percent: int = Field(
        default=10,
        ge=0,
        le=100,
        description=(
            "Each wait is lengthened by a random part of up to this percentage, "
            "so that trees that failed together do not restart together. Default: 10."
        ),
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.maxSeconds >= self.initialSeconds",
            "the longest wait is shorter than the first: raise maxSeconds or lower initialSeconds",
            lambda it: it.max_seconds >= it.initial_seconds,
            ".maxSeconds",
        ),
    )


class SupervisionTreeSpec(ApiModel):
    """What is supervised, and how."""

    strategy: Strategy = Field(
        default=Strategy.ONE_FOR_ONE,
        description="Which children are restarted together when one has failed. Default: OneForOne.",
    )
    intensity: int = Field(
        default=3,
        le=1000,
        json_schema_extra={"minimum": 0},  # checked by a rule, for its sentence
        description=(
            "How many restarts are allowed within periodSeconds; one more and the tree is exhausted. "
            "A restart of several children counts once. 0: the first failure exhausts the tree. Default: 3."
        ),
    )
    period_seconds: int = Field(
        default=300,
        le=30 * DAY,
        json_schema_extra={"minimum": 1},
        description="Length of the window in which restarts are counted, in seconds. Default: 300.",
    )
    ordering: Ordering = Field(
        default=Ordering.ORDERED,
        description="Whether children are stopped and started one after the other or all at once. Default: Ordered.",
    )
    backoff: Backoff = Field(
        default=Backoff(),
        description="How long a counted restart waits; the first in an empty window does not wait.",
    )
    auto_shutdown: AutoShutdown = Field(
        default=AutoShutdown.NEVER,
        description="Whether the end of significant children ends the whole tree. Default: Never.",
    )
    on_exhausted: OnExhausted = Field(
        default=OnExhausted.PARK,
        description=(
            "What an exhausted tree without a parent does. "
            "A tree with a parent stops its children and hands the failure up. Default: Park."
        ),
    )
    retry_after_seconds: int | None = Field(
        default=None,
        ge=1,
        le=30 * DAY,
        description=(
            "Seconds after which an exhausted tree tries once more, with an empty window. "
            "Absent: it waits for a reset by a person or a change of the spec."
        ),
    )
    mode: Mode = Field(default=Mode.ENFORCE, description="Whether the tree acts or only reports. Default: Enforce.")
    suspend: bool = Field(
        default=False,
        description=(
            "Keep hands off: nothing is restarted, and what happens meanwhile is not made up for afterwards. "
            "Default: false."
        ),
    )
    children: tuple[Child, ...] = Field(
        description="What is supervised. The order is the start order; the stop order is its reverse.",
        min_length=1,
        max_length=MAX_CHILDREN,
        json_schema_extra=_MAP_BY_NAME,
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.intensity >= 0",
            "intensity is the number of restarts allowed within periodSeconds: set it to 0 or more",
            lambda it: it.intensity >= 0,
            ".intensity",
        ),
        Rule(
            "self.periodSeconds >= 1",
            "periodSeconds is the length of the window in which restarts are counted: set it to 1 or more",
            lambda it: it.period_seconds >= 1,
            ".periodSeconds",
        ),
        Rule(
            "self.autoShutdown == 'Never' || self.children.exists(child, child.significant)",
            "autoShutdown waits for the end of a significant child and there is none: "
            "set significant on a child, or autoShutdown to Never",
            lambda it: it.auto_shutdown is AutoShutdown.NEVER or any(child.significant for child in it.children),
            ".autoShutdown",
        ),
        Rule(
            "self.autoShutdown != 'Never' || !self.children.exists(child, child.significant)",
            "a significant child ends the tree only with autoShutdown: "
            "set autoShutdown to AnySignificant or AllSignificant, or significant to false",
            lambda it: (
                it.auto_shutdown is not AutoShutdown.NEVER or not any(child.significant for child in it.children)
            ),
            ".children",
        ),
        Rule(
            _NAMES_DIFFER,
            "two children have the same name: rename one of them",
            lambda it: len({child.name for child in it.children}) == len(it.children),
            ".children",
        ),
    )
