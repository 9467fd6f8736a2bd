"""The resource ``SupervisionTree``: what a user may write, what the operator reports, and the CRD made from both.

- ``spec`` and ``child``: the pydantic models of the spec, ``choices`` their enums.
- ``status`` and ``outcomes``: the status and its words; ``reasons``: types and reasons of conditions and events.
- ``tree``: the whole resource, and validation errors as sentences.
- ``supported``: what the API offers and the operator does not do yet.
- ``crd``: ``python -m suptree.api.crd`` prints the CustomResourceDefinition.
- ``model`` and ``words``: what the models and the enums have in common.

A rule that the API server can check is written once, beside the model, as CEL and as a predicate with one sentence.
"""

from suptree.api.model import from_time, to_time
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import SupervisionTreeStatus
from suptree.api.tree import API_VERSION, GROUP, KIND, PLURAL, VERSION, SupervisionTree, sentences

__all__ = [
    "API_VERSION",
    "GROUP",
    "KIND",
    "PLURAL",
    "VERSION",
    "SupervisionTree",
    "SupervisionTreeSpec",
    "SupervisionTreeStatus",
    "from_time",
    "sentences",
    "to_time",
]
