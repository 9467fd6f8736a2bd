"""pins.toml is the one place for versions, so go.mod must not say anything else."""

import contextlib
import pathlib
import tomllib

import pytest

from e2e.cluster import cache, pins
from e2e.cluster.report import QUIET


def test_go_mod_agrees_with_the_pins() -> None:
    """A person who reads pins.toml knows what is built."""
    assert pins.disagreements(pins.load()) == []


def test_a_go_mod_of_another_version_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Someone who changes a version in one file only is told where the other says something else."""
    family = pins.load().families["etcd"]
    (tmp_path / "etcd").mkdir()
    for file in ("go.mod", "go.sum"):
        text = (family.folder / file).read_text().replace(family.version, "v3.0.0")
        (tmp_path / "etcd" / file).write_text(text)
    monkeypatch.setattr(pins, "GO", tmp_path)
    alone = pins.Pins("1.37", "1.26.0", "1.26.0", {"etcd": family})
    assert pins.disagreements(alone) == ["etcd: go.mod requires v3.0.0, pins.toml v3.7.3"]


def test_every_family_is_pinned_exactly() -> None:
    """A build today and a build next year are of the same sources."""
    data = tomllib.loads((pins.HERE / "pins.toml").read_text())
    assert all(family["version"].startswith("v") for family in data["families"].values())
    assert len({family.key() for family in pins.load().families.values()}) == len(data["families"])


def test_a_build_that_fails_leaves_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed build the next one starts from nothing instead of using half a result."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    target = cache.root() / "thing"
    with contextlib.suppress(OSError), cache.lock("thing", QUIET), cache.made_whole(target) as fresh:
        (fresh / "half").touch()
        raise OSError("disk full")
    assert list(cache.root().iterdir()) == []
