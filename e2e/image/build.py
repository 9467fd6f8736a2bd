"""buildah, with a storage of its own in the cache: what was built stays there, layer by layer.

The cache's folder is named by all that decides about the base and the dependencies. The image itself is kept beside them
as an archive, named by the operator's code.
"""

import contextlib
import hashlib
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

from e2e.cluster import cache, packages
from e2e.cluster.node import overlay_works
from e2e.cluster.report import Report
from e2e.image import base, wheels

IMAGE = "suptree.dev/e2e/suptree:1"
"""The image's name in the local cluster; use it with `imagePullPolicy: Never`."""

ROOT = pathlib.Path(__file__).resolve().parents[2]
_RUNTIME, _BUILDER, _DEPENDENCIES = "localhost/runtime", "localhost/builder", "localhost/dependencies"
_SLOW = ("Dockerfile", ".dockerignore", "requirements.lock")
_CODE = ROOT / "operator" / "suptree"


def why_not() -> str:
    """Say in one line why the image cannot be built here, before anything is installed; empty when it can."""
    return packages.why_no_image()


def _digest(*parts: bytes | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()[:16]


def _slow_key() -> str:
    return _digest(*base.inputs(), pathlib.Path(__file__).read_text(), *((ROOT / name).read_bytes() for name in _SLOW))


def _code_key() -> str:
    files = sorted(it for it in _CODE.rglob("*") if it.is_file() and "__pycache__" not in it.parts)
    return _digest(*(part for file in files for part in (str(file.relative_to(_CODE)), file.read_bytes())))


class _Buildah:
    """buildah with one storage."""

    def __init__(self, folder: pathlib.Path, run: pathlib.Path) -> None:
        driver = "overlay" if overlay_works(folder) else "vfs"
        self._folder = folder
        self._options = ["--root", f"{folder / 'storage'}", "--runroot", f"{run}", "--storage-driver", driver]

    def __call__(self, *arguments: object) -> str:
        command = ["buildah", *self._options, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout.strip()

    def import_base(self, root: pathlib.Path, name: str) -> None:
        container = self("from", "scratch")
        self("add", "--quiet", container, root, "/")
        self("config", "--env", "PATH=/usr/bin", container)
        self("commit", "--quiet", "--rm", container, name)

    def build(self, *options: object) -> None:
        arguments = {"BASE": _RUNTIME, "BUILDER": _BUILDER, "PIP_NO_INDEX": "1"}
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        wheels_ = ["--build-context", f"wheels={self._folder / 'wheels'}"]
        self("build", "--quiet", "--isolation=chroot", "--layers", "--pull=never", *given, *wheels_, *options, ROOT)


@contextlib.contextmanager
def _buildah(folder: pathlib.Path) -> Iterator[_Buildah]:
    with tempfile.TemporaryDirectory() as run:
        buildah = _Buildah(folder, pathlib.Path(run))
        buildah("rm", "--all")  # what a build that was killed has left
        yield buildah


def _prepare(folder: pathlib.Path, report: Report) -> None:
    """Make the base, fetch the dependencies and build their layer."""
    base.update(report)
    with tempfile.TemporaryDirectory() as temporary, _buildah(folder) as buildah:
        work = pathlib.Path(temporary)
        for name, wanted in ((_RUNTIME, base.RUNTIME), (_BUILDER, base.BUILDER)):
            root = work / name / "root"
            with report.step(f"Making a base image of {', '.join(wanted)} (usually 10 seconds)"):
                base.make(wanted, root, work / name / "packages")
                buildah.import_base(root, name)
        with report.step("Fetching the dependencies of requirements.lock (usually 10 seconds)"):
            wheels.download(ROOT / "requirements.lock", work / _RUNTIME / "root", folder / "wheels")
        with report.step("Building the layer with the dependencies (usually 30 seconds)"):
            buildah.build("--target=dependencies", "--tag", _DEPENDENCIES)


def _build(folder: pathlib.Path, archive: pathlib.Path) -> None:
    for old in folder.glob("suptree-*.tar*"):
        old.unlink()
    with _buildah(folder) as buildah:
        buildah.build("--tag", IMAGE)
        buildah("rmi", "--prune", "--force")  # what the last code's image was made of
        part = archive.with_suffix(".tar.part")
        buildah("push", "--quiet", IMAGE, f"docker-archive:{part}:{IMAGE}")
        part.rename(archive)


def build(report: Report, target: pathlib.Path | None = None) -> None:
    """Build the image, if it is not in the cache yet, and put it as a docker-archive to `target`.

    Only where nothing says `why_not`.

    Raises:
        RuntimeError: It cannot be built; with what the failing program said.
    """
    packages.install(report, packages.IMAGE)
    folder = cache.root() / f"image-{_slow_key()}"
    archive = folder / f"suptree-{_code_key()}.tar"
    with cache.lock("image", report):
        if not folder.is_dir():
            with cache.made_whole(folder) as fresh:
                _prepare(fresh, report)
        if not archive.exists():
            with report.step("Building the image's layer with the operator (usually 5 seconds)"):
                _build(folder, archive)
        if target:
            shutil.copyfile(archive, target)
