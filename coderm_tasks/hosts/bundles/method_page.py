"""``METHOD.md``: the facts of ``method.json`` for people."""

from __future__ import annotations

from coderm_tasks.hosts.bundles.method import Cost, Method, Spread, TestWriter
from coderm_tasks.hosts.bundles.words import counted

__all__ = ["method_page"]


def method_page(method: Method) -> str:
    """Write the page."""
    taken = "ranks" if method.board_ranks_best_of_n else "does NOT rank"
    lines = [
        f"# {method.model}: best-of-{_range(method.samples)} by generated unit tests",
        "",
        f"**{method.statement}**",
        "",
        f"For each problem {_range(method.samples)} solutions were sampled, unit tests were generated, every "
        f"solution was run against every test, and strategy `{method.strategy}` chose one (CodeRM, arXiv 2501.01054). "
        "No ground truth was looked at.",
        "",
        f"Board: {method.board}. It {taken} best-of-N entries: {method.board_rule} (source: {method.board_source}).",
        "",
        "| fact | value |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in _rows(method)),
        "",
        "`method.json` holds the same facts; `records/` every sample, test, verdict and selection. "
        "`coderm bundle verify` checks this bundle.",
        "",
    ]
    return "\n".join(lines)


def _rows(method: Method) -> list[tuple[str, object]]:
    return [
        ("model", method.model),
        ("data set", f"{method.dataset}, {counted(method.problems, 'problem')}"),
        *_part(method),
        ("SHA-256 of its questions", method.questions_sha256),
        *((f"SHA-256 of its file {name}", digest) for name, digest in method.data_files.items()),
        ("N: solutions per problem", _range(method.samples)),
        ("sampling", _sampling(method)),
        ("M: unit tests per problem", _range(method.tests)),
        ("tests used per problem", _range(method.tests_used)),
        ("budget, allocation", _budget(method)),
        ("tests written by", _writer(method.test_writer)),
        ("strategy", method.strategy),
        ("drawn among ties", f"{counted(method.tied, 'problem')}, seed {method.seed}"),
        ("without a usable test or sample", counted(method.fallbacks, "problem")),
        ("selected solutions that are not Python", len(method.unparsable)),
        ("problems without a solution", len(method.without_solution)),
        ("cells pruned", "yes" if method.pruned else "no"),
        ("sandbox", method.sandbox),
        ("limits of a test", ", ".join(f"{name} {value}" for name, value in method.limits.items()) or None),
        *_costs(method.cost),
        ("made with", _made_with(method)),
        *((f"SHA-256 of the run's {name}", digest) for name, digest in method.inputs.items()),
        ("score", _score(method)),
    ]


def _part(method: Method) -> list[tuple[str, object]]:
    part = method.slice
    if part is None:
        return []
    return [
        ("part of the data set", f"{part.words}: {counted(method.problems, 'problem')}"),
        ("the same in lcb_runner.runner.custom_evaluator", part.evaluator_flags),
    ]


def _costs(cost: Cost) -> list[tuple[str, object]]:
    cells = f"{cost.cells} / {_known(cost.cells_run)} / {_known(cost.cells_cached)}"
    return [
        ("cost: cells / run / from the cache", cells),
        ("cost: seconds", None if cost.seconds is None else round(cost.seconds, 1)),
        ("cost: tokens of the solutions", cost.sample_tokens),
        ("cost: tokens of the tests", cost.test_tokens),
    ]


def _made_with(method: Method) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in sorted(method.versions.items()))
    return f"{method.tool}; {versions}; bundled by coderm-tasks {method.bundled_with}"


def _budget(method: Method) -> str:
    budget = "unknown" if method.budget is None else f"{method.budget:g} tests per problem on average"
    return f"{budget}, {_known(method.allocation)}"


def _score(method: Method) -> str | None:
    if method.score is None:
        return None
    expected = "" if method.score_expected is None else f"; expected over ties {100 * method.score_expected:.2f} %"
    return f"{100 * method.score:.2f} % (best-of-N, of the solutions in this bundle{expected})"


def _range(spread: Spread) -> str:
    if spread.least == spread.most:
        return str(spread.most)
    return f"{spread.least} to {spread.most}, {spread.mean:g} on average"


def _sampling(method: Method) -> str:
    return (
        f"temperature {method.temperature:g}, top-p {_known(method.top_p)}, at most {_known(method.max_tokens)} "
        f"tokens, seed {_known(method.sample_seed)}"
    )


def _writer(writer: TestWriter) -> str:
    who = "the model itself" if writer.source == "self" else _known(writer.model)
    how = f"prompt {_known(writer.prompt)}, temperature {_known(writer.temperature)}, seed {_known(writer.seed)}"
    return f"{who} ({how}; source: {_known(writer.source)})"


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def _cell(value: object) -> str:
    return _known(value).replace("|", "\\|").replace("\n", " ")
