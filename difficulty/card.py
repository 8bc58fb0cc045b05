"""The model card of a classifier, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from difficulty.model import EASY_FROM, HARD_BELOW, DifficultyModel

__all__ = ["render_card"]


def render_card(model: DifficultyModel) -> str:
    """Return the card: what the classifier is, what it learned from, how good it is, what it may be used for."""
    card = model.card
    kind = "logistic regression" if len(model.network.layers) == 1 else "two-layer network"
    curves = "none" if model.curves is None else f"{len(model.curves.accuracy)} bins"
    return "\n".join(
        [
            f"# {card.title}",
            "",
            "Predicts the share of a policy model's samples that solve a problem; `coderm` sets its test budget by it.",
            "",
            f"- Model: {kind}, soft-label cross-entropy (CodeRM, arXiv 2501.01054), Platt calibration",
            f"- Feature blocks: {', '.join(model.blocks)} ({len(model.features)} features)",
            f"- Gain curves: {curves}",
            f"- Classes: hard below {HARD_BELOW:.3f}, easy from {EASY_FROM:.3f}, medium between",
            f"- Made: {card.made or 'date not recorded'}",
            f"- Licence: {card.licence}",
            "",
            "## Data",
            "",
            *_bullets(card.data),
            "",
            "## Metrics",
            "",
            *_bullets(card.metrics),
            "",
            "## Limits",
            "",
            "A pass rate belongs to a policy model: for another policy the order of the problems carries over better",
            "than the level. The file holds weights only, no text of any problem or solution.",
            "",
        ]
    )


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines] or ["- not recorded"]
