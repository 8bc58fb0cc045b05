"""Our ground truth beside EvalPlus's: do the verdicts agree, and how long does each take?

    python benchmarks/groundtruth.py parity --data ../shared/data [--cpu-limit 1 0.36] [--markdown docs/parity.md]
    python benchmarks/groundtruth.py speed --data ../shared/data [--policy NAME] [--samples 20] [--json F]

``parity`` grades every sample of the folder by ``coderm_tasks.groundtruth`` and compares with the labels there, which
``evalplus.evaluate`` 0.3.1 gave. EvalPlus's limits are wall time, so what it says of a slow sample depends on the
machine: each sample on which the two differ is also given to the real ``evalplus.evaluate`` here, once more. With
several limits everything is graded under each.

``speed`` runs the real ``evalplus.evaluate`` and the real ``coderm evaluate`` on the samples of one model (or the
first few of each problem), one after the other on the same cores, both with the outputs of the references cached.
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
EVALPLUS_CPU_S = 1.0
"""What EvalPlus gives an input at least, though of wall time."""
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
    again: str
    """What ``evalplus.evaluate`` says on this machine."""
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


def parity_of(data: Path, dataset: str, policy: str, cache: Path | None, cpu_s: float) -> Parity:
    """Grade all samples of one file as EvalPlus 0.3.1 would, its bugs included, and compare.

    ``cpu_s``: CPU seconds that an input has at least; less than EvalPlus's one second where this machine is faster than
    the one that made the labels.
    """
    from coderm_tasks.datasets import load_problems
    from coderm_tasks.files import read_samples
    from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS, label_samples

    problems = load_problems(f"{dataset}_plus")
    path = data / dataset / "solutions" / f"{policy}.jsonl.gz"
    samples = read_samples(path, {problem.task_id: problem for problem in problems})
    limits = msgspec.structs.replace(GROUND_TRUTH_LIMITS, cpu_s=cpu_s)
    found = []

    def work() -> None:
        with open_executor(limits=limits, cache=cache) as executor:
            found.extend(label_samples(executor, problems, samples, limits=limits, evalplus_bug_compat=True).records)

    cost = measure(work)
    labels = records(data / dataset / "labels" / f"{policy}.jsonl.gz")
    differing = [
        (ours, status(label["base"], label["plus"]))
        for ours, label in zip(found, labels, strict=True)
        if status(ours.base, ours.plus) != status(label["base"], label["plus"])
    ]
    codes = [(ours.task_id, samples.codes(ours.task_id)[ours.index]) for ours, _ in differing]
    again = evalplus_here(data, dataset, codes)
    differences = []
    for (ours, label), (_, code), now in zip(differing, codes, again, strict=True):
        mine = status(ours.base, ours.plus)
        cause = cause_of(code, ours.reason, agrees=now == mine)
        differences.append(Difference(ours.task_id, ours.index, label, mine, ours.reason, now, cause))
    return Parity(f"{dataset} {policy}", len(found), cost.seconds, tuple(differences))


def status(base: str, plus: str) -> str:
    """``pass`` or ``fail`` for the base inputs and for all of them; EvalPlus's ``timeout`` is a failure."""
    return "/".join("pass" if one == "pass" else "fail" for one in (base, plus))


def evalplus_here(data: Path, dataset: str, codes: list[tuple[str, str]]) -> list[str]:
    """Have the real ``evalplus.evaluate`` judge these samples on this machine."""
    if not codes:
        return []
    name, variable = {
        "humaneval": ("HumanEvalPlus", "HUMANEVAL_OVERRIDE_PATH"),
        "mbpp": ("MbppPlus", "MBPP_OVERRIDE_PATH"),
    }[dataset]
    wanted = {task_id for task_id, _ in codes}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        problems = [one for one in records(data / "evalplus" / f"{name}.jsonl.gz") if one["task_id"] in wanted]
        write(folder / "problems.jsonl", problems)
        write(folder / "samples.jsonl", [{"task_id": task_id, "solution": code} for task_id, code in codes])
        argv = [BIN / "evalplus.evaluate", "--dataset", dataset, "--samples", "samples.jsonl", "--parallel", "1"]
        environment = {**os.environ, variable: str(folder / "problems.jsonl")}
        subprocess.run(argv, cwd=folder, env=environment, capture_output=True, check=True)
        results = json.loads((folder / "samples_eval_results.json").read_text(encoding="utf-8"))["eval"]
    found = {task_id: iter(rows) for task_id, rows in results.items()}
    rows = [next(found[task_id]) for task_id, _ in codes]
    return [status(row["base_status"], row["plus_status"]) for row in rows]


def cause_of(code: str, reason: str, *, agrees: bool) -> str:
    """What can be told of the cause."""
    missing = sorted(missing_packages(code))
    if missing and "raised" in reason:
        return f"imports {', '.join(missing)}: there when the labels were made, not in the sandbox"
    if agrees:
        return "the label depends on the machine: EvalPlus's limit is wall time"
    if "timed out" in reason:
        return "slow: over our limit of CPU time, under EvalPlus's of wall time"
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


def parity_page(found: dict[float, list[Parity]]) -> str:
    """The table and the list of each limit as a page of its own."""
    flag = "" if list(found) == [EVALPLUS_CPU_S] else f" --cpu-limit {' '.join(f'{limit:g}' for limit in found)}"
    lines = [
        "# Ground truth beside EvalPlus's",
        "",
        f"Made by `python benchmarks/groundtruth.py parity --data ../shared/data{flag}`: every sample graded in our",
        "sandbox with `--evalplus-bug-compat`, compared with the label that `evalplus.evaluate` 0.3.1 gave it",
        "(`base/plus`).",
        "",
        "`EvalPlus here` is what `evalplus.evaluate` says of such a sample on the machine that made this page:",
        "its limits are wall time, so the labels of slow samples depend on the machine.",
    ]
    for limit, rows in found.items():
        lines += ["", f"## With {limit:g} CPU seconds for an input ({_flag(limit)})", "", *_section(rows)]
    return "\n".join(lines) + "\n"


def _flag(limit: float) -> str:
    return "EvalPlus's own, the default" if limit == EVALPLUS_CPU_S else f"`coderm evaluate --cpu-limit {limit:g}`"


def _section(rows: list[Parity]) -> Iterator[str]:
    yield "| samples of | samples | other than the label | agreement | other than EvalPlus here, too | agreement |"
    yield "|---|---:|---:|---:|---:|---:|"
    yield from (_line(row.name, row.samples, row.differences) for row in rows)
    every = tuple(one for row in rows for one in row.differences)
    yield _line("all", sum(row.samples for row in rows), every)
    yield from ("", "Every disagreement:", "")
    yield from ("| sample | label | ours | our reason | EvalPlus here | cause |", "|---|---|---|---|---|---|")
    for row in rows:
        for one in row.differences:
            reason = one.reason.replace("|", "\\|") or "-"
            sample = f"{row.name} {one.task_id} #{one.index}"
            yield f"| {sample} | {one.label} | {one.ours} | {reason} | {one.again} | {one.cause} |"


def _line(name: str, samples: int, differences: tuple[Difference, ...]) -> str:
    still = sum(one.again != one.ours for one in differences)
    return (
        f"| {name} | {samples:,} | {len(differences)} | {1 - len(differences) / samples:.3%} | {still} "
        f"| {1 - still / samples:.3%} |"
    )


class Speed(Struct, frozen=True):
    """Of one program on the same samples."""

    program: str
    samples: int
    cost: Cost

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.samples / self.cost.seconds


def speed_of(data: Path, policy: str, per_problem: int | None) -> list[Speed]:
    """EvalPlus needs every problem of its data set in the samples, so it is given a set of those that have any.

    Both grade a solution that only passes beforehand: so each has the references' outputs in its cache, and of the
    samples that are timed nothing.
    """
    chosen: dict[str, list[dict[str, str]]] = {}
    for record in records(data / "humaneval" / "solutions" / f"{policy}.jsonl.gz"):
        kept = chosen.setdefault(record["task_id"], [])
        if per_problem is None or len(kept) < per_problem:
            kept.append(record)
    count = sum(map(len, chosen.values()))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        problems = records(data / "evalplus" / "HumanEvalPlus.jsonl.gz")
        write(folder / "problems.jsonl", [one for one in problems if one["task_id"] in chosen])
        write(folder / "samples.jsonl", [one for kept in chosen.values() for one in kept])
        write(folder / "warm.jsonl", [{"task_id": task_id, "solution": "pass"} for task_id in chosen])
        environment = {
            **os.environ,
            "HUMANEVAL_OVERRIDE_PATH": str(folder / "problems.jsonl"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        rows = []
        for program, argv in programs(str(len(os.sched_getaffinity(0)))):

            def run(samples: str, argv: list[str] = argv) -> None:
                command = [*argv, "--samples", samples]
                subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)

            run("warm.jsonl")
            rows.append(Speed(program, count, measure(lambda run=run: run("samples.jsonl"))))
            Console(stderr=True).print(
                f"{program}: {count:,} samples in {rows[-1].cost.seconds:.1f} s, {rows[-1].rate:.1f}/s"
            )
        return rows


def programs(cores: str) -> list[tuple[str, list[str]]]:
    """What is timed, without the samples: a name and the command."""
    theirs = [str(BIN / "evalplus.evaluate"), "--dataset", "humaneval", "--parallel", cores]
    ours = [str(BIN / "coderm"), "evaluate", "--dataset", "humaneval", "--workers", cores, "--output", "labels.jsonl"]
    return [("evalplus.evaluate 0.3.1", theirs), ("coderm evaluate", ours)]


def write(path: Path, lines: list[dict[str, str]]) -> None:
    """Write JSONL."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("parity", "speed"))
    parser.add_argument("--data", type=Path, required=True, help="a folder laid out as ../shared/data")
    parser.add_argument("--policy", default="codegen-16b", help="speed: whose samples")
    parser.add_argument("--samples", type=int, help="speed: samples a problem (all)")
    parser.add_argument(
        "--cpu-limit", type=float, nargs="+", default=[EVALPLUS_CPU_S],
        help="parity: CPU seconds that each input has at least",
    )  # fmt: skip
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
            found = {
                limit: [parity_of(arguments.data, *one, arguments.cache, limit) for one in SETS]
                for limit in arguments.cpu_limit
            }
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
