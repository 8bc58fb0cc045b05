"""Record the pass matrices that gain curves, the belief and the budget study learn from.

    python benchmarks/difficulty/matrices.py --data ../shared/data --output out/matrices

Writes POLICY.jsonl per policy model: its samples on the unit tests of every source, in the order of the sources' names.
A file that is there already is kept. Verdicts are cached, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

from labelled_data import POLICIES, use_prompts


def write_bank(data: Path, dataset: str, path: Path) -> None:
    """Join the unit tests of all sources into one bank."""
    with path.open("wb") as bank:
        for source in sorted((data / dataset / "tests").glob("*.jsonl.gz")):
            bank.write(gzip.decompress(source.read_bytes()))


def record(data: Path, dataset: str, policy: str, bank: Path, matrix: Path, folder: Path) -> None:
    """Run one policy's samples on the bank."""
    subprocess.run(
        [
            sys.executable, "-m", "coderm_tasks", "rerank", "--dataset", dataset, "--tests", bank, "--matrix", matrix,
            "--samples", data / dataset / "solutions" / f"{policy}.jsonl.gz", "--output", folder / f"{policy}.jsonl",
            "--allow-missing",
        ],
        check=True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("out/matrices"))
    given = parser.parse_args()
    use_prompts(given.data)
    given.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for dataset, policies in POLICIES.items():
            bank = Path(name) / f"{dataset}.jsonl"
            write_bank(given.data, dataset, bank)
            for policy in policies:
                matrix = given.output / f"{policy}.jsonl"
                if matrix.exists():
                    print(f"{matrix}: kept")
                    continue
                record(given.data, dataset, policy, bank, matrix, Path(name))
                print(f"{matrix}: written")


if __name__ == "__main__":
    main()
