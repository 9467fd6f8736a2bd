"""From the JSON schema that pydantic writes to the structural schema that a CustomResourceDefinition takes.

A structural schema has no references, no null and no additionalProperties beside properties: what is optional is simply
not required, and what is unknown is pruned.
"""

from typing import Any

from suptree.api.model import ApiModel
from suptree.api.words import MEANINGS

Schema = dict[str, Any]

_CHECKS = ("maximum", "minimum", "maxLength", "minLength", "maxItems", "minItems", "maxProperties", "pattern")
_KEPT = ("description", "type", "format", "enum", *_CHECKS)


def structural(model: type[ApiModel], *, lenient: bool = False) -> Schema:
    """Return the structural schema of a model.

    Args:
        model: the model.
        lenient: leave out defaults, bounds and rules. For the status: a server that refused or completed what the
            operator reports would only stop it from recording its decisions.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _Flattener(schema.pop("$defs", {}), lenient=lenient).flat(schema)


class _Flattener:
    """Puts the definitions where they are used."""

    def __init__(self, definitions: Schema, *, lenient: bool) -> None:
        self._definitions = definitions
        self._lenient = lenient

    def flat(self, schema: Schema) -> Schema:
        schema = self._resolved(schema)
        flat = {key: schema[key] for key in schema if self._is_kept(key)}
        if schema.get("default") is not None and not self._lenient:
            flat["default"] = schema["default"]
        if MEANINGS in schema:
            flat["description"] = f"{schema['description']}\n\n{schema[MEANINGS]}"
        if "x-kubernetes-int-or-string" in schema:
            return {**flat, "anyOf": schema["anyOf"]}
        if flat["type"] == "integer":
            flat.setdefault("format", "int64")
        return {**flat, **self._inside(schema)}

    def _is_kept(self, key: str) -> bool:
        if self._lenient and (key in _CHECKS or key == "x-kubernetes-validations"):
            return False
        return key in _KEPT or key.startswith("x-kubernetes-")

    def _resolved(self, schema: Schema) -> Schema:
        """Follow a reference and drop the alternative null; what stands beside them wins over what they bring."""
        if "$ref" in schema:
            referred = self._definitions[schema["$ref"].rsplit("/", 1)[-1]]
            return self._resolved({**referred, **{key: schema[key] for key in schema if key != "$ref"}})
        some = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
        if len(some) == 1:
            return self._resolved({**some[0], **{key: schema[key] for key in schema if key != "anyOf"}})
        return schema

    def _inside(self, schema: Schema) -> Schema:
        if schema["type"] == "array":
            return {"items": self.flat(schema["items"])}
        if schema["type"] != "object":
            return {}
        if "properties" not in schema:
            return {"additionalProperties": self.flat(_value_schema(schema))}
        inside: Schema = {"properties": {name: self.flat(one) for name, one in schema["properties"].items()}}
        if schema.get("required"):
            inside["required"] = sorted(schema["required"])
        return inside


def _value_schema(schema: Schema) -> Schema:
    """Return the schema of a map's values; a CRD has no schema for keys, so a rule of the model checks them."""
    patterns: Schema = schema.get("patternProperties", {})
    value: Schema = next(iter(patterns.values())) if patterns else schema["additionalProperties"]
    return value
