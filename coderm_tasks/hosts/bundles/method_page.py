"""``METHOD.md``: the facts of ``method.json`` for people."""

from __future__ import annotations

from coderm_tasks.hosts.bundles.method import Method, Spread, TestWriter

__all__ = ["label_of", "method_page"]


def label_of(method: Method) -> str:
    """The method in a name: ``best-of-100-coderm``."""
    return f"best-of-{method.samples.most}-{method.strategy}"


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
    cost = method.cost
    percent = None if method.score is None else f"{100 * method.score:.2f} % (best-of-N, expected over ties)"
    versions = ", ".join(f"{name} {number}" for name, number in sorted(method.versions.items()))
    limits = ", ".join(f"{name} {value}" for name, value in method.limits.items())
    return [
        ("model", method.model),
        ("data set", f"{method.dataset}, {method.problems} problems"),
        ("SHA-256 of its questions", method.questions_sha256),
        ("N: solutions per problem", _range(method.samples)),
        ("sampling", _sampling(method.temperature, method.top_p, method.max_tokens)),
        ("M: unit tests per problem", _range(method.tests)),
        ("tests used per problem", _range(method.tests_used)),
        ("budget, allocation", f"{_known(method.budget)}, {_known(method.allocation)}"),
        ("tests written by", _writer(method.test_writer)),
        ("strategy", method.strategy),
        ("drawn among ties", f"{method.tied} problems, seed {method.seed}"),
        ("without a usable test or sample", f"{method.fallbacks} problems"),
        ("selected solutions that are not Python", len(method.unparsable)),
        ("cells pruned", "yes" if method.pruned else "no"),
        ("sandbox", method.sandbox),
        ("limits of a test", limits or None),
        (
            "cost: cells / run / from the cache",
            f"{cost.cells} / {_known(cost.cells_run)} / {_known(cost.cells_cached)}",
        ),
        ("cost: seconds", None if cost.seconds is None else round(cost.seconds, 1)),
        ("cost: tokens of the generator", cost.test_tokens),
        ("made with", f"{method.tool}; {versions}; bundled by coderm-tasks {method.bundled_with}"),
        ("score", percent),
    ]


def _range(spread: Spread) -> str:
    if spread.least == spread.most:
        return str(spread.most)
    return f"{spread.least} to {spread.most}, {spread.mean:g} on average"


def _sampling(temperature: float, top_p: float | None, max_tokens: int | None) -> str:
    return f"temperature {temperature:g}, top-p {_known(top_p)}, at most {_known(max_tokens)} tokens"


def _writer(writer: TestWriter) -> str:
    who = "the model itself" if writer.source == "self" else _known(writer.model)
    how = f"prompt {_known(writer.prompt)}, temperature {_known(writer.temperature)}, seed {_known(writer.seed)}"
    return f"{who} ({how}; source: {_known(writer.source)})"


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def _cell(value: object) -> str:
    return _known(value).replace("|", "\\|").replace("\n", " ")
