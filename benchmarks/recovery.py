"""How many of a model's real answers give a usable unit test, or a solution: our extraction against a naive regex.

    python benchmarks/recovery.py tests.answers.jsonl samples.answers.jsonl --dataset humaneval

Reads the files of answers that ``coderm generate`` and ``coderm sample`` keep. The regex takes what stands between the
first pair of fences. Both results are held to one standard, read from the syntax tree: a unit test parses, has a
TestCase with a test method or an assert, refers to the function under test, does not define it, and imports nothing but
the standard library; a solution parses and defines the function with a body.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import Counter
from pathlib import Path

import msgspec

from coderm_tasks.datasets import cli_dataset, load_problems_to_rerank
from coderm_tasks.extract import extract_solution, extract_tests
from coderm_tasks.extract.source import bound_names, loaded_names, parse
from coderm_tasks.generation.log import Answer
from coderm_tasks.model import Problem

_NAIVE = re.compile(r"```(?:python)?\n(.*?)```", re.DOTALL)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def naive(text: str) -> str:
    """What stands between the first pair of fences; empty if there is none."""
    found = _NAIVE.search(text)
    return found[1] if found else ""


def is_unit_test(source: str, entry_point: str) -> bool:
    """Whether the source can judge a solution, by the standard above."""
    tree = parse(source)
    if tree is None or entry_point not in loaded_names(tree):
        return False
    if any(entry_point in bound_names(node) for node in tree.body):
        return False
    return _imports_only_known(tree) and any(_tests_something(node) for node in tree.body)


def _tests_something(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(isinstance(inner, _FUNCTIONS) and inner.name.startswith("test") for inner in node.body)
    return not isinstance(node, _FUNCTIONS) and any(isinstance(inner, ast.Assert) for inner in ast.walk(node))


def _imports_only_known(tree: ast.Module) -> bool:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return all(name.split(".")[0] in sys.stdlib_module_names for name in names)


def is_solution(source: str, entry_point: str) -> bool:
    """Whether the source defines the function, with a body."""
    tree = parse(source)
    return tree is not None and any(
        isinstance(node, _FUNCTIONS) and node.name == entry_point and not isinstance(node.body[-1], ast.Pass)
        for node in tree.body
    )


def measure(path: Path, problems: dict[str, Problem]) -> tuple[str, Counter[str]]:
    """Kind of the file, and how many answers each way recovers."""
    counts: Counter[str] = Counter()
    kind = ""
    with path.open("rb") as stream:
        for number, line in enumerate(stream):
            if number == 0:
                kind = str(msgspec.json.decode(line)["settings"]["kind"])
                continue
            answer = msgspec.json.decode(line, type=Answer)
            for text, reason in zip(answer.texts, answer.finish_reasons, strict=True):
                problem = problems[answer.task_id]
                ours, theirs = _both(kind, text, reason == "length", problem)
                counts["answers"] += 1
                counts["ours"] += ours
                counts["naive"] += theirs
                counts["naive only"] += theirs and not ours
    return kind, counts


def _both(kind: str, text: str, truncated: bool, problem: Problem) -> tuple[bool, bool]:
    name = problem.entry_point
    if kind == "solutions":
        return is_solution(extract_solution(text, problem, chat=True), name), is_solution(naive(text), name)
    found = extract_tests(text, name, truncated=truncated).tests
    return any(is_unit_test(test, name) for test in found), is_unit_test(naive(text), name)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("answers", type=Path, nargs="+", help="files of answers")
    parser.add_argument("--dataset", default="humaneval")
    arguments = parser.parse_args()
    problems = {problem.task_id: problem for problem in load_problems_to_rerank(cli_dataset(arguments.dataset))}
    for path in arguments.answers:
        kind, counts = measure(path, problems)
        shares = {name: f"{counts[name] / counts['answers']:.1%}" for name in ("ours", "naive", "naive only")}
        print(
            f"{path.name}: {counts['answers']:,} answers with {kind}; usable: {counts['ours']:,} ({shares['ours']}) "
            f"extracted, {counts['naive']:,} ({shares['naive']}) by the regex, {counts['naive only']:,} by it alone"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
