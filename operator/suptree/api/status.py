"""What a tree reports: the status of a SupervisionTree, and the supervisor's memory in it.

The names are a contract, except for the fields whose description says that they are internal: they are how a new leader
goes on where the last one stopped. Reading is lenient towards fields it does not know (a newer version may have written
them); texts from elsewhere are cut here, so that no writer has to remember that a status must stay small.
"""

from collections.abc import Callable
from typing import Annotated, ClassVar, TypeVar

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.config import JsonDict

from suptree.api.child import LabelSelector
from suptree.api.choices import ConditionStatus
from suptree.api.model import ApiModel, Count, Time, clip
from suptree.api.outcomes import Cause, ExhaustedReason, Outcome, Stage, State

MAX_HISTORY = 10

T = TypeVar("T")


def _clipped(limit: int) -> Callable[[str], str]:
    return lambda text: clip(text, limit)


def _newest(entries: tuple[T, ...]) -> tuple[T, ...]:
    return entries[:MAX_HISTORY]


ShortText = Annotated[str, AfterValidator(_clipped(200))]
Text = Annotated[str, AfterValidator(_clipped(1024))]

_ATOMIC: JsonDict = {"x-kubernetes-list-type": "atomic"}
_MAP_BY_TYPE: JsonDict = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}


class StatusModel(ApiModel):
    """A part of the status."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")


class Condition(StatusModel):
    """One aspect of the tree's state."""

    type: str = Field(description="Ready, Reconciling, Stalled, Accepted, ResolvedRefs or another aspect.")
    status: ConditionStatus = Field(description="Whether it holds.")
    reason: str = Field(description="Why, in one CamelCase word.")
    message: Text = Field(default="", description="Why, in a sentence for a person.")
    observed_generation: Count | None = Field(
        default=None, description="The generation of the spec for which this was found."
    )
    last_transition_time: Time = Field(description="When the status of the condition last changed.")


class Evidence(StatusModel):
    """What showed an exit."""

    pod: str | None = Field(default=None, description="Name of the pod that showed it.")
    container: str | None = Field(default=None, description="Name of the container that ended.")
    exit_code: int | None = Field(default=None, description="Exit code of that container.")
    origin: str | None = Field(
        default=None, description="Of a tree that gave up: path of the child in it whose failure began it."
    )
    origin_cause: Cause | None = Field(default=None, description="What ended that child.")


class LastExit(Evidence):
    """The last exit of a child, whether or not it led to a restart."""

    cause: Cause = Field(description="What ended the child.")
    time: Time = Field(description="When the operator saw it, by the operator's clock.")
    message: ShortText | None = Field(default=None, description="What the node said about it, cut to 200 bytes.")


class ChildStatus(StatusModel):
    """What is known of one child."""

    name: str = Field(description="Name of the child, as in the spec.")
    state: State | None = Field(default=None, description="What the child is doing.")
    ready: Count | None = Field(default=None, description="Number of its pods that are Ready.")
    desired: Count | None = Field(default=None, description="Number of pods that it should have.")
    restarts: Count | None = Field(
        default=None, description="Restarts that included this child since the tree was created."
    )
    last_exit: LastExit | None = Field(default=None, description="Its last exit. Absent: none was seen.")
    selector: LabelSelector | None = Field(
        default=None, description="The labels by which its pods are found, resolved from the target."
    )
    seen: str | None = Field(
        default=None, description="Internal, not a contract: the pods and container deaths that are already judged."
    )
    supervision: str | None = Field(
        default=None, description="Internal, not a contract: where the child is in its supervision."
    )


class BudgetStatus(StatusModel):
    """The restart budget."""

    used: Count = Field(default=0, description="Counted restarts in the current window.")
    limit: Count = Field(default=0, description="The intensity: more than this and the tree is exhausted.")
    times: tuple[Time, ...] = Field(
        default=(),
        description="When they began, newest first, at most 100; those older than periodSeconds have left.",
        json_schema_extra=_ATOMIC,
    )
    earlier: str | None = Field(
        default=None, description="Internal, not a contract: when those before the newest 100 began, in few letters."
    )


class OperationStatus(StatusModel):
    """The restart that is under way."""

    id: Count = Field(description="Number of the operation; the pods it starts are stamped with it.")
    stage: Stage = Field(description="How far it is.")
    slice: tuple[str, ...] = Field(
        default=(), description="The children that it restarts, in start order.", json_schema_extra=_ATOMIC
    )
    child: str | None = Field(
        default=None, description="The child that is being stopped or started; absent when it is several at once."
    )
    start_time: Time = Field(description="When it began.")
    turn_time: Time | None = Field(
        default=None,
        description=(
            "When its turn came among the restarts of the cluster. "
            "Absent: it waits, or it takes no place, as a restart in place or by the parent."
        ),
    )
    kind: str | None = Field(
        default=None, description="Internal, not a contract: what the operation is for (start, restart or shutdown)."
    )
    replacing: dict[str, str] | None = Field(
        default=None,
        description="Internal, not a contract: for each child the UIDs of the pods that it decided to replace.",
    )
    stop: tuple[str, ...] | None = Field(
        default=None,
        description="Internal, not a contract: the children still to be stopped, in order.",
        json_schema_extra=_ATOMIC,
    )
    start: tuple[str, ...] | None = Field(
        default=None,
        description="Internal, not a contract: the children still to be started, in order.",
        json_schema_extra=_ATOMIC,
    )


class HistoryEntry(Evidence):
    """One restart, or refused restart, with its whole why."""

    operation: Count = Field(description="Number of the operation.")
    time: Time = Field(description="When it was decided.")
    child: str = Field(description="The child whose exit it answered.")
    cause: Cause = Field(description="What ended that child.")
    rule: str | None = Field(
        default=None,
        description="The rule that decided: Default, or the rule of the child's failurePolicy, such as failurePolicy[0].",
    )
    slice: tuple[str, ...] = Field(
        default=(), description="The children that were restarted, in start order.", json_schema_extra=_ATOMIC
    )
    counted: bool = Field(default=True, description="Whether it was counted against the budget.")
    budget_used: Count | None = Field(default=None, description="Counted restarts in the window, this one included.")
    stopped_time: Time | None = Field(default=None, description="When all children to be stopped were gone.")
    ready_time: Time | None = Field(default=None, description="When all its children were up again.")
    outcome: Outcome = Field(default=Outcome.IN_PROGRESS, description="How it ended.")


class Exhausted(Evidence):
    """Why the tree gave up."""

    reason: ExhaustedReason = Field(description="Which limit was reached.")
    time: Time = Field(description="When the tree gave up.")
    message: Text | None = Field(default=None, description="The last failure, in a sentence.")
    child: str | None = Field(default=None, description="The child whose exit it was.")
    cause: Cause | None = Field(default=None, description="What ended that child.")


class Summary(StatusModel):
    """Texts for the columns of kubectl get."""

    children: str | None = Field(default=None, description="Children that are up or done, of all, such as 3/3.")
    budget: str | None = Field(default=None, description="Budget used, of the limit, such as 2/3.")


class SupervisionTreeStatus(StatusModel):
    """What the tree is doing, and why."""

    observed_generation: Count | None = Field(
        default=None, description="The generation of the spec that this status is about."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(), description="The state of the tree, one entry an aspect.", json_schema_extra=_MAP_BY_TYPE
    )
    children: tuple[ChildStatus, ...] = Field(
        # Atomic: one writer, and the API server would keep as much again in managedFields for a list that is a map.
        default=(),
        description="What is known of each child.",
        json_schema_extra=_ATOMIC,
    )
    budget: BudgetStatus | None = Field(default=None, description="The restart budget and how much of it is used.")
    restarts: Count | None = Field(default=None, description="Counted restarts since the tree was created.")
    operation: OperationStatus | None = Field(
        default=None, description="The restart that is under way. Absent: there is none."
    )
    history: Annotated[tuple[HistoryEntry, ...], AfterValidator(_newest)] = Field(
        default=(),
        description="The last 10 restarts and refused restarts, newest first.",
        json_schema_extra=_ATOMIC,
    )
    next_attempt_time: Time | None = Field(
        default=None, description="When the next restart is tried, while the tree backs off or is parked with a retry."
    )
    exhausted: Exhausted | None = Field(default=None, description="Why the tree gave up. Absent: it did not.")
    summary: Summary | None = Field(default=None, description="Texts for the columns of kubectl get.")
    parent: str | None = Field(
        default=None, description="Name of the tree that supervises this one. Absent: it is a root."
    )
    ending: str | None = Field(
        default=None, description="Internal, not a contract: why the supervisor has ended or is ending."
    )
    incarnation: Count | None = Field(
        default=None,
        description="Internal, not a contract: the operation of the parent that last started this tree.",
    )
    parent_reset: str | None = Field(
        default=None, description="Internal, not a contract: the parent's reset that this tree last took part in."
    )
    uid: str | None = Field(
        default=None,
        description="Internal, not a contract: UID of the tree that wrote this, to tell a restored copy.",
    )
    generation: Count | None = Field(
        default=None, description="Internal, not a contract: the generation of the spec that was last acted upon."
    )
    serial: Count | None = Field(
        default=None, description="Internal, not a contract: number of the latest restart or refused restart."
    )
    reset: str | None = Field(
        default=None, description="Internal, not a contract: the value of the reset annotation that was last handled."
    )
    uncounted: tuple[Time, ...] = Field(
        default=(), description="Internal, not a contract: the window of uncounted restarts.", json_schema_extra=_ATOMIC
    )
    uncounted_earlier: str | None = Field(
        default=None, description="Internal, not a contract: the rest of that window, in few letters."
    )
    retry: tuple[str, ...] = Field(
        default=(),
        description="Internal, not a contract: the children to be restarted by the next attempt.",
        json_schema_extra=_ATOMIC,
    )
