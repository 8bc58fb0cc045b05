"""Write docs/results.md from the recorded solutions, tests and labels of a data folder (make results).

python scripts/results.py --data ../shared/data --output docs/results.md

Runs every solution against every test in the sandbox (verdicts and outputs are cached: a second run only computes).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from coderm_tasks.files import read_jsonl
from coderm_tasks.metrics import Interval, mean_interval, paired_difference
from coderm_tasks.places import cache_folder
from coderm_tasks.rerank import StrategyInput, keep_tests
from coderm_tasks.rerank.accord import DEFAULT_WEIGHTS, AccordWeights, components
from coderm_tasks.study import curves
from coderm_tasks.study.draws import draw_tests
from coderm_tasks.study.job import StudyRequest, execute, prepare
from coderm_tasks.study.quality import ReferenceRun, test_quality
from coderm_tasks.study.tuning import GRID, cross_validate
from coderm_tasks.study.wording import interval, points, rate, size_name
from executor import open_executor

SOURCES = ("codegen-16b", "gpt-3.5-turbo-1106", "gpt-4-reflexion", "gpt-4-lats", "gpt-3.5-turbo-lats")
POLICIES = ("codex-davinci", "codegen-16b")
STRATEGIES = (
    "random examples mbr-exec mbr-exec-soft majority srank codet b4 mpsc weighted dawid-skene coderm codet-0.05 accord "
    "oracle"
).split()
SIZES = (5, 10, 20, 50, 100, None)
DRAWS = 10
TABLE_2 = (
    ("CodeRM-8B, paper", (69.64, 63.63, 11.17, 38.55), (80.46, 81.27, 16.48, 22.71)),
    ("Llama3.1-70B, paper", (73.65, 70.15, 11.10, 34.51), (78.30, 78.76, 17.19, 25.97)),
    ("Llama3.1-8B, paper", (60.02, 44.97, 13.66, 46.13), (74.21, 74.35, 20.44, 30.55)),
)
"""CodeRM, Table 2: Acc, F1, FAR, FRR of single tests and of all together, on other policies and tests than here."""


@dataclass(frozen=True)
class Recorded:
    """A policy's samples with all tests, executed."""

    name: str
    problems: list[StrategyInput]
    references: dict[str, ReferenceRun]
    source_of: dict[str, list[set[str]]]
    """By task id, the sources of each test."""
    base: dict[str, np.ndarray]
    """Labels by the original HumanEval tests alone."""
    cells: int

    def from_source(self, source: str) -> list[StrategyInput]:
        return [self._kept(one, source) for one in self.problems]

    def _kept(self, problem: StrategyInput, source: str) -> StrategyInput:
        places = [place for place, names in enumerate(self.source_of.get(problem.task_id, ())) if source in names]
        return keep_tests(problem, np.array(places, dtype=np.intp))

    def references_from(self, source: str) -> dict[str, ReferenceRun]:
        found = {}
        for problem in self.problems:
            run, kept = self.references.get(problem.task_id), self._kept(problem, source)
            if run is not None and problem.behaviours is not None and kept.behaviours is not None:
                places = np.array([source in names for names in self.source_of[problem.task_id]], dtype=np.bool_)
                made = problem.behaviours.of_test[places].any(axis=0)
                found[problem.task_id] = ReferenceRun(run.accepts[places], run.codes[made])
        return found


def load(data: Path, dataset: str, policy: str, sources: Sequence[str], folder: Path) -> Recorded:
    """Merge the sources' tests, equal ones once, execute, and keep which test came from where."""
    folder.mkdir(parents=True, exist_ok=True)
    merged = folder / f"{policy}.tests.jsonl"
    wrote: dict[tuple[str, str], set[str]] = {}
    for source in sources:
        for _, record in read_jsonl(data / dataset / "tests" / f"{source}.jsonl.gz"):
            wrote.setdefault((record["task_id"], record["test"]), set()).add(source)
    source_of: dict[str, list[set[str]]] = {}
    with merged.open("w", encoding="utf-8") as stream:
        for (task_id, test), names in wrote.items():
            stream.write(json.dumps({"task_id": task_id, "test": test}) + "\n")
            source_of.setdefault(task_id, []).append(names)
    labels = data / dataset / "labels" / f"{policy}.jsonl.gz"
    request = StudyRequest(
        dataset=dataset,
        samples=data / dataset / "solutions" / f"{policy}.jsonl.gz",
        tests=merged,
        labels=labels,
        output=folder,
        strategies=("coderm",),
        cache=cache_folder(),
    )
    plan = prepare(request)
    say(f"{policy}: {len(plan.inputs.problems)} problems, {plan.cells:,} cells")
    with open_executor(workers=0, limits=request.limits, cache=request.cache) as executor:
        found = execute(plan, executor)
    base: dict[str, list[bool]] = {}
    for _, record in read_jsonl(labels):
        base.setdefault(record["task_id"], []).append(record["base"] == "pass")
    arrays = {task: np.array(values) for task, values in base.items()}
    return Recorded(policy, list(found.problems), dict(found.references), source_of, arrays, plan.cells)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def by_source(recorded: Recorded) -> str:
    """Every strategy with each source's tests, and with all."""
    columns = {source: recorded.from_source(source) for source in SOURCES} | {"all": recorded.problems}
    counts = [np.mean([one.matrix.letters.shape[1] for one in problems]) for problems in columns.values()]
    rows = [["tests per problem", *(f"{count:.1f}" for count in counts), ""]]
    for name in STRATEGIES:
        values = {source: curves.accuracies(name, problems) for source, problems in columns.items()}
        span = points(mean_interval(values["all"]))[1]
        rows.append([name, *(rate(found.mean()) for found in values.values()), span])
    return table(["strategy", *columns, "all: 95 % interval"], rows)


def cross_validation(policies: Sequence[Recorded]) -> tuple[str, AccordWeights]:
    found = cross_validate({one.name: one.problems for one in policies}, SIZES, draws=DRAWS)
    parts = []
    for policy in policies:
        held_out = found.held_out[policy.name]
        rows = [["**accord, held out**", *(f"**{rate(value)}**" for value in held_out.mean(axis=0))]]
        others = {
            name: curves.accuracy_by_tests(name, policy.problems, SIZES, draws=DRAWS)
            for name in STRATEGIES
            if name not in ("accord", "oracle")
        }
        for name, values in sorted(others.items(), key=lambda pair: -pair[1].mean()):
            rows.append([name, *(rate(value) for value in values.mean(axis=0))])
            gaps = [paired_difference(held_out[:, column], values[:, column]) for column in range(len(SIZES))]
            rows.append([f"accord over {name}", *(marked(gap) for gap in gaps)])
        parts.append(f"### Policy {policy.name}\n\n" + table(["strategy", *map(size_name, SIZES)], rows))
    chosen = ", ".join(
        f"{count} x (twins {twins:g}, peers {peers:g}, examples {examples:g})"
        for (twins, peers, examples), count in tally(found.chosen)
    )
    size = f"{len(GRID)} points"
    parts.append(f"Weights chosen per fold (grid of {size}): {chosen}. On all problems: {words(found.all_data)}.\n")
    return "\n".join(parts), found.all_data


def tally(chosen: Sequence[AccordWeights]) -> list[tuple[tuple[float, float, float], int]]:
    keys = [(one.twins, one.peers, one.examples) for one in chosen]
    return sorted(((key, keys.count(key)) for key in set(keys)), key=lambda pair: -pair[1])


def words(weights: AccordWeights) -> str:
    return f"twins {weights.twins:g}, peers {weights.peers:g}, examples {weights.examples:g}"


def marked(gap: Interval) -> str:
    """A difference; without a star where its interval holds 0."""
    sure = gap.low is not None and gap.high is not None and (gap.low > 0 or gap.high < 0)
    return interval(gap, sign=True) + (" *" if sure else "")


def ablation(policies: Sequence[Recorded]) -> str:
    """What each term of accord is worth, and what is left without the evidence behind it."""
    zero = {name: msgspec.structs.replace(DEFAULT_WEIGHTS, **{name: 0.0}) for name in ("twins", "peers", "examples")}
    without = {
        "as it ships": lambda one: components(one) @ DEFAULT_WEIGHTS.array(),
        **{f"without {name}": lambda one, w=w: components(one) @ w.array() for name, w in zero.items()},
        "without examples run": lambda one: scores_without(one, examples=None),
        "without outputs recorded": lambda one: scores_without(one, behaviours=None),
        "without either": lambda one: scores_without(one, examples=None, behaviours=None),
    }
    rows = []
    for name, score in without.items():
        cells = []
        for policy in policies:
            for size in (10, None):
                cells.append(rate(np.mean(list(scored(policy.problems, score, size)))))
        rows.append([name, *cells])
    head = [f"{policy.name}, {size_name(size)} tests" for policy in policies for size in (10, None)]
    return table(["accord", *head], rows)


def scores_without(problem: StrategyInput, **gone: None) -> np.ndarray:
    return components(msgspec.structs.replace(problem, **gone)) @ DEFAULT_WEIGHTS.array()


def scored(problems: Sequence[StrategyInput], score, size: int | None) -> Iterator[float]:
    for row, problem in enumerate(problems):
        tests = problem.matrix.letters.shape[1]
        masks = draw_tests(tests, tests if size is None else size, DRAWS, seed=row)
        values = []
        for mask in masks:
            found = score(keep_tests(problem, np.flatnonzero(mask)))
            values.append(np.array(problem.labels)[found >= found.max() - 1e-9 * max(1.0, abs(found.max()))].mean())
        yield float(np.mean(values))


def quality_table(policy: Recorded) -> str:
    rows = []
    for source in (*SOURCES, "all"):
        problems = policy.problems if source == "all" else policy.from_source(source)
        references = policy.references if source == "all" else policy.references_from(source)
        found = test_quality(problems, references)
        single, both = found.individual, found.combined
        rates = [rate(v) for one in (single, both) for v in (one.acc, one.f1, one.paper_far, one.paper_frr)]
        textbook = [rate(single.far), rate(single.frr)]
        inputs = found.inputs
        extra = [rate(inputs.attack_rate), rate(inputs.output_accuracy)] if inputs else ["–", "–"]
        rows.append([source, *rates, *textbook, *extra, f"{found.distinct:,} of {found.tests:,}"])
    rows += [[name, *(f"{v:.1f}" for v in (*single, *both)), "", "", "", "", ""] for name, single, both in TABLE_2]
    names = ("Acc", "F1", "FAR", "FRR")
    head = ["tests", *(f"{n}, one" for n in names), *(f"{n}, all" for n in names), "FAR textbook", "FRR textbook"]
    return table([*head, "attack rate", "output accuracy", "distinct"], rows)


def claim(policies: Sequence[Recorded]) -> str:
    """The paper's claim: more tests help, most on hard problems."""
    parts, sizes = [], (1, 5, 10, 50, None)
    for policy in policies:
        rates = np.array([np.mean(one.labels) for one in policy.problems])
        available = [one.matrix.letters.shape[1] for one in policy.problems]
        rows: list[list[str]] = []
        notes: list[str] = []
        for name, draws in (("coderm", 100), ("accord", DRAWS)):
            values = curves.accuracy_by_tests(name, policy.problems, sizes, draws=draws)
            gain = paired_difference(values[:, -1], values[:, 0])
            cells = [rate(value) for value in values.mean(axis=0)]
            rows.append([name, "all", f"{rate(rates.min())} to {rate(rates.max())}", *cells, marked(gain)])
            for part in curves.quintiles(name, rates, values, sizes, available, draws, 0):
                span = f"{rate(part.low)} to {rate(part.high)}"
                cells = [rate(point.accuracy.value) for point in part.curve.points]
                rows.append([name, str(part.number), span, *cells, marked(part.gain)])
            best = max(
                curves.quintiles(name, rates, values, sizes, available, draws, 0), key=lambda one: one.gain.value
            )
            notes.append(f"{name} gains most in fifth {best.number}: {interval(best.gain, sign=True)} points.")
        head = ["strategy", "fifth (1 is hardest)", "pass rates, %", *map(size_name, sizes), "gain, 1 to all"]
        parts.append(f"### Policy {policy.name}\n\n" + table(head, rows) + "\n" + " ".join(notes) + "\n")
    return "\n".join(parts)


def published(policy: Recorded) -> str:
    """SRank's table for CodeGen-16B, by the original HumanEval tests and CodeGen's own unit tests."""
    paper = {"random": "22.78", "codet": "36.70", "srank": "43.07"}
    problems = [
        msgspec.structs.replace(one, labels=tuple(policy.base[one.task_id].tolist()))
        for one in policy.from_source("codegen-16b")
    ]
    rows = [
        [name, paper.get(name, "–"), interval(mean_interval(curves.accuracies(name, problems)))]
        for name in ("random", "coderm", "codet", "srank", "accord")
    ]
    return table(["strategy", "published, all 164 problems", "here, 82 even problems (95 % interval)"], rows)


def held_back(others: Sequence[tuple[str, Recorded]]) -> str:
    rows = []
    for title, one in others:
        values = {
            name: curves.accuracies(name, one.problems)
            for name in ("random", "coderm", "codet-0.05", "accord", "oracle")
        }
        gap = paired_difference(values["accord"], values["codet-0.05"])
        rows.append([title, *(rate(found.mean()) for found in values.values()), marked(gap)])
    return table(["policy", *values, "accord over codet-0.05"], rows)


def timing(recorded: Recorded) -> str:
    """Seconds of the study's 100 draws of tests on this machine."""
    start = time.perf_counter()
    curves.accuracy_by_tests("coderm", recorded.problems, curves.TEST_SIZES, draws=100)
    return f"{time.perf_counter() - start:.1f} s for {len(recorded.problems)} problems"


PAGE = Path(__file__).with_name("results_page.md")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with humaneval/, mbpp/ and evalplus/")
    parser.add_argument("--output", type=Path, required=True, help="the page")
    given = parser.parse_args()
    if not (given.data / "humaneval").is_dir():
        print(
            f"{given.data}: no such data; expected a folder with humaneval/, mbpp/ and evalplus/; name it by DATA=",
            file=sys.stderr,
        )
        return 2
    start = time.perf_counter()
    for variable, name in (("HUMANEVAL_OVERRIDE_PATH", "HumanEvalPlus"), ("MBPP_OVERRIDE_PATH", "MbppPlus")):
        os.environ.setdefault(variable, str((given.data / "evalplus" / f"{name}.jsonl.gz").resolve()))
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        loaded = [load(given.data, "humaneval", policy, SOURCES, Path(folder)) for policy in POLICIES]
        gpt = load(given.data, "humaneval", "gpt-3.5-turbo-1106", SOURCES, Path(folder))
        mbpp = load(given.data, "mbpp", "gpt-mixed", ("gpt-3.5-turbo-lats",), Path(folder))
        executed = time.perf_counter() - start
        codex, codegen = loaded
        say("cross-validation")
        cv, weights = cross_validation([codex, codegen])
        if weights != DEFAULT_WEIGHTS:
            say(f"chosen on all problems: {words(weights)}; that is not what ships: {words(DEFAULT_WEIGHTS)}")
        say("tables")
        page = PAGE.read_text(encoding="utf-8").format(
            cells=codex.cells + codegen.cells,
            codex=by_source(codex),
            codegen=by_source(codegen),
            cv=cv,
            draws=DRAWS,
            shipped=words(DEFAULT_WEIGHTS),
            ablation=ablation([codex, codegen]),
            held_back=held_back([("gpt-3.5-turbo-1106, N = 5", gpt), ("gpt-mixed on MBPP+", mbpp)]),
            published=published(codegen),
            claim=claim([codex, codegen]),
            quality=quality_table(codegen),
            timing=timing(codex),
            seconds=time.perf_counter() - start,
            state=f"in the cache where known ({executed:.0f} s of it to execute or read them)",
        )
    given.output.write_text(page, encoding="utf-8")
    say(f"written to {given.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
