"""kopf's storages, made to store nothing.

kopf keeps what it last handled in annotations of the objects, to tell changes apart. Suptree has no handlers of changes
and writes nothing on objects that are not its own. kopf prepares for such handlers at every event all the same: by far
the largest part of what an event costs was copying pods (measured: 40 % of the operator's time while 256 pods restart).
"""

import kopf


class NoDiffBase(kopf.DiffBaseStorage):
    """There is no last handled state, and nothing to compare it with."""

    def build(self, **_: object) -> kopf.BodyEssence:
        """Return nothing of the object."""
        return kopf.BodyEssence({})

    def fetch(self, **_: object) -> kopf.BodyEssence | None:
        """Return no last state."""
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """No handler has any progress to keep."""

    def fetch(self, **_: object) -> kopf.ProgressRecord | None:
        """Return no progress."""
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""

    def purge(self, **_: object) -> None:
        """Purge nothing."""

    def touch(self, **_: object) -> None:
        """Touch nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Return the essence as it is: there is nothing of ours in it."""
        return essence
