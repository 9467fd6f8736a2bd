"""The house: what keeps the code base one that a newcomer finds the way in (design section 7)."""

import importlib
import pkgutil
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType

import pytest

import suptree.api
import suptree.core
from e2e.conftest import LONGEST_FIRST
from suptree.api.words import Word

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400

# In parts, so that this file is not the one that is found.
PACKAGE_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("deb", "debian", "org"),
    )
]


def tracked(*patterns: str) -> list[Path]:
    """Return the files that git tracks, and that are there."""
    listed = subprocess.run(["git", "ls-files", *patterns], capture_output=True, text=True, check=True, cwd=ROOT)
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


def test_the_operator_directory_is_no_package() -> None:
    """An operator/__init__.py would shadow the standard library's module of that name."""
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize(
    "where",
    [
        "operator",
        "tests",
        "e2e",
    ],
)
def test_no_file_is_too_long_to_be_read(where: str) -> None:
    """Each module is short enough to be read at a sitting."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / where).rglob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_the_longest_end_to_end_tests_are_there() -> None:
    """Files that are to begin first are named as they are."""
    assert set(LONGEST_FIRST) <= {path.name for path in (ROOT / "e2e").rglob("test_*.py")}


def test_imports_go_down_only() -> None:
    """The layers hold: app and cli know cluster, cluster knows api, api knows core, and core knows nobody."""
    command = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([str(command), "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("host", PACKAGE_HOSTS)
def test_no_package_host_is_written_down(host: str) -> None:
    """Packages come from where the user's tools are configured to look, not from a host that we chose."""
    found = [path.name for path in tracked() if path.name != "go.mod" and host.encode() in path.read_bytes()]
    assert found == []


def modules_of(package: ModuleType) -> list[ModuleType]:
    """Import all modules of a package."""
    return [importlib.import_module(f"{package.__name__}.{it.name}") for it in pkgutil.iter_modules(package.__path__)]


ENUMS = sorted(
    {
        value
        for package in (suptree.core, suptree.api)
        for module in modules_of(package)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Enum) and value.__module__ == module.__name__ and len(value)
    },
    key=lambda enum: f"{enum.__module__}.{enum.__name__}",
)


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: f"{enum.__module__.removeprefix('suptree.')}.{enum.__name__}")
def test_every_word_is_documented(enum: type[Enum]) -> None:
    """Whoever meets a word in a status or in the code finds what it means beside its definition."""
    assert (enum.__doc__ or "").strip().endswith(".")
    for member in enum:
        assert not isinstance(member, Word) or member.meaning.endswith(".")


def test_there_are_words_to_document() -> None:
    """The test above looks at the enums of both layers."""
    assert {"Strategy", "Life", "Reason", "Cause"} <= {enum.__name__ for enum in ENUMS}


def test_kopf_keeps_no_index() -> None:
    """A start in a large cluster takes seconds: kopf's indexes take minutes for 5,000 pods (docs/cases.md, C70)."""
    found = [path.name for path in tracked("operator/**.py") if "kopf.index(" in path.read_text()]
    assert found == []
