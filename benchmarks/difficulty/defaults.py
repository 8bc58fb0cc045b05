"""Train the classifiers that ship in difficulty/data (``make default-classifier``).

    python benchmarks/difficulty/defaults.py --data ../shared/data [--matrices out/matrices] [--output FOLDER]
                                             [--date 2025-01-31]

The classifier for a benchmark learns from the other benchmark alone; its card gives the figures on the benchmark that
it is for.
"""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np
from labelled_data import ORIGINS, POLICIES, PROMPTS, joined, labelled, use_prompts, with_curves

import difficulty
from difficulty import DifficultyModel, TrainingSet
from difficulty.prediction import default_name
from difficulty.scores import score

LEARNS_FROM = {"humaneval": ("mbpp",), "mbpp": ("humaneval",), "other": ("humaneval", "mbpp")}


def data_lines(datasets: tuple[str, ...], parts: dict[str, TrainingSet]) -> list[str]:
    """One line per source of the card."""
    lines = []
    for dataset in datasets:
        count = len(set(parts[dataset].groups))
        lines.append(f"prompts: {PROMPTS[dataset]}; {count} problems")
        lines += [f"pass rates: {name} on {dataset}, {ORIGINS[name]}" for name in POLICIES[dataset]]
    lines.append(
        "gain curves and belief: those samples on the unit tests of all sources beside them (see docs/difficulty.md)"
    )
    lines.append("labels: EvalPlus 0.3.1, base and extra tests; HumanEval/32 left out (its checker fails everyone)")
    return lines


def transfer_lines(model: DifficultyModel, data: Path, target: str) -> list[str]:
    """Figures on the benchmark the classifier is for, by policy."""
    lines = []
    for policy in POLICIES.get(target, ()):
        held = labelled(data, target, (policy,))
        rates = np.array([prediction.pass_rate for prediction in difficulty.predict(model, held.problems)])
        found = score(rates, held.rates)
        lines.append(
            f"on {target}, {policy}, {found.rows} problems never seen: Spearman {found.spearman:.3f}, "
            f"Brier {found.brier:.4f} (best constant {found.brier_of_mean:.4f})"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--matrices", type=Path, default=Path("out/matrices"), help="from matrices.py")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[2] / "difficulty" / "data")
    parser.add_argument("--date", default=datetime.now(timezone.utc).date().isoformat())
    given = parser.parse_args()
    use_prompts(given.data)
    parts = {dataset: with_curves(given.data, dataset, names, given.matrices) for dataset, names in POLICIES.items()}
    given.output.mkdir(parents=True, exist_ok=True)
    for target, datasets in LEARNS_FROM.items():
        for blocks in (("text",), ("samples",)):
            model = difficulty.train(
                joined([parts[dataset] for dataset in datasets]),
                blocks=blocks,
                title=f"Default difficulty classifier: {blocks[0]} features, for {target} tasks",
                sources=data_lines(datasets, parts),
                made=given.date,
                licence="weights Apache-2.0; trained on the data below under their own licences",
            )
            metrics = (*model.card.metrics, *transfer_lines(model, given.data, target))
            model = msgspec.structs.replace(model, card=msgspec.structs.replace(model.card, metrics=metrics))
            path = given.output / default_name(target, samples=blocks == ("samples",))
            difficulty.save(model, path)
            print(f"{path.name}: {path.stat().st_size:,} bytes", *metrics, sep="\n  ")


if __name__ == "__main__":
    main()
