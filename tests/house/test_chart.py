"""The chart, as far as it can be judged without Helm: what it copies, describes and allows."""

import collections.abc
import json
import re
from pathlib import Path
from typing import Any

import pytest

import suptree
from suptree.api.reasons import HOLD_GATE, TREE_LABEL
from suptree.app.options import parser
from suptree.cluster.client import POLICY_NAME
from suptree.cluster.labels import INDEX_LABEL, INDEX_NAME
from suptree.cluster.manifest import CHILD_LABEL
from suptree.cluster.views import OPERATION_LABEL
from tests import yamls
from tests.chart.values import README, commented, readme

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "suptree"
TEMPLATES = {file.name: file.read_text() for file in sorted((CHART / "templates").iterdir())}
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
VALUES_TEXT = (CHART / "values.yaml").read_text()
VALUES: Json = yamls.load(VALUES_TEXT)

_HELM = re.compile(r"\{\{.*?\}\}")
WITH_RULES = ("_helpers.tpl", "rbac.yaml", "leader-election.yaml")
_RULE = re.compile(r"^- apiGroups: .*\n(?:  .*\n)+", re.MULTILINE)


def rules(*templates: str, without: re.Pattern[str] | None = None) -> list[Json]:
    """Give the rules of these templates, without those in the parts that are left out."""
    parts = (without.sub("", TEMPLATES[name]) if without else TEMPLATES[name] for name in templates)
    texts = (_HELM.sub("NAME", text) for part in parts for text in _RULE.findall(part))
    return [rule for text in texts for rule in yamls.load(text)]


RULES = rules(*WITH_RULES)
HOOK_RULES = rules("uninstall-hook.yaml")
_ONLY_WITH_RECREATE = re.compile(r"\{\{- if \.Values\.recreate\.enabled \}\}.*?\{\{- end \}\}", re.DOTALL)
ALWAYS = rules(*WITH_RULES, without=_ONLY_WITH_RECREATE)
"""The rules of a chart whose recreate.enabled is not set."""


def test_the_crd_is_current() -> None:
    """Helm installs the CRD of this version; if not, copy crds/ to charts/suptree/files/supervisiontrees.crd.yaml."""
    copy = (CHART / "files" / "supervisiontrees.crd.yaml").read_text()
    assert copy == (ROOT / "crds" / "suptree.dev_supervisiontrees.yaml").read_text()
    assert copy.count("\nmetadata:\n") == 1, "templates/crd.yaml puts labels and annotations there"


def test_the_versions_are_the_operators() -> None:
    """A chart installs the operator of its own version."""
    chart = yamls.load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == suptree.__version__


def described(schema: Json, path: str = "") -> collections.abc.Iterator[tuple[str, str]]:
    """Walk all values that the schema knows, each with its description."""
    for name, one in schema["properties"].items():
        yield f"{path}.{name}", one["description"]
        if "properties" in one:
            assert one["additionalProperties"] is False
            yield from described(one, f"{path}.{name}")


DESCRIPTIONS = dict(described(SCHEMA))
LEAVES = {path for path in DESCRIPTIONS if not any(other.startswith(f"{path}.") for other in DESCRIPTIONS)}
COMMENTS = dict(commented(VALUES_TEXT))


@pytest.mark.parametrize("path", DESCRIPTIONS)
def test_every_value_is_described_and_has_a_default(path: str) -> None:
    """What values.yaml says about a value and what the schema says is the same sentence."""
    assert COMMENTS[path] == DESCRIPTIONS[path]
    assert DESCRIPTIONS[path].endswith(".")
    value: Any = VALUES
    for name in path.removeprefix(".").split("."):
        value = value[name]
    assert value is not None


def test_no_other_value_is_there() -> None:
    """A value that is not in the schema would be refused, and one that is not in values.yaml has no default."""
    assert COMMENTS.keys() == DESCRIPTIONS.keys()
    assert set(VALUES) == set(SCHEMA["properties"])
    assert SCHEMA["additionalProperties"] is False


def test_the_readme_lists_every_value() -> None:
    """The chart's README says of each value what values.yaml says; if not: `make chart-docs`."""
    assert README.read_text() == readme(README.read_text(), VALUES_TEXT)
    assert all(f"| `{path[1:]}` |" in README.read_text() for path in DESCRIPTIONS if path in LEAVES)


def test_every_value_is_used() -> None:
    """A value that can be set does something, except for what belongs to parent charts."""
    text = "".join(TEMPLATES.values()).replace("{{- with .Values.image -}}", "")
    unused = {path for path in LEAVES if f".Values{path}" not in text} - {".global"}
    assert unused == {f".image.{name}" for name in ("repository", "tag", "digest")}, "those are read inside a `with`"


def test_the_defaults_are_the_operators() -> None:
    """Installed by the chart or started by hand, the operator restarts as many trees at once."""
    assert VALUES["maxSimultaneousRestarts"] == parser().parse_args(["--all-namespaces"]).max_simultaneous_restarts


@pytest.mark.parametrize("text", ["-1", "many", "1.5"])
def test_a_wrong_number_of_restarts_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Who mistypes the number is told what to give."""
    with pytest.raises(SystemExit):
        parser().parse_args(["--all-namespaces", "--max-simultaneous-restarts", text])
    assert "give 0 for any number, or more" in capsys.readouterr().err


def test_the_rules_are_found() -> None:
    """These tests see every rule of the chart."""
    assert len([*RULES, *HOOK_RULES]) == "".join(TEMPLATES.values()).count("verbs:") > len(HOOK_RULES) > 0


@pytest.mark.parametrize("rule", [*RULES, *HOOK_RULES], ids=lambda rule: " ".join([*rule["resources"], *rule["verbs"]]))
def test_no_right_is_wider_than_needed(rule: Json) -> None:
    """Nothing is granted by wildcard, no Secret can be read, and no right lets the operator grant more rights."""
    words = {word for key in ("apiGroups", "resources", "verbs") for word in rule[key]}
    assert not words & {"*", "secrets", "escalate", "bind", "impersonate", "pods/exec", "serviceaccounts/token"}
    assert "rbac.authorization.k8s.io" not in rule["apiGroups"]


def test_the_operator_creates_no_pods() -> None:
    """The operator may delete pods and lift gates; making pods is their controllers' business, unless recreate.enabled is set."""
    verbs = {verb for rule in ALWAYS if "pods" in rule["resources"] for verb in rule["verbs"]}
    assert verbs == {"list", "watch", "patch", "delete"}


def test_recreate_gives_these_rights_and_no_others() -> None:
    """With recreate.enabled the operator may create Pods and Jobs, delete Jobs, and keep ControllerRevisions; no more."""
    more = {(resource, *rule["verbs"]) for rule in RULES if rule not in ALWAYS for resource in rule["resources"]}
    assert more == {
        ("pods", "get", "create"),
        ("jobs", "get", "list", "watch", "create", "delete"),
        ("controllerrevisions", "list", "create", "delete"),
    }
    assert VALUES["recreate"]["enabled"] is False
    assert parser().parse_args(["--all-namespaces"]).recreate is False


def test_workloads_are_only_read() -> None:
    """The operator cannot change a Deployment, StatefulSet, DaemonSet or ReplicaSet."""
    verbs = {verb for rule in ALWAYS if "apps" in rule["apiGroups"] for verb in rule["verbs"]}
    assert verbs == {"get", "list", "watch"}


def test_only_its_own_config_maps_can_be_changed() -> None:
    """Of all ConfigMaps the operator reads, changes and deletes only the index."""
    rules = [rule for rule in RULES if "configmaps" in rule["resources"]]
    assert {verb for rule in rules if "resourceNames" not in rule for verb in rule["verbs"]} == {"create"}
    assert [rule["resourceNames"] for rule in rules if "resourceNames" in rule] == [[INDEX_NAME]]


def test_on_the_way_out_nothing_can_be_created() -> None:
    """The job that runs before an uninstallation lifts gates and deletes what is Suptree's, by name, and nothing else."""
    verbs = {verb for rule in HOOK_RULES for verb in rule["verbs"]}
    assert verbs == {"get", "list", "patch", "delete"}
    assert [rule["resources"] for rule in HOOK_RULES if "patch" in rule["verbs"]] == [["pods"]]
    assert all("resourceNames" in rule for rule in HOOK_RULES if {"get", "delete"} & set(rule["verbs"]))


def test_the_policy_uses_the_operators_names() -> None:
    """The policy finds the operator's index, sets the gate that it lifts, and has the name that it looks for."""
    policy = TEMPLATES["gate-policy.yaml"]
    assert policy.count(f"  name: {POLICY_NAME}\n") == 2
    assert f"schedulingGates{{name: '{HOLD_GATE}'}}" in policy
    assert f"labels: {{'{TREE_LABEL}': " in policy
    assert f'      matchLabels:\n        {INDEX_LABEL}: "true"\n' in policy
    assert [POLICY_NAME] in [rule.get("resourceNames") for rule in RULES]


def test_the_confinement_uses_the_operators_names() -> None:
    """What the policy leaves to the operator is what the operator writes."""
    policy = TEMPLATES["confine-policy.yaml"]
    assert policy.count(f"it == '{HOLD_GATE}'") == 1
    assert policy.count(f"['{TREE_LABEL}', '{OPERATION_LABEL}']") == 1
    assert f"object.metadata.name == '{INDEX_NAME}'" in policy
    assert f"'{CHILD_LABEL}' in it.metadata.labels" in policy
