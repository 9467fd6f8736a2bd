"""The words of the status: what ended a child, what a child or a restart is doing, how a restart ended."""

from suptree.api.words import Word


class Cause(Word):
    """What ended a child."""

    CRASH = "Crash", "a container ended with an exit code other than 0, or from a signal."
    OOM_KILLED = "OOMKilled", "a container ran out of memory, whatever its exit code."
    COMPLETED = "Completed", "a container ended with exit code 0 and no other evidence; a normal end."
    START_FAILED = "StartFailed", "it was not Ready within startTimeoutSeconds."
    ZOMBIE = "Zombie", "it ran, but was Not Ready for notReadySeconds after it had been Ready."
    JOB_FAILED = "JobFailed", "the Job failed."
    JOB_COMPLETE = "JobComplete", "the Job is complete; a normal end."
    DISRUPTED = "Disrupted", "its pods were evicted, preempted, or stopped with their node."
    LOST = "Lost", "its node is gone or was restarted, so nobody knows how it ended."
    DELETED = "Deleted", "its pods were deleted and its controller is short of pods because of it."
    EXHAUSTED = "Exhausted", "it is a tree and gave up."


class State(Word):
    """What a child is doing."""

    UP = "Up", "all its pods have been Ready since its start and it is not down."
    STARTING = "Starting", "its pods are starting and not all of them have been Ready yet."
    STOPPING = "Stopping", "its pods are being stopped."
    HELD = "Held", "its pods are kept from starting until it is their turn."
    DOWN = "Down", "none of its pods is Ready and not being deleted."
    CANNOT_START = (
        "CannotStart",
        "something that a restart cannot help keeps it from starting, such as a missing image.",
    )
    COMPLETED = "Completed", "it ended normally and is not run again."
    SUSPENDED = "Suspended", "its owner has suspended it or scaled it to zero."
    MISSING = "Missing", "its target does not exist, or Suptree cannot read which pods it has."


class Stage(Word):
    """How far a restart is."""

    WAITING = "Waiting", "it backs off until nextAttemptTime, or waits for its turn among the restarts of the cluster."
    STOPPING = "Stopping", "children are being stopped, the last one first."
    STARTING = "Starting", "children are being started, the first one first."


class Outcome(Word):
    """How a restart ended."""

    IN_PROGRESS = "InProgress", "it has not ended."
    RESTARTED = "Restarted", "all its children came up again."
    SUPERSEDED = "Superseded", "another failure, a change of the spec or a reset took its place."
    EXHAUSTED = "Exhausted", "it was refused or given up because the tree is exhausted."
    OBSERVED = "Observed", "spec.mode is Observe: it was decided and recorded, and nothing was touched."


class ExhaustedReason(Word):
    """Which limit a tree reached."""

    BUDGET_EXHAUSTED = "BudgetExhausted", "more than intensity restarts within periodSeconds."
    DISRUPTION_STORM = "DisruptionStorm", "too many uncounted restarts within periodSeconds, such as an eviction loop."
    FAILURE_POLICY = "FailurePolicy", "a rule of a child's failurePolicy with the action Exhaust matched."
    AUTO_SHUTDOWN = "AutoShutdown", "significant children ended, so the tree ended."
    STARTUP_FAILED = "StartupFailed", "a child failed while the tree itself was being started by its parent."
