"""What a cluster is made of, decided before anything starts, and where each of its files is.

The process that starts a cluster, the keeper that runs it and every later command read the same `cluster.json`.
"""

import dataclasses
import ipaddress
import json
import pathlib
import typing

REAL_NODE = "real"
HOST = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Ports:
    """One free port for each thing that listens; all on loopback."""

    etcd: int
    etcd_peer: int
    api: int
    controllers: int
    scheduler: int
    kubelet: int


@dataclasses.dataclass(frozen=True)
class Spec:
    """One cluster."""

    name: str
    folder: pathlib.Path
    kubernetes: str
    version: str
    fake_nodes: int
    real_node: bool
    real_node_reason: str  # why there is no real node; empty when there is one
    ports: Ports
    pod_subnet: str
    programs: dict[str, pathlib.Path]
    isolated: bool = True  # its keeper is the first process of namespaces of its own

    @property
    def components(self) -> tuple[str, ...]:
        """The programs that run, in the order in which they are shown."""
        always = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
        return (*always, "containerd", "kubelet") if self.real_node else always

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://{HOST}:{self.ports.api}"

    @property
    def gateway(self) -> str:
        """The address that the real node has towards each of its pods."""
        return str(ipaddress.IPv4Network(self.pod_subnet)[1])

    @property
    def logs(self) -> pathlib.Path:
        """The folder with one log a component."""
        return self.folder / "logs"

    @property
    def pki(self) -> pathlib.Path:
        """The folder with certificates and keys."""
        return self.folder / "pki"

    @property
    def audit_log(self) -> pathlib.Path:
        """The API server's audit log, JSON lines."""
        return self.logs / "audit.jsonl"

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def containerd_state(self) -> pathlib.Path:
        """Where containerd has a folder for each container that runs."""
        return self.folder / "containerd-state"

    @property
    def shutdown(self) -> pathlib.Path:
        """The file that shuts the real node down, gracefully, while it is there (see `e2e/cluster/logind.py`)."""
        return self.folder / "shutdown"

    def user(self, name: str) -> pathlib.Path:
        """Give the kubeconfig of a component's user."""
        return self.pki / f"{name}.kubeconfig"

    def save(self) -> None:
        """Write cluster.json."""
        data = dataclasses.asdict(self)
        (self.folder / "cluster.json").write_text(json.dumps(data, default=str, indent=2))

    @classmethod
    def load(cls, folder: pathlib.Path) -> typing.Self:
        """Read cluster.json."""
        data = json.loads((folder / "cluster.json").read_text())
        data["folder"] = pathlib.Path(data["folder"])
        data["ports"] = Ports(**data["ports"])
        data["programs"] = {name: pathlib.Path(path) for name, path in data["programs"].items()}
        return cls(**data)
