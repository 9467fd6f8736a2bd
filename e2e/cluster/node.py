"""The real node: containerd and a kubelet that share nothing with the machine's own, or with another cluster's.

The keeper's mount namespace makes that cheap: folders that these programs insist on are covered by private ones, and
the node's name resolves to loopback inside it alone, which is how the API server finds a kubelet that listens there.
Pods get a `ptp` interface pair each, not a bridge: a pair goes with its pod's namespace, a bridge would stay behind.
The plugin would turn on forwarding for the whole machine; it is shown a file instead. So the kubelet reaches pods
(probes) and pods reach the machine, but pods do not reach each other; and there is no kube-proxy and no DNS.
A pod that needs the API server has KUBERNETES_SERVICE_HOST and _PORT set in its environment: to those of an
`e2e.lib.door.Door`, or with `hostNetwork` to the API server's own.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing

import yaml

from e2e.cluster import images
from e2e.cluster.components import Component
from e2e.cluster.pins import HERE
from e2e.cluster.spec import HOST, REAL_NODE, Spec

if typing.TYPE_CHECKING:
    from e2e.cluster.keeper import Keeper

PRIVATE = ("/run/containerd", "/run/netns", "/var/lib/kubelet", "/var/lib/cni")
LABEL = {"suptree.dev/node": "real"}


def _socket(spec: Spec) -> pathlib.Path:
    return spec.folder / "containerd.sock"


def _logind_socket(spec: Spec) -> pathlib.Path:
    return spec.folder / "logind.sock"


def overlay_works(folder: pathlib.Path) -> bool:
    """Whether an overlay may lie on that folder: not on another overlay, which is what is below a container's folders."""
    mounts = (line.split()[1:3] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines())
    over = [(target, kind) for target, kind in mounts if folder.is_relative_to(target)]
    return max(over, key=lambda mount: len(mount[0]))[1] != "overlay"


def _snapshotter(spec: Spec) -> str:
    return "overlayfs" if overlay_works(spec.folder) else "native"


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def _cover(spec: Spec) -> None:
    for folder in map(pathlib.Path, PRIVATE):
        folder.mkdir(parents=True, exist_ok=True)
        _mount("-t", "tmpfs", "tmpfs", folder)
    hosts = spec.folder / "hosts"
    hosts.write_text(f"{HOST} localhost {REAL_NODE}\n::1 localhost\n")
    _mount("--bind", hosts, "/etc/hosts")
    forward = spec.folder / "ip_forward"
    forward.write_text("1")
    _mount("--bind", forward, "/proc/sys/net/ipv4/ip_forward")


def _containerd_config(spec: Spec) -> str:
    def quoted(value: object) -> str:
        return json.dumps(str(value))

    runc = "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc"
    return f"""version = 3
root = {quoted(spec.folder / "containerd")}
state = {quoted(spec.containerd_state)}
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs"]

[grpc]
address = {quoted(_socket(spec))}

[plugins.'io.containerd.cri.v1.images']
snapshotter = {quoted(_snapshotter(spec))}
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = {quoted(images.PAUSE)}

[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
disable_apparmor = true
netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = [{quoted(spec.programs["ptp"].parent)}]
conf_dir = {quoted(spec.folder / "cni")}
[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "runc"
[{runc}]
runtime_type = "io.containerd.runc.v2"
[{runc}.options]
BinaryName = {quoted(spec.programs["runc"])}
Root = {quoted(spec.folder / "runc")}
SystemdCgroup = false

[plugins.'io.containerd.grpc.v1.cri']
stream_server_address = "{HOST}"
stream_server_port = "0"
"""


def _network(spec: Spec) -> str:
    addresses = {
        "type": "host-local",
        "dataDir": str(spec.folder / "cni-addresses"),
        "ranges": [[{"subnet": spec.pod_subnet}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [{"type": "ptp", "ipMasq": False, "ipam": addresses}]
    return json.dumps({"cniVersion": "1.0.0", "name": "suptree", "plugins": plugins})


def _kubelet_config(spec: Spec) -> str:
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": HOST,
        "port": spec.ports.kubelet,
        "healthzPort": 0,
        "tlsCertFile": str(spec.pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(spec.pki / "kubelet-server.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(spec.pki / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{_socket(spec)}",
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {},
        # As with version 1 of cgroups: the kernel kills one process, and the container may live on.
        "singleProcessOOMKill": True,
        "resolvConf": "/dev/null",
        "clusterDNS": [HOST],  # there is none; without a name for it every pod gets a warning Event
        "clusterDomain": "cluster.local",
        "podLogsDir": str(spec.logs / "pods"),
        "volumePluginDir": str(spec.folder / "volume-plugins"),
        "nodeStatusUpdateFrequency": "5s",
        "shutdownGracePeriod": "10s",
        "shutdownGracePeriodCriticalPods": "2s",
    }
    return yaml.safe_dump(config)


def prepare(spec: Spec) -> None:
    """Lay out what containerd and the kubelet read; inside the keeper's mount namespace."""
    _cover(spec)
    (spec.folder / "cni").mkdir()
    (spec.folder / "cni" / "10-suptree.conflist").write_text(_network(spec))
    (spec.folder / "containerd.toml").write_text(_containerd_config(spec))
    (spec.folder / "kubelet.yaml").write_text(_kubelet_config(spec))


def containerd(spec: Spec) -> Component:
    """Run the container runtime, which finds its shim beside itself."""
    program = spec.programs["containerd"]
    path = f"{program.parent}:{os.environ.get('PATH', os.defpath)}"
    return Component("containerd", (str(program), "--config", str(spec.folder / "containerd.toml")), {"PATH": path})


def _ctr(spec: Spec) -> list[str]:
    return [str(spec.programs["ctr"]), "--address", str(_socket(spec)), "--namespace", "k8s.io"]


def import_archive(spec: Spec, archive: pathlib.Path) -> None:
    """Hand the images of a docker-archive to containerd."""
    command = [*_ctr(spec), "images", "import", "--snapshotter", _snapshotter(spec), str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"containerd did not take the images: {done.stderr.strip()}")


def import_images(keeper: "Keeper") -> None:
    """Make the images and hand them to containerd."""
    spec = keeper.spec
    archive = spec.folder / "images.tar"
    busybox = shutil.which("busybox")
    if busybox is None:
        raise RuntimeError("busybox is gone: install the package busybox-static")
    images.archive(pathlib.Path(busybox), archive)

    def answers() -> bool:
        return subprocess.run([*_ctr(spec), "version"], capture_output=True, check=False).returncode == 0

    keeper.wait("containerd is ready", answers, 60, "containerd")
    import_archive(spec, archive)
    archive.unlink()


def logind(spec: Spec) -> Component:
    """Run what tells the kubelet that the node shuts down."""
    program = str(HERE / "logind.py")
    return Component("logind", (sys.executable, program, str(_logind_socket(spec)), str(spec.shutdown)))


def wait_for_logind(keeper: "Keeper") -> None:
    """Wait until a kubelet can ask it, because a kubelet that finds none when it starts never asks again."""
    keeper.wait("logind listens", _logind_socket(keeper.spec).exists, 30, "logind")


def kubelet(spec: Spec) -> Component:
    """Run the kubelet, which registers its node by itself."""
    flags = {
        "config": spec.folder / "kubelet.yaml",
        "kubeconfig": spec.user("kubelet"),
        "root-dir": spec.folder / "kubelet",
        "cert-dir": spec.pki / "kubelet",
        "hostname-override": REAL_NODE,
        "node-labels": ",".join(f"{name}={value}" for name, value in LABEL.items()),
    }
    command = (str(spec.programs["kubelet"]), *(f"--{flag}={value}" for flag, value in flags.items()))
    return Component("kubelet", command, {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={_logind_socket(spec)}"})
