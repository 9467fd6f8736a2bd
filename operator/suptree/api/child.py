"""One child of a tree, as a user describes it: what it is, when it has failed, how it is stopped and started."""

import re
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints, WithJsonSchema
from pydantic.config import JsonDict

from suptree.api.choices import (
    AfterCompletion,
    ConditionStatus,
    ExitCodeOperator,
    FailureAction,
    LabelOperator,
    Replacement,
    RestartType,
)
from suptree.api.model import (
    QUALIFIED_NAME,
    ApiModel,
    ApiVersion,
    DnsLabel,
    DnsName,
    Kind,
    LabelValue,
    QualifiedName,
    Rule,
)

DAY = 86_400
PERCENTAGE = "^(100|[1-9][0-9]?)%$"

_SET: JsonDict = {"x-kubernetes-list-type": "set"}
_ATOMIC: JsonDict = {"x-kubernetes-list-type": "atomic"}

Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1, json_schema_extra={"format": "int32"})]
IntOrPercentage = Annotated[
    Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] | Annotated[str, StringConstraints(max_length=16)],
    WithJsonSchema(
        {"anyOf": [{"type": "integer"}, {"type": "string"}], "maxLength": 16, "x-kubernetes-int-or-string": True}
    ),
]


class TargetRef(ApiModel):
    """The object that a child is."""

    api_version: ApiVersion = Field(description="API version of the object, for instance apps/v1.")
    kind: Kind = Field(
        description=(
            "Kind of the object: Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, Pod, SupervisionTree, "
            "or any kind with a scale subresource whose status.selector tells the pods."
        )
    )
    name: DnsName = Field(description="Name of the object, in the namespace of the tree.")


class LabelRequirement(ApiModel):
    """One condition on a label of a pod."""

    key: QualifiedName = Field(description="The label's key.")
    operator: LabelOperator = Field(description="How the label is compared with the values.")
    values: Annotated[tuple[LabelValue, ...], Field(max_length=64)] | None = Field(
        default=None,
        description="The values to compare with: at least one for In and NotIn, none for Exists and DoesNotExist.",
        json_schema_extra=_ATOMIC,
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "In and NotIn need at least one value, Exists and DoesNotExist take none: add or remove values",
            lambda it: (it.operator in {LabelOperator.IN, LabelOperator.NOT_IN}) == bool(it.values),
            ".values",
        ),
    )


class LabelSelector(ApiModel):
    """Which pods, by their labels; every part must match."""

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=32)] | None = Field(
        default=None, description="Labels that a pod must have, with these values."
    )
    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=32)] | None = Field(
        default=None, description="Conditions that a pod's labels must meet, all of them.", json_schema_extra=_ATOMIC
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!has(self.matchLabels) || self.matchLabels.all(key, key.matches('{QUALIFIED_NAME}'))",
            "a key of matchLabels is no valid label key: use an optional DNS prefix and a slash, "
            "then letters, digits, '-', '_' or '.'",
            lambda it: all(re.fullmatch(QUALIFIED_NAME, key) for key in it.match_labels or ()),
            ".matchLabels",
        ),
    )


class OnExitCodes(ApiModel):
    """A condition on the exit code of a container."""

    container_name: DnsLabel | None = Field(
        default=None,
        description="Name of the container whose exit code is looked at. Absent: any container of the pod.",
    )
    operator: ExitCodeOperator = Field(description="How the exit code is compared with the values.")
    values: tuple[Int32, ...] = Field(
        description="Exit codes. A container that died from a signal has 128 and the signal's number, 143 for SIGTERM.",
        min_length=1,
        max_length=255,
        json_schema_extra=_SET,
    )


class OnPodCondition(ApiModel):
    """A condition of the pod that failed."""

    type: QualifiedName = Field(description="Type of the pod's condition, for instance DisruptionTarget.")
    status: ConditionStatus = Field(
        default=ConditionStatus.TRUE, description="Status that the condition must have. Default: True."
    )


class FailureRule(ApiModel):
    """What to do about an exit of a certain kind."""

    action: FailureAction = Field(description="What an exit that matches this rule does.")
    on_exit_codes: OnExitCodes | None = Field(
        default=None, description="Match by exit code. Exactly one of onExitCodes and onPodConditions."
    )
    on_pod_conditions: Annotated[tuple[OnPodCondition, ...], Field(min_length=1, max_length=20)] | None = Field(
        default=None,
        description="Match if the pod has one of these conditions. Exactly one of onExitCodes and onPodConditions.",
        json_schema_extra=_ATOMIC,
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.onExitCodes) != has(self.onPodConditions)",
            "a rule of failurePolicy matches by onExitCodes or by onPodConditions: give exactly one of them",
            lambda it: (it.on_exit_codes is None) != (it.on_pod_conditions is None),
        ),
    )


class Child(ApiModel):
    """One supervised child: a workload, a set of pods, or another tree."""

    name: DnsLabel = Field(
        description="Name of the child in this tree, unique among its children; status, events and metrics use it."
    )
    target_ref: TargetRef | None = Field(
        default=None, description="The object that the child is. Exactly one of targetRef and selector."
    )
    selector: LabelSelector | None = Field(
        default=None, description="The pods that the child is, by their labels. Exactly one of targetRef and selector."
    )
    restart: RestartType = Field(
        default=RestartType.PERMANENT, description="Which exits of the child cause a restart. Default: Permanent."
    )
    shutdown_seconds: int | None = Field(
        default=None,
        ge=0,
        le=DAY,
        description=(
            "Seconds that a pod of the child is given to stop when Suptree stops it. "
            "Absent: the pod's own terminationGracePeriodSeconds. 0: it is killed at once."
        ),
    )
    start_timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=DAY,
        description=(
            "Seconds from the last try to start a container of the child within which the child must be Ready; "
            "if it is not, its start has failed. Absent: it may take any time."
        ),
    )
    not_ready_seconds: int | None = Field(
        default=None,
        ge=1,
        le=DAY,
        description=(
            "Seconds after which a pod that was Ready and is Not Ready, though it runs, is a zombie and has failed. "
            "Absent: never."
        ),
    )
    min_failed_pods: IntOrPercentage = Field(
        default=1,
        description=(
            "How many of the child's pods must have failed for the child to have failed: "
            "a number from 1, or a percentage of the desired pods such as 50%. Default: 1."
        ),
    )
    replacement: Replacement = Field(
        default=Replacement.ALL_AT_ONCE,
        description="How the pods of the child are replaced in a restart. Default: AllAtOnce.",
    )
    after_completion: AfterCompletion = Field(
        default=AfterCompletion.KEEP,
        description="What a restart of the group does to this child when it has ended normally. Default: Keep.",
    )
    significant: bool = Field(
        default=False,
        description=(
            "The end of this child may end the tree, as autoShutdown says. "
            "Not for Permanent children, which never end by themselves. Default: false."
        ),
    )
    failure_policy: Annotated[tuple[FailureRule, ...], Field(max_length=20)] | None = Field(
        default=None,
        description=(
            "What particular exits do, in the shape of a Job's podFailurePolicy; the first rule that matches wins. "
            "Absent, or no rule matches: what the restart type and the cause of the exit say."
        ),
        json_schema_extra=_ATOMIC,
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.targetRef) || has(self.selector)",
            "a child needs to say which pods it is: add either targetRef or selector",
            lambda it: it.target_ref is not None or it.selector is not None,
        ),
        Rule(
            "!(has(self.targetRef) && has(self.selector))",
            "a child takes only one of targetRef and selector: remove one of them",
            lambda it: it.target_ref is None or it.selector is None,
        ),
        Rule(
            "!has(self.selector) || (has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)"
            " || (has(self.selector.matchExpressions) && self.selector.matchExpressions.size() > 0)",
            "an empty selector would take every pod of the namespace: add matchLabels or matchExpressions",
            lambda it: it.selector is None or bool(it.selector.match_labels or it.selector.match_expressions),
            ".selector",
        ),
        Rule(
            "!self.significant || self.restart != 'Permanent'",
            "a Permanent child is always restarted, so its end cannot end the tree: "
            "set restart to Transient or Temporary, or significant to false",
            lambda it: not it.significant or it.restart is not RestartType.PERMANENT,
            ".significant",
        ),
        Rule(
            "type(self.minFailedPods) == int ? int(self.minFailedPods) >= 1"
            f" : string(self.minFailedPods).matches('{PERCENTAGE}')",
            "minFailedPods is a number of pods from 1 or a percentage from 1% to 100%, such as 50%",
            lambda it: (
                it.min_failed_pods >= 1
                if isinstance(it.min_failed_pods, int)
                else re.fullmatch(PERCENTAGE, it.min_failed_pods) is not None
            ),
            ".minFailedPods",
        ),
    )
