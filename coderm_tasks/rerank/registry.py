"""Strategies by name: the built-in ones, and those of other packages through entry points."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, entry_points

from coderm_tasks.errors import ConfigError, did_you_mean
from coderm_tasks.rerank.accord import score_accord
from coderm_tasks.rerank.b4 import score_b4
from coderm_tasks.rerank.base import Need, Strategy
from coderm_tasks.rerank.dawid_skene import score_dawid_skene
from coderm_tasks.rerank.mpsc import score_mpsc
from coderm_tasks.rerank.outputs import score_mbr_exec, score_mbr_exec_soft, score_srank
from coderm_tasks.rerank.simple import score_examples, score_first, score_oracle, score_random
from coderm_tasks.rerank.votes import score_coderm, score_codet, score_codet_flat, score_majority
from coderm_tasks.rerank.weighted import score_weighted

__all__ = [
    "AUTO",
    "ENTRY_POINT_GROUP",
    "canonical_name",
    "get_selector",
    "get_strategy",
    "is_built_in",
    "strategies",
    "strategy_names",
]

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "coderm_tasks.strategies"
AUTO = "auto"
_AUTO_MEANS = "accord"

_BUILT_IN = {
    strategy.name: strategy
    for strategy in (
        Strategy(name="first", score=score_first, summary="the first sample", needs_tests=False),
        Strategy(name="random", score=score_random, summary="any sample, uniformly", needs_tests=False),
        Strategy(
            name="examples",
            score=score_examples,
            summary="most of the examples that the problem's text states",
            needs_tests=False,
            examples=Need.REQUIRED,
        ),
        Strategy(
            name="coderm", score=score_coderm, summary="most tests, then the commonest pass set (arXiv 2501.01054)"
        ),
        Strategy(name="codet", score=score_codet, summary="tests passed * sqrt(group size) (arXiv 2207.10397)"),
        Strategy(name="codet-0.05", score=score_codet_flat, summary="tests passed * group size ^ 0.05 (a yardstick)"),
        Strategy(name="b4", score=score_b4, summary="Bayesian consensus sets (arXiv 2409.08692)"),
        Strategy(name="majority", score=score_majority, summary="largest group of one exact pass set"),
        Strategy(
            name="weighted", score=score_weighted, summary="votes weighted by leave-one-out AUC (after 2604.03922)"
        ),
        Strategy(name="dawid-skene", score=score_dawid_skene, summary="EM over tests and solutions (1979)"),
        Strategy(name="mpsc", score=score_mpsc, summary="random walk over solutions and tests (arXiv 2309.17272)"),
        Strategy(
            name="mbr-exec",
            score=score_mbr_exec,
            summary="largest cluster of equal outputs (arXiv 2204.11454, hard loss)",
            outputs=Need.REQUIRED,
        ),
        Strategy(
            name="mbr-exec-soft",
            score=score_mbr_exec_soft,
            summary="most equal outputs (arXiv 2204.11454, soft loss)",
            outputs=Need.REQUIRED,
        ),
        Strategy(
            name="srank",
            score=score_srank,
            summary="clusters of equal outputs, weighed by their overlaps (arXiv 2311.03366)",
            outputs=Need.REQUIRED,
        ),
        Strategy(
            name="accord",
            score=score_accord,
            summary="tests, examples, twins and peers pooled (ours, docs/accord.md); what 'auto' means",
            needs_tests=False,
            outputs=Need.OPTIONAL,
            examples=Need.OPTIONAL,
        ),
        Strategy(
            name="oracle",
            score=score_oracle,
            summary="ground truth: the ceiling (coderm study only)",
            needs_tests=False,
            needs_labels=True,
        ),
    )
}


def strategy_names() -> tuple[str, ...]:
    """Names that :func:`get_strategy` takes, built-in ones first. Loads no plugin."""
    return (*_BUILT_IN, *sorted(point.name for point in _plugins()))


def strategies() -> tuple[Strategy, ...]:
    """All strategies, built-in ones first, plugins loaded.

    Raises:
        ConfigError: a plugin cannot be loaded.
    """
    return tuple(get_strategy(name) for name in strategy_names())


def canonical_name(name: str) -> str:
    """What ``auto`` stands for; any other name as it is, known or not."""
    return _AUTO_MEANS if name == AUTO else name


def is_built_in(name: str) -> bool:
    """Tell whether the strategy is ours: an exception out of it is then our bug and not the plugin's."""
    return name in _BUILT_IN


def get_strategy(name: str) -> Strategy:
    """Return the strategy called ``name``; ``auto`` is the best of ours, and its name says which.

    Raises:
        ConfigError: there is none (with a did-you-mean), or its plugin cannot be loaded.
    """
    name = canonical_name(name)
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    for point in _plugins():
        if point.name == name:
            return _load(point)
    known = (*strategy_names(), AUTO)
    raise ConfigError(f"unknown strategy {name!r}{did_you_mean(name, known)}: expected one of {', '.join(known)}")


def get_selector(name: str) -> Strategy:
    """Return the strategy called ``name``, which must be one that can select without ground truth.

    Raises:
        ConfigError: as :func:`get_strategy`, or the strategy needs labels.
    """
    strategy = get_strategy(name)
    if strategy.needs_labels:
        raise ConfigError(
            f"strategy {name!r} looks at ground truth, so it cannot select: expected another strategy; coderm study "
            "shows it as the ceiling"
        )
    return strategy


def _plugins() -> list[EntryPoint]:
    found = []
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in _BUILT_IN or point.name == AUTO:
            # A score called "coderm" must mean CodeRM's rule on every machine.
            logger.warning("ignoring %s: the name %r belongs to a built-in strategy", point.value, point.name)
        else:
            found.append(point)
    return found


def _load(point: EntryPoint) -> Strategy:
    try:
        loaded = point.load()
    except Exception as error:
        raise ConfigError(
            f"strategy {point.name!r} ({point.value}): cannot be loaded ({type(error).__name__}: {error}); "
            "mend or uninstall the package that offers it"
        ) from error
    if not isinstance(loaded, Strategy):
        raise ConfigError(
            f"strategy {point.name!r} ({point.value}): is a {type(loaded).__name__}; expected a "
            "coderm_tasks.rerank.Strategy; mend the package that offers it"
        )
    return loaded
