"""What the chart renders, to the letter, for many sets of values; and what it says when a value is wrong. No cluster is needed.

`make golden` renders the files of tests/chart/golden again; their difference is what a change of the chart does to users.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import build, pins
from e2e.cluster.report import Report
from tests import yamls

Json = dict[str, Any]

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "suptree"
GOLDEN = ROOT / "tests" / "chart" / "golden"
CRD = (CHART / "files" / "supervisiontrees.crd.yaml").read_text()

NO_CRD: Json = {"crds": {"enabled": False}}
SETS: dict[str, tuple[Json, str]] = {
    "defaults": ({}, "1.37.0"),
    "before-the-gate": ({}, "1.35.0"),
    "one-replica": ({**NO_CRD, "replicas": 1}, "1.37.0"),
    "watched-namespaces": ({**NO_CRD, "watchNamespaces": ["shop", "books"]}, "1.37.0"),
    "scale-kinds": ({**NO_CRD, "scaleKinds": [{"apiGroup": "example.org", "resource": "brokers"}]}, "1.37.0"),
    "recreate": ({**NO_CRD, "recreate": {"enabled": True}}, "1.37.0"),
    "rights-of-ones-own": (
        {
            **NO_CRD,
            "rbac": {"create": False},
            "serviceAccount": {"create": False, "name": "mine"},
            "uninstallHook": {"serviceAccountName": "my-leaving"},
        },
        "1.37.0",
    ),
    "everything-around": (
        {
            **NO_CRD,
            "commonLabels": {"team": "platform", "app.kubernetes.io/part-of": "mine"},
            "metrics": {
                "port": 9100,
                "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
                "prometheusRule": {"enabled": True, "runbooks": "https://example.org/runbooks/"},
            },
            "networkPolicy": {"enabled": True, "apiServerTo": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]},
            "podDisruptionBudget": {"maxUnavailable": "50%"},
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
            ],
        },
        "1.37.0",
    ),
    "as-little-as-possible": (
        {
            **NO_CRD,
            "gate": {"enabled": False},
            "confine": {"enabled": False},
            "rbac": {"create": False},
            "serviceAccount": {"create": False},
            "metrics": {"enabled": False},
            "podDisruptionBudget": {"enabled": False},
        },
        "1.37.0",
    ),
}


@pytest.fixture(scope="module")
def helm() -> Path:
    """The pinned helm."""
    all_pins = pins.load()
    return build.build(all_pins.families["helm"], all_pins, Report())["helm"]


def render(helm: Path, values: Json, version: str = "1.37.0") -> subprocess.CompletedProcess[str]:
    """Render the chart with these values for that version of Kubernetes."""
    command = [str(helm), "template", "suptree", str(CHART), "--namespace", "suptree-system"]
    command += ["--kube-version", version, "--values", "-"]
    return subprocess.run(command, input=json.dumps(values), text=True, check=False, capture_output=True)


@pytest.mark.parametrize(("values", "version"), SETS.values(), ids=SETS.keys())
def test_the_chart_renders_what_it_did(helm: Path, values: Json, version: str, request: pytest.FixtureRequest) -> None:
    """An upgrade of the chart changes only what its golden files show; if this is meant: `make golden`, and look at the difference."""
    done = render(helm, values, version)
    assert done.returncode == 0, done.stderr
    text = _without_the_crd(done.stdout)
    file = GOLDEN / f"{request.node.callspec.id}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def _without_the_crd(text: str) -> str:
    """Leave out the CRD's spec, which is a copy of crds/ and long."""
    before, found, rest = text.partition("\nspec:\n  group: suptree.dev\n")
    if not found:
        return text
    crd, separator, after = rest.partition("\n---\n")
    assert yamls.load(f"spec:\n  group: suptree.dev\n{crd}") == {"spec": yamls.load(CRD)["spec"]}
    return f"{before}\n# spec: that of crds/{separator}{after}"


def test_every_golden_file_is_compared() -> None:
    """No file is left that nobody compares."""
    assert {file.stem for file in GOLDEN.iterdir()} == set(SETS)


def test_the_dashboard_comes_as_it_is(helm: Path) -> None:
    """Grafana's sidecar finds the dashboard by its label, to the letter."""
    text = render(helm, {"metrics": {"dashboard": {"enabled": True}}}).stdout
    (found,) = [it for it in yamls.load_all(text) if it["kind"] == "ConfigMap"]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["suptree.json"]) == json.loads((CHART / "files" / "dashboard.json").read_text())


REFUSED: dict[str, tuple[Json, str]] = {
    "a misspelt value": ({"replica": 3}, "additional properties 'replica' not allowed"),
    "a misspelt value inside": ({"metrics": {"serviceMonitor": {"enable": True}}}, "'enable' not allowed"),
    "too few replicas": ({"replicas": -1}, "at '/replicas': minimum: got -1, want 0"),
    "a word for a number": ({"replicas": "two"}, "at '/replicas': got string, want integer"),
    "not a namespace": ({"watchNamespaces": ["My Shop"]}, "at '/watchNamespaces/0': 'My Shop' does not match pattern"),
    "the same namespace twice": (
        {"watchNamespaces": ["shop", "shop"]},
        "at '/watchNamespaces': items at 0 and 1 are equal",
    ),
    "not a port": ({"metrics": {"port": 70000}}, "at '/metrics/port': maximum: got 70,000, want 65,535"),
    "not an interval": ({"metrics": {"serviceMonitor": {"interval": "often"}}}, "'often' does not match pattern"),
    "not a policy": ({"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy': value must be one of"),
    "not a digest": ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
    "no group": ({"scaleKinds": [{"resource": "brokers"}]}, "missing property 'apiGroup'"),
    "a label that is no text": ({"commonLabels": {"team": 1}}, "at '/commonLabels/team': got number, want string"),
}


@pytest.mark.parametrize(("values", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_value_is_refused_by_name(helm: Path, values: Json, said: str) -> None:
    """Helm says which value is wrong and what it should be, and renders nothing."""
    done = render(helm, values)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


ENDS: dict[str, tuple[Json, str]] = {
    "the job": ({}, "`helm uninstall` first runs the job suptree-uninstall"),
    "no job": ({"uninstallHook": {"enabled": False}}, "since uninstallHook.enabled is false"),
    "no rights": (
        {"rbac": {"create": False}},
        "since rbac.create is false and uninstallHook.serviceAccountName names no",
    ),
    "rights of one's own": (
        {"rbac": {"create": False}, "uninstallHook": {"serviceAccountName": "mine"}},
        "`helm uninstall` first runs the job suptree-uninstall",
    ),
}


@pytest.mark.parametrize(("values", "said"), ENDS.values(), ids=ENDS.keys())
def test_the_notes_say_how_it_ends(helm: Path, values: Json, said: str) -> None:
    """Whoever installs Suptree is told what `helm uninstall` will do, or why it will not."""
    command = [str(helm), "install", "--dry-run=client", "suptree", str(CHART), "--values", "-"]
    done = subprocess.run(command, input=json.dumps(values), text=True, check=True, capture_output=True)
    assert said in done.stdout.split("\nNOTES:\n")[1]
