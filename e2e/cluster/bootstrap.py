"""The order in which a cluster comes up, and how each step is known to be done."""

import http.client
import json
import ssl
import subprocess
import typing

from e2e.cluster import components, node, pki
from e2e.cluster.spec import HOST, Spec

if typing.TYPE_CHECKING:
    from e2e.cluster.keeper import Keeper

_LAST_LINES = 15


def tail(spec: Spec, component: str) -> str:
    """Give the last lines of a component's log."""
    log = spec.logs / f"{component}.log"
    lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log.exists() else []
    return "\n".join([f"The last lines of {log}:", *(f"  {line}" for line in lines)])


class Api:
    """Just enough of a client to ask whether things are there."""

    def __init__(self, spec: Spec) -> None:
        self._port = spec.ports.api
        self._context = ssl.create_default_context(cafile=spec.pki / "ca.crt")
        self._context.load_cert_chain(spec.pki / "admin.crt", spec.pki / "admin.key")

    def get(self, path: str) -> tuple[int, bytes]:
        """Give the status and the body; status 0 when there is no answer."""
        connection = http.client.HTTPSConnection(HOST, self._port, timeout=5, context=self._context)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def ok(self, path: str) -> bool:
        """Whether that path answers well."""
        return self.get(path)[0] == http.HTTPStatus.OK

    def nodes_in_service(self, selector: str, count: int) -> bool:
        """Whether at least so many nodes with that label are in service."""
        status, body = self.get(f"/api/v1/nodes?labelSelector={selector}")
        return status == http.HTTPStatus.OK and sum(map(is_in_service, json.loads(body)["items"])) >= count


def is_in_service(node: dict[str, typing.Any]) -> bool:
    """Whether a node is Ready and Kubernetes keeps no pods off it: a new one is not-ready by a taint for a moment longer."""
    ready = any((it["type"], it["status"]) == ("Ready", "True") for it in node["status"].get("conditions", ()))
    return ready and all(it["key"] == components.FAKE_TAINT["key"] for it in node["spec"].get("taints", ()))


def _apply_first_objects(spec: Spec) -> None:
    file = components.first_objects(spec)
    command = [str(spec.programs["kubectl"]), "--kubeconfig", str(spec.kubeconfig), "create", "-f", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the first objects could not be created: {done.stderr.strip()}")


def run(keeper: "Keeper") -> None:
    """Bring the cluster up, step by step."""
    spec = keeper.spec
    pki.make(spec)
    if spec.real_node:
        node.prepare(spec)
    keeper.start(components.etcd(spec))
    keeper.start(components.api_server(spec))
    if spec.real_node:
        keeper.start(node.containerd(spec))
        keeper.start(node.logind(spec))
    api = Api(spec)
    keeper.wait("API server is ready", lambda: api.ok("/readyz"), 120, "kube-apiserver")
    keeper.start(components.controller_manager(spec))
    keeper.start(components.scheduler(spec))
    _apply_first_objects(spec)
    keeper.start(components.kwok(spec))
    if spec.real_node:
        node.import_images(keeper)
        node.wait_for_logind(keeper)
        keeper.start(node.kubelet(spec))
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    keeper.wait("controllers work", lambda: api.ok(account), 60, "kube-controller-manager")
    fake = f"{spec.fake_nodes} fake nodes are in service"
    keeper.wait(fake, lambda: api.nodes_in_service("suptree.dev/node%3Dfake", spec.fake_nodes), 60, "kwok")
    if spec.real_node:
        keeper.wait(
            "the real node is in service", lambda: api.nodes_in_service("suptree.dev/node%3Dreal", 1), 90, "kubelet"
        )
