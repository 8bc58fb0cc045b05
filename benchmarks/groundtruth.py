"""Our ground truth beside EvalPlus's: do the verdicts agree, and how long does each take?

    python benchmarks/groundtruth.py parity --data ../shared/data [--markdown docs/parity.md]
    python benchmarks/groundtruth.py speed --data ../shared/data [--samples 20] [--json F]

``parity`` grades every sample of the folder by ``coderm_tasks.groundtruth`` and compares with the labels there, which
``evalplus.evaluate`` 0.3.1 gave. ``speed`` runs the real ``evalplus.evaluate`` and the real ``coderm evaluate`` on the
first samples of each problem, one after the other on the same cores, both without a cache.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from meter import Cost, measure
from msgspec import Struct
from real_data import use_datasets
from rich.console import Console

from executor import open_executor

SETS = (
    ("humaneval", "codegen-16b"),
    ("humaneval", "codex-davinci"),
    ("humaneval", "gpt-3.5-turbo-1106"),
    ("mbpp", "gpt-mixed"),
)
BIN = Path(sys.executable).parent
SHOWN_TO_SOLUTIONS = {"numpy"}
"""Packages beside the standard library that the sandbox shows."""


class Difference(Struct, frozen=True):
    """A sample on which ours and the label differ."""

    task_id: str
    index: int
    label: str
    ours: str
    reason: str
    cause: str


class Parity(Struct, frozen=True):
    """Of one file of samples."""

    name: str
    samples: int
    seconds: float
    differences: tuple[Difference, ...]


def records(path: Path) -> list[dict[str, str]]:
    """Read gzip JSONL."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def parity_of(data: Path, dataset: str, policy: str, cache: Path | None) -> Parity:
    """Grade all samples of one file as EvalPlus 0.3.1 would, its bugs included, and compare."""
    from coderm_tasks.datasets import load_problems
    from coderm_tasks.files import read_samples
    from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS, label_samples

    problems = load_problems(f"{dataset}_plus")
    path = data / dataset / "solutions" / f"{policy}.jsonl.gz"
    samples = read_samples(path, {problem.task_id: problem for problem in problems})
    found = []

    def work() -> None:
        with open_executor(limits=GROUND_TRUTH_LIMITS, cache=cache) as executor:
            found.extend(label_samples(executor, problems, samples, evalplus_bug_compat=True).records)

    cost = measure(work)
    labels = records(data / dataset / "labels" / f"{policy}.jsonl.gz")
    differences = []
    for ours, label in zip(found, labels, strict=True):
        mine, theirs = f"{ours.base}/{ours.plus}", f"{label['base']}/{label['plus']}"
        if mine != theirs:
            code = samples.codes(ours.task_id)[ours.index]
            differences.append(
                Difference(ours.task_id, ours.index, theirs, mine, ours.reason, cause_of(code, ours.reason, mine))
            )
    return Parity(f"{dataset} {policy}", len(found), cost.seconds, tuple(differences))


def cause_of(code: str, reason: str, ours: str) -> str:
    """What can be told of the cause from the sample and our reason."""
    missing = sorted(missing_packages(code))
    if missing and "raised" in reason:
        return f"imports {', '.join(missing)}, which the labelling machine had and the sandbox does not show"
    if "timed out" in reason:
        return "slow: over our limit of CPU time, under EvalPlus's of wall time"
    if ours == "pass/pass":
        return "slow: within our limit of CPU time, over EvalPlus's of wall time on the labelling machine, presumably"
    return "not known"


def missing_packages(code: str) -> Iterator[str]:
    """Top-level packages that the code imports and the sandbox does not have."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        names = (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        )  # fmt: skip
        for name in {name.split(".")[0] for name in names}:
            if name not in sys.stdlib_module_names | SHOWN_TO_SOLUTIONS:
                yield name if importlib.util.find_spec(name) is None else f"{name} (installed here)"


def parity_page(rows: list[Parity]) -> str:
    """The table and the list as a page of its own."""
    lines = [
        "# Ground truth beside EvalPlus's",
        "",
        "Made by `python benchmarks/groundtruth.py parity --data ../shared/data`: every sample graded in our sandbox",
        "with `--evalplus-bug-compat`, compared with the label that `evalplus.evaluate` 0.3.1 gave it (`base/plus`).",
        "",
        "| samples of | samples | disagreements | agreement |",
        "|---|---:|---:|---:|",
    ]
    for row in rows:
        share = 1 - len(row.differences) / row.samples
        lines.append(f"| {row.name} | {row.samples:,} | {len(row.differences)} | {share:.3%} |")
    lines += [
        "",
        "## Every disagreement",
        "",
        "| sample | label | ours | our reason | cause |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        for one in row.differences:
            reason = one.reason.replace("|", "\\|") or "-"
            lines.append(
                f"| {row.name} {one.task_id} #{one.index} | {one.label} | {one.ours} | {reason} | {one.cause} |"
            )
    return "\n".join(lines) + "\n"


class Speed(Struct, frozen=True):
    """Of one program on the same samples."""

    program: str
    samples: int
    cost: Cost

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.samples / self.cost.seconds


def speed_of(data: Path, policy: str, per_problem: int) -> list[Speed]:
    """EvalPlus needs every problem of its data set in the samples, so it is given a set of those that have any."""
    chosen: dict[str, list[dict[str, str]]] = {}
    for record in records(data / "humaneval" / "solutions" / f"{policy}.jsonl.gz"):
        kept = chosen.setdefault(record["task_id"], [])
        if len(kept) < per_problem:
            kept.append(record)
    cores = str(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        problems = records(data / "evalplus" / "HumanEvalPlus.jsonl.gz")
        write(folder / "problems.jsonl", [one for one in problems if one["task_id"] in chosen])
        write(folder / "samples.jsonl", [one for kept in chosen.values() for one in kept])
        count = sum(map(len, chosen.values()))
        environment = {**os.environ, "HUMANEVAL_OVERRIDE_PATH": str(folder / "problems.jsonl")}
        theirs = [
            BIN / "evalplus.evaluate",
            "--dataset",
            "humaneval",
            "--samples",
            "samples.jsonl",
            "--parallel",
            cores,
        ]
        ours = [BIN / "coderm", "evaluate", "--dataset", "humaneval", "--samples", "samples.jsonl", "--no-cache"]
        ours += ["--workers", cores, "--output", "labels.jsonl"]
        # Once beforehand, so that EvalPlus has its cached outputs of the references; ours computes them in the run.
        write(folder / "warm.jsonl", [kept[0] for kept in chosen.values()])
        warm = ["warm.jsonl" if word == "samples.jsonl" else word for word in theirs]
        subprocess.run(warm, cwd=folder, env=environment, capture_output=True, check=True)
        rows = []
        for program, argv in (("evalplus.evaluate 0.3.1", theirs), ("coderm evaluate", ours)):
            cost = measure(
                lambda argv=argv: subprocess.run(argv, cwd=folder, env=environment, capture_output=True, check=True)
            )
            rows.append(Speed(program, count, cost))
            Console(stderr=True).print(f"{program}: {count:,} samples in {cost.seconds:.1f} s, {rows[-1].rate:.1f}/s")
        return rows


def write(path: Path, lines: list[dict[str, str]]) -> None:
    """Write JSONL."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("parity", "speed"))
    parser.add_argument("--data", type=Path, required=True, help="a folder laid out as ../shared/data")
    parser.add_argument("--policy", default="codegen-16b", help="speed: whose samples")
    parser.add_argument("--samples", type=int, default=20, help="speed: samples a problem")
    parser.add_argument("--cache", type=Path, help="parity: folder of a cache, to go on where a run was interrupted")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with use_datasets(arguments.data):
        if arguments.what == "speed":
            rows = speed_of(arguments.data.resolve(), arguments.policy, arguments.samples)
            ratio = rows[1].rate / rows[0].rate
            Console().print(f"coderm evaluate is {ratio:.1f} times as fast ({len(os.sched_getaffinity(0))} cores)")
            result = msgspec.json.encode(rows)
        else:
            found = [parity_of(arguments.data, *one, arguments.cache) for one in SETS]
            page = parity_page(found)
            Console().print(page)
            if arguments.markdown:
                arguments.markdown.write_text(page, encoding="utf-8")
            result = msgspec.json.encode(found)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
