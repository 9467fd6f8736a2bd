"""A cluster that is not wanted any more leaves nothing, whatever ended it; one that is wanted costs nothing to ask for."""

import ipaddress
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from e2e.cluster import (
    BUSYBOX,
    FAKE_LABEL,
    FAKE_TAINT,
    QUIET,
    REAL_LABEL,
    Cluster,
    ClusterError,
    build,
    down,
    pins,
    state,
)
from e2e.lib import audit
from e2e.lib.target import Target

NAME = f"selftest-{os.getpid()}"
OWN = f"own-{os.getpid()}"
REPOSITORY = pathlib.Path(__file__).parents[3]


def _cli(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "e2e.cluster", *arguments, "--name", NAME]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=1800)


def _remains(name: str = NAME) -> dict[str, list[str]]:
    folder = str(state.folder(name))
    processes = []
    for cmdline in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = cmdline.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/" in words or words.rstrip().endswith(folder):
            processes.append(words)
    mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if folder in line]
    return {"processes": processes, "mounts": mounts}


def _pod_interfaces(cluster: Cluster) -> list[str]:
    """Give the routes to a cluster's pods, one an interface; other clusters of this machine have other subnets."""
    subnet = ipaddress.IPv4Network(cluster.spec.pod_subnet)
    return [str(route) for route in state.routes() if route.subnet_of(subnet)]


def _kubectl(cluster: Cluster, *arguments: str, given: str = "", here: str = "default") -> str:
    command = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), "--namespace", here, *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=120).stdout


def _pod(name: str, command: list[str]) -> str:
    limits = {"limits": {"memory": "32Mi"}}
    container = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": command, "resources": limits}
    spec = {"nodeSelector": REAL_LABEL, "restartPolicy": "Never", "containers": [container]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def _until(good: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """End the cluster after the test, and check that nothing of it is there."""
    yield
    down(NAME)
    assert _remains() == {"processes": [], "mounts": []}
    assert not state.folder(NAME).exists()


@pytest.fixture(scope="module")
def owned() -> Iterator[list[Cluster]]:
    """Keep the cluster of these tests' own, once there is one, and end it."""
    found: list[Cluster] = []
    yield found
    for cluster in found:
        cluster.close()
    assert _remains(OWN) == {"processes": [], "mounts": []}


@pytest.fixture
def cluster(owned: list[Cluster]) -> Cluster:
    """Give a cluster that no other test needs, and that the tests before have not killed."""
    if owned and state.keeper(state.folder(OWN)) is None:
        owned.pop().close()
    if not owned:
        owned.append(Cluster.start(OWN, fake_nodes=1))
    return owned[0]


@pytest.fixture
def shared(target: Target) -> Iterator[tuple[Cluster, str]]:
    """Give the cluster that all tests share, and a namespace of it."""
    if target.cluster is None:
        pytest.skip("it is about the local cluster: use CLUSTER=local")
    with target.namespace() as here:
        account = f"/api/v1/namespaces/{here.namespace}/serviceaccounts"
        _until(lambda: here.api.objects(account)[0])
        yield target.cluster, here.namespace


@pytest.mark.usefixtures("nothing_left")
def test_up_twice_is_one_cluster_and_down_leaves_nothing() -> None:
    """The second `up` finds the same processes, and `down` leaves none of them."""
    first = _cli("up", "--fake-nodes", "1")
    assert first.returncode == 0, first.stderr
    pid = Cluster.attach(NAME).pid
    second = _cli("up", "--fake-nodes", "1")
    assert (second.stdout, Cluster.attach(NAME).pid) == (first.stdout, pid)
    assert _cli("up", "--fake-nodes", "2").stderr.endswith("end it first, with `down`\n")
    status = _cli("status")
    assert (status.returncode, "kube-apiserver" in status.stdout) == (0, True), status.stdout
    assert _cli("kubeconfig").stdout.strip() == str(Cluster.attach(NAME).kubeconfig)
    assert _cli("down").returncode == 0
    assert _remains() == {"processes": [], "mounts": []}
    with pytest.raises(ClusterError, match="start it with"):
        Cluster.attach(NAME)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
def test_a_cluster_in_the_foreground_ends_with_its_starter(number: signal.Signals) -> None:
    """Nothing of a cluster outlives the program that started it for itself, not even its state folder."""
    background = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]  # how a shell starts one: with SIGINT ignored
    command = [sys.executable, "-m", "e2e.cluster", "up", "--foreground", "--name", NAME, "--fake-nodes", "1"]
    with subprocess.Popen(
        [*background, *command], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as starter:
        try:
            assert starter.stdout
            assert select.select([starter.stdout], [], [], 1800)[0]  # building what is not built may take that long
            assert starter.stdout.readline().startswith(b"export KUBECONFIG=")
            starter.send_signal(number)
            starter.wait(30)
        finally:
            starter.kill()  # or a failed test would wait for it for ever
    _until(lambda: _remains() == {"processes": [], "mounts": []} and not state.folder(NAME).exists(), 20)


def test_a_component_that_ends_is_started_again(cluster: Cluster) -> None:
    """A test that kills the API server gets it back on the same port."""
    before = cluster.components()["kube-apiserver"]
    before.send(signal.SIGKILL)
    assert before.wait(5)
    _until(lambda: "kube-apiserver" in cluster.components())
    _until(
        lambda: (
            subprocess.run(
                [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "get", "--raw", "/readyz"],
                capture_output=True,
                check=False,
            ).returncode
            == 0
        )
    )


def test_pods_run_on_fake_nodes(shared: tuple[Cluster, str]) -> None:
    """A Deployment for the fake nodes is Ready in seconds, and its container has an identity as a real one has."""
    cluster, here = shared
    spec = {
        "nodeSelector": FAKE_LABEL,
        "tolerations": [{"key": FAKE_TAINT["key"], "operator": "Exists"}],
        "containers": [{"name": "main", "image": "none"}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
    _kubectl(cluster, "create", "-f", "-", given=json.dumps(pod), here=here)
    _kubectl(cluster, "wait", "--for=condition=Ready", "pod/one", "--timeout=30s", here=here)
    status = json.loads(_kubectl(cluster, "get", "pod", "one", "-o", "json", here=here))
    assert status["status"]["containerStatuses"][0]["containerID"] == f"fake://{status['metadata']['uid']}/main"
    written = audit.entries(cluster.audit_log, here)
    mine = [one for one in written if one["user"]["username"] == "admin" and one["objectRef"].get("resource") == "pods"]
    assert [one["verb"] for one in mine] == ["create"]


def test_kwok_touches_no_pod_that_is_not_its_business(shared: tuple[Cluster, str]) -> None:
    """A late write of kwok's does not hit the next pod of the same name."""
    cluster, here = shared
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "next"}}
    nowhere = {"nodeSelector": {"no": "such"}, "containers": [{"name": "main", "image": "none"}]}
    _kubectl(cluster, "create", "-f", "-", given=json.dumps({**pod, "spec": nowhere}), here=here)
    for verb, words in (("delete", "this pod is not being deleted"), ("patch", "this pod has no node yet")):
        change = ["--subresource=status", "--patch", '{"status": {"phase": "Running"}}'] if verb == "patch" else []
        command = [str(cluster.kubectl), "--kubeconfig", str(cluster.spec.user("kwok")), "--namespace", here]
        refused = subprocess.run([*command, verb, "pod", "next", *change], capture_output=True, text=True, check=False)
        assert words in refused.stderr


@pytest.mark.usefixtures("nothing_left")
def test_a_component_that_does_not_start_is_named_with_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person reads which component failed and its last words, and where the rest is."""
    programs = build.programs(pins.load().default_kubernetes, QUIET, real_node=False)
    talker = state.root() / f"{NAME}-kwok"
    talker.write_text("#!/bin/sh\necho no such luck\nexit 7\n")
    talker.chmod(0o755)
    monkeypatch.setattr(build, "programs", lambda *_args, **_options: {**programs, "kwok": talker})
    with pytest.raises(ClusterError, match=r"kwok ended with exit code 7\n.*kwok\.log:\n  no such luck"):
        Cluster.start(NAME, real_node=False)
    talker.unlink()
    assert _remains() == {"processes": [], "mounts": []}


def test_containers_run_on_the_real_node(shared: tuple[Cluster, str]) -> None:
    """Containers run, print and are entered; the kernel kills a child that takes too much, and the shell ends well."""
    cluster, here = shared
    if not cluster.real_node:
        pytest.skip(cluster.real_node_reason)
    for name, command in {
        "quiet": ["sh", "-c", "echo hello; exec polite"],
        "oom": ["child-oom"],
        "bad": ["exit-with", "3"],
    }.items():
        _kubectl(cluster, "create", "-f", "-", given=_pod(name, command), here=here)
    _kubectl(cluster, "wait", "--for=condition=Ready", "pod/quiet", "--timeout=60s", here=here)
    assert _kubectl(cluster, "logs", "quiet", here=here) == "hello\n"
    assert _kubectl(cluster, "exec", "quiet", "--", "cat", "/etc/hostname", here=here) == "quiet\n"

    def ended(name: str) -> dict[str, object]:
        statuses = json.loads(_kubectl(cluster, "get", "pod", name, "-o", "json", here=here))["status"].get(
            "containerStatuses"
        )
        terminated: dict[str, object] = statuses[0]["state"].get("terminated", {}) if statuses else {}
        return terminated

    _until(lambda: ended("oom") and ended("bad"))
    assert (ended("oom")["reason"], ended("oom")["exitCode"]) == ("OOMKilled", 0)
    assert ended("bad")["exitCode"] == 3


def test_two_clusters_run_side_by_side(cluster: Cluster, shared: tuple[Cluster, str]) -> None:
    """A second cluster has ports, addresses and containers of its own."""
    first, here = shared
    assert set(vars(cluster.spec.ports).values()).isdisjoint(vars(first.spec.ports).values())
    if cluster.real_node:
        for one, namespace in ((cluster, "default"), (first, here)):
            _kubectl(one, "create", "-f", "-", given=_pod("same", ["polite"]), here=namespace)
        for one, namespace in ((cluster, "default"), (first, here)):
            _kubectl(one, "wait", "--for=condition=Ready", "pod/same", "--timeout=60s", here=namespace)
    assert len(cluster.components()) == len(first.components()) == (7 if cluster.real_node else 5)


def test_a_killed_keeper_takes_everything_along(cluster: Cluster) -> None:
    """Whoever kills the keeper has killed the cluster, containers too."""
    if cluster.real_node:
        _kubectl(cluster, "create", "-f", "-", given=_pod("sleeper", ["deaf"]))
        _kubectl(cluster, "wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")
        assert _pod_interfaces(cluster)
    os.kill(cluster.pid, signal.SIGKILL)
    _until(lambda: _remains(OWN) == {"processes": [], "mounts": []} and not _pod_interfaces(cluster), 10)
