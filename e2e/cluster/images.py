"""The container images of the real node, made here: no registry is asked, and no image engine is needed.

Both are Debian's static busybox in one layer, with /bin/sh and every applet linked. Name them with
`imagePullPolicy: Never`.

- `suptree.dev/e2e/busybox:1` has no command of its own. Beside the applets it has, each to provoke one thing:
  - `exit-with CODE [SECONDS]`: ends with that exit code, after that many seconds (0).
  - `child-oom [CODE]`: a child process takes memory until the kernel kills it, then the shell itself ends with the
    code (0). Give the container a memory limit: the kubelet reports OOMKilled with that exit code.
  - `deaf [SECONDS]`: runs, and ignores SIGTERM for that many seconds (for ever); SIGKILL ends it.
  - `polite [CODE]`: runs, and ends with that code (0) on SIGTERM.
- `suptree.dev/e2e/pause:1` holds a pod's namespaces; containerd uses it by itself.
"""

import hashlib
import io
import json
import pathlib
import platform
import subprocess
import tarfile

BUSYBOX = "suptree.dev/e2e/busybox:1"
PAUSE = "suptree.dev/e2e/pause:1"
EXAMPLES = "busybox:1.37"
"""The public name under which the same image serves the manifests in examples/."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SCRIPTS = {
    "exit-with": 'sleep "${2:-0}"\nexit "${1:-0}"',
    "child-oom": 'tail /dev/zero &\nwait $!\nexit "${1:-0}"',
    "deaf": 'trap \'\' TERM\nend=$1\nwhile [ -z "$end" ] || [ "$end" -gt 0 ]; do sleep 1; end=${end:+$((end - 1))}; done',
    "polite": "trap 'exit '\"${1:-0}\" TERM\nwhile :; do sleep 3600 & wait; done",
}


def _add(layer: tarfile.TarFile, name: str, data: bytes = b"", *, mode: int = 0o755, **changes: object) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.size = mode, len(data)
    for attribute, value in changes.items():
        setattr(info, attribute, value)
    layer.addfile(info, io.BytesIO(data))


def _layer(busybox: pathlib.Path) -> bytes:
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder, mode in {"bin": 0o755, "etc": 0o755, "root": 0o700, "tmp": 0o1777, "var": 0o755}.items():
            _add(layer, folder, mode=mode, type=tarfile.DIRTYPE)
        _add(layer, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n", mode=0o644)
        _add(layer, "etc/group", b"root:x:0:\nnogroup:x:65534:\n", mode=0o644)
        _add(layer, "bin/busybox", busybox.read_bytes())
        for applet in applets:
            if applet != "busybox":
                _add(layer, f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox")
        for name, script in _SCRIPTS.items():
            _add(layer, f"bin/{name}", f"#!/bin/sh\n{script}\n".encode())
    return buffer.getvalue()


def _config(layer: bytes, command: list[str]) -> bytes:
    environment = ["PATH=/bin", "HOME=/root"]
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Env": environment, "Cmd": command, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    return json.dumps(config).encode()


def archive(busybox: pathlib.Path, target: pathlib.Path) -> None:
    """Write both images as one docker-archive."""
    layer = _layer(busybox)
    configs = {(BUSYBOX, EXAMPLES): _config(layer, ["sh"]), (PAUSE,): _config(layer, ["polite"])}
    entries = []
    with tarfile.open(target, "w") as tar:
        _add(tar, "layer.tar", layer)
        for names, config in configs.items():
            file = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(tar, file, config)
            entries.append({"Config": file, "RepoTags": list(names), "Layers": ["layer.tar"]})
        _add(tar, "manifest.json", json.dumps(entries).encode())
