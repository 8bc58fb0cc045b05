"""The cross-validation table of docs/difficulty.md: every policy model, every block, both models.

python benchmarks/difficulty/blocks.py --data ../shared/data
"""

from __future__ import annotations

import argparse
from pathlib import Path

from labelled_data import POLICIES, labelled, use_prompts

from difficulty import FitOptions
from difficulty.training import cross_validated

BLOCKS = (("text",), ("ngrams",), ("text", "ngrams"), ("samples",), ("text", "samples"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    use_prompts(given.data)
    print("| data set | policy | problems | blocks | network | logistic | best constant |", "|---" * 7 + "|", sep="\n")
    for dataset, policies in POLICIES.items():
        for policy in policies:
            data = labelled(given.data, dataset, (policy,))
            for blocks in BLOCKS:
                cells = []
                for kind in ("network", "logistic"):
                    found = cross_validated(data, blocks=blocks, options=FitOptions(model=kind))
                    cells.append(f"{found.spearman:+.3f} / {found.brier:.4f}")
                row = (dataset, policy, str(found.rows), ", ".join(blocks), *cells, f"{found.brier_of_mean:.4f}")
                print("|", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    main()
