"""``coderm prompts``: see what models are asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coderm_tasks.cli import livecodebench_flags
from coderm_tasks.model import Problem

__all__ = ["app"]

app = typer.Typer(name="prompts", help="Show the prompts that ask models for unit tests.", no_args_is_help=True)


@app.command(name="list")
def list_() -> None:
    """List the prompts by name. Example: coderm prompts list"""
    from coderm_tasks.generation.prompts import list_prompts

    infos = list_prompts()
    width = max(len(info.name) for info in infos)
    for info in infos:
        typer.echo(f"{info.name:<{width}}  v{info.version}  {info.summary}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the prompt; `solution` shows what asks for solutions.")],
    task: Annotated[str, typer.Option(help="Task id of the problem to render.")] = "HumanEval/0",
    candidate: Annotated[Path | None, typer.Option(help="File with the candidate solution to show.")] = None,
    base: Annotated[bool, typer.Option("--base", help="For a base model: text that it continues.")] = False,
    livecodebench_path: livecodebench_flags.Path = None,
) -> None:
    """Print a prompt as a model gets it. Example: coderm prompts show coderm --task HumanEval/0 --candidate mine.py"""
    from coderm_tasks.generation.prompts import render, render_solution

    problem = _problem(task, livecodebench_path)
    if name == "solution":
        prompt = render_solution(problem, chat=not base)
    else:
        code = "{code in function format}" if candidate is None else _read(candidate)
        prompt = render(name, problem, candidate=code, chat=not base)
    typer.echo(prompt.text)


def _problem(task: str, livecodebench_path: str | None) -> Problem:
    from coderm_tasks.datasets import load_problems
    from coderm_tasks.errors import InputError, did_you_mean

    # HumanEval is embedded in a dependency; the MBPP+ prompts come with EvalPlus's data.
    family = task.partition("/")[0]
    dataset = {"HumanEval": "humaneval", "Mbpp": "mbpp_plus"}.get(
        family, "humaneval" if "/" in task else "livecodebench"
    )
    chosen = livecodebench_flags.chosen_slice(dataset, livecodebench_path, None, None, None)
    problems = {problem.task_id: problem for problem in load_problems(dataset, chosen)}
    if task not in problems:
        hint = did_you_mean(task, problems)
        raise InputError(
            f"--task {task}: no such problem{hint}: expected a task id such as HumanEval/0, Mbpp/2 or abc301_a"
        )
    return problems[task]


def _read(path: Path) -> str:
    from coderm_tasks.errors import InputError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--candidate {path}: cannot be read ({error}): expected a Python file in UTF-8") from error
