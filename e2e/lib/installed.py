"""The whole chart as `helm install` leaves it, on fake nodes: what the operator's pod and the job's pod would run are processes here.

A process has the arguments and the service account of its pod, and the pod shows what the process does: the operator's
goes when its process has ended, and the job's succeeds or fails as its process does.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster import FAKE_LABEL, FAKE_TAINT
from e2e.lib.kube import Kube, eventually
from e2e.lib.operator import NAMESPACE, RELEASE
from e2e.lib.preloaded import PreloadedOperator
from e2e.lib.target import ROOT, Target
from tests import yamls

Json = dict[str, Any]

CHART = str(ROOT / "charts" / "suptree")
FINALIZER = "e2e.suptree.dev/process"
"""Keeps the pod there for as long as its process runs, as a kubelet would."""
HOOK = f"{RELEASE}-uninstall"


class Installed:
    """A release, its operator, and its end."""

    def __init__(self, target: Target, folder: Path, values: Json | None = None) -> None:
        """Install the chart and start the operator."""
        self.target = target
        self.kube = target.kube.within(NAMESPACE)
        self._folder = folder
        on_fake_nodes = {"nodeSelector": FAKE_LABEL, "tolerations": [{**FAKE_TAINT, "operator": "Exists"}]}
        # The port would be one of this machine.
        self.values: Json = {**on_fake_nodes, "metrics": {"enabled": False}, **(values or {})}
        self.helm("install", RELEASE, CHART, "--create-namespace", "--wait", "--timeout=90s", "--values", "-")
        self.kube.wait_established("supervisiontrees.suptree.dev")
        for pod in self._operators():
            self.kube.patch("pod", pod, {"metadata": {"finalizers": [FINALIZER]}})
        config = self._kubeconfig(RELEASE)
        # A process has no service account's files, in which a pod finds its namespace.
        arguments = [*self._arguments("deployment", RELEASE), "--lease-namespace", NAMESPACE]
        self.operator = PreloadedOperator(self.kube, config, folder / "operator.log", arguments)
        self.operator.start()

    def helm(self, *arguments: str) -> str:
        """Run helm with the release's values."""
        command = [self.target.helm, "--kubeconfig", self.kube.kubeconfig, "--namespace", NAMESPACE, *arguments]
        done = subprocess.run(
            command, input=json.dumps(self.values), text=True, check=False, stdout=-1, stderr=subprocess.STDOUT
        )
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stdout}"
        return done.stdout

    def uninstall(self) -> str:
        """Uninstall the release; give what the job said."""
        ends = threading.Thread(target=self._end_with_its_pod)
        ends.start()
        said: list[str] = []
        job = threading.Thread(target=lambda: said.append(self._run_job()))
        job.start()
        self.helm("uninstall", RELEASE, "--wait", "--timeout=180s")
        job.join()
        ends.join()
        return said[0]

    def uninstall_without_job(self) -> None:
        """Uninstall the release as somebody does who cannot run the job; the operator is not running."""
        for pod in self._operators():
            self.kube.patch("pod", pod, {"metadata": {"finalizers": []}})
        self.helm("uninstall", RELEASE, "--no-hooks", "--wait", "--timeout=90s")

    def close(self) -> None:
        """Take away what a failed test has left."""
        self.operator.stop()
        for pod in self._operators():
            self.kube.patch("pod", pod, {"metadata": {"finalizers": []}})

    def _operators(self) -> list[str]:
        return [it["metadata"]["name"] for it in self.kube.list("pods", "app.kubernetes.io/component=operator")]

    def _end_with_its_pod(self) -> None:
        """Do with the operator's process what a kubelet does when its pod is deleted."""
        pods = "app.kubernetes.io/component=operator"
        eventually(
            lambda: all("deletionTimestamp" in it["metadata"] for it in self.kube.list("pods", pods)),
            "the operator's pod is told to go",
        )
        self.operator.stop()
        for pod in self._operators():
            self.kube.patch("pod", pod, {"metadata": {"finalizers": []}})

    def _run_job(self) -> str:
        """Run what the job's pod would run; give what it said."""
        label = "app.kubernetes.io/component=uninstall"
        (pod,) = eventually(
            lambda: [it for it in self.kube.list("pods", label) if it["status"].get("phase") == "Running"],
            "the job's pod runs",
        )
        (container,) = pod["spec"]["containers"]
        env = {**os.environ, "KUBECONFIG": str(self._kubeconfig(pod["spec"]["serviceAccountName"]))}
        command = [sys.executable, *container["command"][1:], *container["args"]]
        done = subprocess.run(command, text=True, check=False, env=env, cwd=ROOT, stdout=-1, stderr=subprocess.STDOUT)
        self._ended(pod, done.returncode)
        return done.stdout

    def _ended(self, pod: Json, code: int) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        (container,) = pod["status"]["containerStatuses"]
        ended = {"exitCode": code, "startedAt": now, "finishedAt": now}
        status = {**container, "ready": False, "started": False, "state": {"terminated": ended}}
        patch = {"status": {"phase": "Failed" if code else "Succeeded", "containerStatuses": [status]}}
        self.kube.patch("pod", pod["metadata"]["name"], patch, subresource="status", type_="strategic")

    def _arguments(self, kind: str, name: str) -> list[str]:
        (container,) = self.kube.get(kind, name)["spec"]["template"]["spec"]["containers"]
        return [*container["args"]]

    def _kubeconfig(self, account: str) -> Path:
        """Write a kubeconfig with a service account's token."""
        token = self.kube.token(account, hours=1)
        config = yamls.load(Path(self.kube.kubeconfig).read_text())
        config["users"] = [{"name": account, "user": {"token": token}}]
        for context in config["contexts"]:
            context["context"]["user"] = account
        path = self._folder / f"{account}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path


def left_behind(kube: Kube) -> set[tuple[str, str]]:
    """Give what there still is of Suptree in the cluster, by kind and name."""
    namespaced = "deployments,replicasets,pods,jobs,serviceaccounts,roles,rolebindings,configmaps"
    policies = ",".join(f"{it}admissionpolicies,{it}admissionpolicybindings" for it in ("mutating", "validating"))
    wide = f"clusterroles,clusterrolebindings,{policies},crds"
    of_the_chart = ("-l", "app.kubernetes.io/part-of=suptree")
    found = [
        kube.run("get", namespaced, "--all-namespaces", *of_the_chart, "-o", "json"),
        kube.run("get", wide, *of_the_chart, "-o", "json"),
        kube.run("get", "configmaps", "--all-namespaces", "-l", "suptree.dev/index", "-o", "json"),
        kube.run("get", "leases", "--namespace", NAMESPACE, "-o", "json"),
    ]
    items = [it for answer in found for it in json.loads(answer.stdout)["items"]]
    return {(it["kind"], it["metadata"]["name"]) for it in items}
