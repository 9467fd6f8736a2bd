"""The choices of the spec: every enum, each value documented once."""

from suptree.api.words import Word


class Strategy(Word):
    """Which children are restarted together."""

    ONE_FOR_ONE = "OneForOne", "only the child that failed."
    ONE_FOR_ALL = "OneForAll", "all children."
    REST_FOR_ONE = "RestForOne", "the child that failed and all that come after it in the list."


class Ordering(Word):
    """Whether the order of the children matters in a restart."""

    ORDERED = (
        "Ordered",
        "stop in reverse order, each child gone before the next is stopped; start in order, each Ready before the next.",
    )
    PARALLEL = "Parallel", "replace all pods of the restarted children at once."


class AutoShutdown(Word):
    """Whether the end of significant children ends the tree."""

    NEVER = "Never", "the tree does not end by itself; no child may be significant."
    ANY_SIGNIFICANT = "AnySignificant", "the end of any significant child ends the tree."
    ALL_SIGNIFICANT = "AllSignificant", "the tree ends when all significant children have ended."


class OnExhausted(Word):
    """What a tree does that has spent its budget and has no parent."""

    PARK = "Park", "leave every pod as it is, stop acting and say so."
    HOLD = "Hold", "stop all children, keep them from starting and say so."


class Mode(Word):
    """Whether the tree acts."""

    ENFORCE = "Enforce", "decide, record and act."
    OBSERVE = "Observe", "decide and record, but touch no pod."


class RestartType(Word):
    """Which exits of a child cause a restart."""

    PERMANENT = "Permanent", "every exit."
    TRANSIENT = "Transient", "only an abnormal exit, such as a crash; not a normal end nor a disruption."
    TEMPORARY = "Temporary", "none; it is not started again when its group restarts, either."


class Replacement(Word):
    """How the pods of a child are replaced in a restart."""

    ALL_AT_ONCE = "AllAtOnce", "stop all pods, then start all."
    ONE_BY_ONE = "OneByOne", "the next pod only when the last is Ready, for systems that need a quorum."


class AfterCompletion(Word):
    """What a restart of the group does to a child that has ended normally."""

    KEEP = "Keep", "its work is done; it is not run again."
    RERUN = "Rerun", "it is run again, as in OTP."


class FailureAction(Word):
    """What an exit does that a rule of failurePolicy matches."""

    RESTART = "Restart", "restart the group and count it."
    RESTART_UNCOUNTED = "RestartUncounted", "restart the group without spending budget or backoff."
    IGNORE = "Ignore", "it is no failure; nothing is restarted."
    EXHAUST = "Exhaust", "a restart cannot help; the tree is exhausted at once."


class ExitCodeOperator(Word):
    """How an exit code is compared."""

    IN = "In", "the exit code is one of the values."
    NOT_IN = "NotIn", "the exit code is not 0 and none of the values."


class LabelOperator(Word):
    """How a label is compared."""

    IN = "In", "the label has one of the values."
    NOT_IN = "NotIn", "the label is absent or has none of the values."
    EXISTS = "Exists", "the label is there, whatever its value."
    DOES_NOT_EXIST = "DoesNotExist", "the label is not there."


class ConditionStatus(Word):
    """The status of a condition."""

    TRUE = "True", "it holds."
    FALSE = "False", "it does not hold."
    UNKNOWN = "Unknown", "it is not known whether it holds."
