"""What the image is made of: every dependency is pinned by hash, listed in the SBOM, and audited honestly."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.supply.audit import CLEAN, ROOT, UNKNOWN, VULNERABLE, verdict

Json = dict[str, Any]

_PINNED = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def locked() -> dict[tuple[str, str], set[str]]:
    """Return what requirements.lock pins: (name, version) -> hashes."""
    entries = (ROOT / "requirements.lock").read_text().replace("\\\n", " ").splitlines()
    pinned = {line: _PINNED.match(line) for line in entries if line.strip()}
    assert None not in pinned.values(), "a line of requirements.lock pins nothing"
    return {(found[1], found[2]): set(_HASH.findall(line)) for line, found in pinned.items() if found}


def test_every_dependency_is_pinned_by_hash() -> None:
    """Nothing can be installed into the image that is not, byte for byte, what was locked."""
    assert [name for (name, _), hashes in locked().items() if not hashes] == []
    assert "--require-hashes" in (ROOT / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make the SBOM as a user does."""
    file: Path = tmp_path_factory.mktemp("sbom") / "suptree.cdx.json"
    subprocess.run(["make", "--silent", "sbom", f"SBOM={file}"], cwd=ROOT, check=True)
    return file.read_text()


def test_the_sbom_is_valid(sbom: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SBOM meets CycloneDX's own schema, strictly."""
    # Without the grammar of IRIs, which takes longer to load than all the rest: the form of URLs is not checked.
    monkeypatch.setitem(sys.modules, "rfc3987_syntax", None)
    # Here, because it takes long to import, which is not for every worker that runs tests.
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom)
    assert error is None, error


def test_the_sbom_is_complete(sbom: str) -> None:
    """The SBOM is about suptree, and lists each locked package with its version and all its hashes, and no other."""
    bom: Json = json.loads(sbom)
    assert (bom["metadata"]["component"]["name"], bom["metadata"]["component"]["type"]) == ("suptree", "application")
    listed = {
        (it["name"], it["version"]): {
            found["content"] for ref in it["externalReferences"] for found in ref.get("hashes", ())
        }
        for it in bom["components"]
    }
    assert listed == locked()


KNOWN: Json = {"name": "kopf", "version": "1.0", "vulns": []}
BAD: Json = {**KNOWN, "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}
UNHEARD_OF: Json = {"name": "kopf", "skip_reason": "not found"}
VERDICTS = {
    "all known, nothing found": ({"dependencies": [KNOWN]}, CLEAN, "no known vulnerability in 1 packages"),
    "one is vulnerable": ({"dependencies": [KNOWN, BAD]}, VULNERABLE, "kopf 1.0: CVE-1, fixed in 1.1"),
    "vulnerable beside one that is not known": ({"dependencies": [UNHEARD_OF, BAD]}, VULNERABLE, "CVE-1"),
    "one is not known": ({"dependencies": [KNOWN, UNHEARD_OF]}, UNKNOWN, "knows nothing of 1 of 2 packages: kopf"),
    "an empty answer": ({"dependencies": []}, UNKNOWN, "knows nothing of 0 of 0"),
    "no answer": (None, UNKNOWN, "cannot be asked from here: no route"),
}


@pytest.mark.parametrize(("report", "code", "words"), VERDICTS.values(), ids=VERDICTS.keys())
def test_an_audit_passes_only_when_every_package_was_known(report: Json | None, code: int, words: str) -> None:
    """`make audit` ends well only when a database knew every package; it says what was found, or that nobody could tell."""
    found, lines = verdict("pypi", report, "no route")
    assert found == code
    assert words in "\n".join(lines)
