"""When the watches count as dead, and what the path of a request says."""

import pytest

from suptree.app import watches
from suptree.app.paths import About, about
from suptree.app.watches import Watches


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the time, as `time.monotonic`."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the watches read."""
    it = Clock()
    monkeypatch.setattr(watches, "time", it)
    return it


def test_a_watch_that_is_silent_for_too_long_is_named(clock: Clock) -> None:
    """After 90 s without a word on one watch `/healthz` names its resource, and only that, until something comes."""
    it = Watches(["pods", "deployments"], ["a", "b"], 70)
    clock.now += 89
    for key in (("pods", "a"), ("deployments", "a"), ("deployments", "b")):
        it.heard(key)
    assert it.dead() == ""
    clock.now += 2
    assert it.dead() == "nothing heard of pods for 91 s (limit 90 s): the API server cannot be reached"
    assert it.ages() == {"pods": 91.0, "deployments": 2.0}
    it.heard(("pods", "b"))
    assert it.dead() == ""


def test_what_is_not_watched_does_not_count(clock: Clock) -> None:
    """A list of something else keeps no watch alive."""
    it = Watches(["pods"], [], 70)
    clock.now += 100
    it.heard(("leases", ""))
    assert it.ages() == {"pods": 100.0}


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/pods", {"watch": "true"}, About("watch", "pods", "")),
        ("GET", "/api/v1/namespaces/shop/pods", {}, About("list", "pods", "shop")),
        ("GET", "/apis/apps/v1/namespaces/shop/deployments/web", {}, About("get", "deployments", "shop")),
        ("GET", "/apis/apps/v1/namespaces/shop/deployments/web/scale", {}, About("get", "deployments/scale", "shop")),
        (
            "PUT",
            "/apis/suptree.dev/v1alpha1/namespaces/shop/supervisiontrees/it/status",
            {},
            About("update", "supervisiontrees/status", "shop"),
        ),
        ("POST", "/apis/events.k8s.io/v1/namespaces/shop/events", {}, About("create", "events", "shop")),
        ("DELETE", "/api/v1/namespaces/shop/pods/db-0", {}, About("delete", "pods", "shop")),
        ("PATCH", "/api/v1/namespaces/shop/configmaps/suptree-index", {}, About("patch", "configmaps", "shop")),
        ("GET", "/api/v1/namespaces/shop", {}, About("get", "namespaces", "")),
        ("GET", "/apis/apps/v1", {}, About("list", "discovery", "")),
        ("GET", "/api", {}, About("list", "discovery", "")),
    ],
)
def test_what_a_request_is_about(method: str, path: str, query: dict[str, str], expected: About) -> None:
    """Metrics name a request by verb, resource and subresource, and never by the object's name."""
    assert about(method, path, query) == expected
