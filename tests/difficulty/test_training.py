"""Training and evaluation as a whole, on problems whose samples tell how hard they are."""

from __future__ import annotations

import numpy as np
import pytest

from difficulty import Evidence, FitOptions, TrainingDataError, TrainingSet, evaluate, train


def labelled(count=60):
    """Problems with eight samples each: the easier, the more samples agree."""
    rng = np.random.default_rng(0)
    rates = rng.random(count)
    problems = []
    for number, rate in enumerate(rates):
        wrong = rng.random(8) > rate
        samples = tuple(f"def f(): return {place if bad else 'None'}" for place, bad in enumerate(wrong))
        problems.append(Evidence(task_id=f"Toy/{number}", prompt="Do it.", entry_point="f", samples=samples))
    return TrainingSet(problems=tuple(problems), rates=rates)


def test_evaluation_scores_the_blocks_together_alone_and_without_each():
    found = evaluate(labelled(), blocks=["text", "samples"])
    assert [part.blocks for part in found.ablation] == [("text",), ("samples",)]
    assert found.scores.spearman > 0.7
    assert found.scores.brier < found.scores.brier_of_mean


def test_a_block_that_tells_nothing_shows_in_the_ablation():
    found = {part.blocks: part.scores.spearman for part in evaluate(labelled(), blocks=["text", "samples"]).ablation}
    assert found[("samples",)] > found[("text",)] + 0.5


def test_one_block_needs_no_ablation():
    assert evaluate(labelled(), blocks=["samples"]).ablation == ()


def test_leaving_one_of_three_blocks_out_is_scored_too():
    found = evaluate(labelled(), blocks=["text", "ngrams", "samples"], options=FitOptions(model="logistic", folds=2))
    assert ("ngrams", "samples") in [part.blocks for part in found.ablation]


def test_reliability_covers_every_row():
    assert sum(part.rows for part in evaluate(labelled(), blocks=["samples"]).reliability) == 60


def test_the_card_reports_the_cross_validated_figures():
    data = labelled()
    model, found = train(data, blocks=["samples"]), evaluate(data, blocks=["samples"])
    assert f"Spearman {found.scores.spearman:.3f}" in " ".join(model.card.metrics)


def test_accuracies_become_gain_curves_of_the_classifier():
    data = labelled()
    accuracy = np.linspace(data.rates, np.sqrt(data.rates), 5).T
    model = train(TrainingSet(problems=data.problems, rates=data.rates, accuracy=accuracy), blocks=["samples"])
    assert model.curves is not None
    assert model.curves.accuracy.shape[1] == 5
    assert np.diff(model.curves.accuracy[:, 0]).min() > 0


def test_rates_that_do_not_match_the_problems_are_refused():
    data = labelled()
    with pytest.raises(TrainingDataError, match="align"):
        evaluate(TrainingSet(problems=data.problems, rates=data.rates[:-1]), blocks=["samples"])
