"""The CustomResourceDefinition: current, complete, and such that an API server takes it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from suptree.api import SupervisionTree, SupervisionTreeSpec, SupervisionTreeStatus
from suptree.api.crd import as_yaml, custom_resource_definition
from tests import yamls
from tests.api.refusals import Json, child, tree

CRD = custom_resource_definition()
(VERSION,) = CRD["spec"]["versions"]
SCHEMA: Json = VERSION["schema"]["openAPIV3Schema"]
SPEC: Json = SCHEMA["properties"]["spec"]
STATUS: Json = SCHEMA["properties"]["status"]


def fields(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Walk all fields, items and values below a schema."""
    below = {f"{path}.{name}": one for name, one in schema.get("properties", {}).items()}
    below |= {f"{path}[]": schema[key] for key in ("items", "additionalProperties") if key in schema}
    for name, one in below.items():
        yield name, one
        yield from fields(one, name)


EVERY = dict(fields(SCHEMA))
OF_SPEC = {path: schema for path, schema in EVERY.items() if path.startswith(".spec")}
OF_STATUS = {path: schema for path, schema in EVERY.items() if path.startswith(".status")}


def test_the_file_is_current() -> None:
    """The CRD that is installed is the one that the models describe; if not, run `python -m suptree.api.crd`."""
    installed = Path(__file__).parents[2] / "crds" / "suptree.dev_supervisiontrees.yaml"
    assert installed.read_text() == as_yaml()
    assert yamls.load(as_yaml()) == CRD


@pytest.mark.parametrize("path", [path for path in EVERY if not path.endswith("[]") and path != ".metadata"])
def test_every_field_has_a_description(path: str) -> None:
    """`kubectl explain` has a plain sentence for every field."""
    description = EVERY[path]["description"]
    assert description[0].isupper() or path in {".apiVersion", ".kind"}
    assert description.endswith(".")


@pytest.mark.parametrize("path", [path for path, schema in EVERY.items() if "enum" in schema])
def test_every_choice_is_explained(path: str) -> None:
    """`kubectl explain` says what each value of a choice means."""
    assert all(f"\n - {value}: " in EVERY[path]["description"] for value in EVERY[path]["enum"])


@pytest.mark.parametrize("path", [path for path, schema in OF_SPEC.items() if schema.get("default") is not None])
def test_every_default_is_said(path: str) -> None:
    """`kubectl explain` says what a field is when it is not set."""
    if OF_SPEC[path]["type" if "type" in OF_SPEC[path] else "default"] == "object":
        return  # its fields say theirs
    default = OF_SPEC[path]["default"]
    said = str(default).lower() if isinstance(default, bool) else str(default)
    assert f"Default: {said}." in OF_SPEC[path]["description"]


@pytest.mark.parametrize("schema", EVERY.values(), ids=EVERY.keys())
def test_the_schema_is_structural(schema: Json) -> None:
    """The API server takes the schema: no reference, no null, no additional properties beside properties."""
    assert not schema.keys() & {"$ref", "$defs", "title", "oneOf", "allOf", "x-meanings", "exclusiveMaximum"}
    assert "properties" not in schema or "additionalProperties" not in schema
    assert schema.get("x-kubernetes-int-or-string") or isinstance(schema["type"], str)
    assert "default" not in schema or schema["default"] is not None


@pytest.mark.parametrize("schema", OF_SPEC.values(), ids=OF_SPEC.keys())
def test_everything_in_the_spec_has_a_bound(schema: Json) -> None:
    """The API server can tell what the rules cost at most, so it takes them."""
    kind = schema.get("type")
    if kind == "array":
        assert "maxItems" in schema
        assert "x-kubernetes-list-type" in schema
    if kind == "string":
        assert "maxLength" in schema or "enum" in schema
    if kind == "object" and "additionalProperties" in schema:
        assert "maxProperties" in schema
    if kind == "integer":
        assert {"minimum", "maximum"} <= schema.keys()


@pytest.mark.parametrize("schema", OF_STATUS.values(), ids=OF_STATUS.keys())
def test_the_status_is_neither_bounded_nor_completed(schema: Json) -> None:
    """Nothing that the operator reports is refused for its size, or changed by the server."""
    assert not schema.keys() & {"default", "maxItems", "maxLength", "pattern", "x-kubernetes-validations"}


def test_the_server_fills_in_the_defaults_of_the_models() -> None:
    """`kubectl get -o yaml` shows the very defaults that the operator works with."""
    filled = SupervisionTreeSpec.model_validate(tree(child())["spec"]).to_json()
    (filled_child,) = filled.pop("children")
    (given_child,) = tree(child())["spec"]["children"]
    assert {name: one["default"] for name, one in SPEC["properties"].items() if "default" in one} == filled
    in_children = SPEC["properties"]["children"]["items"]["properties"]
    defaults = {name: one["default"] for name, one in in_children.items() if "default" in one}
    assert {**given_child, **defaults} == filled_child


def test_lists_merge_by_their_keys() -> None:
    """Two tools can each own a child or a condition under server-side apply."""
    keys = {
        path: schema["x-kubernetes-list-map-keys"]
        for path, schema in EVERY.items()
        if "items" in schema
        if schema["x-kubernetes-list-type"] == "map"
    }
    assert keys == {".spec.children": ["name"], ".status.conditions": ["type"]}


def test_the_models_are_whole_in_the_schema() -> None:
    """The API server prunes no field that the operator writes."""
    assert SPEC["properties"].keys() == {one.alias for one in SupervisionTreeSpec.model_fields.values()}
    assert STATUS["properties"].keys() == {one.alias for one in SupervisionTreeStatus.model_fields.values()}
    assert SCHEMA["properties"].keys() == {one.alias for one in SupervisionTree.model_fields.values()}


def test_the_columns_are_those_of_the_contract() -> None:
    """`kubectl get suptree` shows the columns that the documentation promises, and the reason with -o wide."""
    columns = VERSION["additionalPrinterColumns"]
    assert [one["name"] for one in columns if not one.get("priority")] == [
        "Ready",
        "Strategy",
        "Children",
        "Restarts",
        "Budget",
        "Age",
    ]
    assert [one["name"] for one in columns if one.get("priority")] == ["Reason"]
    for column in columns:
        path = column["jsonPath"].replace('[?(@.type=="Ready")]', "[]")
        assert path in EVERY or path == ".metadata.creationTimestamp"
