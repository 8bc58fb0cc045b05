"""Feature blocks: what they measure, that any text is borne, that missing evidence is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difficulty import BLOCKS, Evidence, FeatureError, extract_features

HUMANEVAL = '''from typing import List


def scaled(values: List[int], factor: float, name: str = "x") -> List[float]:
    """ Multiply each value by the factor. Keep 2 digits.
    >>> scaled([1, 2], 0.5, "a")
    [0.5, 1.0]
    >>> scaled([], -1.5, "b")
    []
    """
'''
MBPP = '"""\nWrite a function to merge two mappings.\nassert merged({1: 2}, None) == {1: 2}\n"""\n'


def evidence(**fields):
    """Evidence of one problem; the fields a test does not care about are filled in."""
    return Evidence(**{"task_id": "Toy/1", "prompt": HUMANEVAL, "entry_point": "scaled", **fields})


def features_of(block, **fields):
    """Feature values of one problem by their names without the block's."""
    features = extract_features([evidence(**fields)], [block])
    return {name.split("/")[1]: value for name, value in zip(features.names, features.values[0], strict=True)}


def test_examples_and_arguments_are_counted_in_a_docstring():
    found = features_of("text")
    assert np.expm1(found["log_examples"]) == pytest.approx(2)
    assert found["arguments"] == 3


def test_argument_types_come_from_the_example_calls():
    found = features_of("text")
    shares = {name: value for name, value in found.items() if name.startswith("argument_") and value}
    assert shares == pytest.approx({"argument_sequence": 1 / 3, "argument_float": 1 / 3, "argument_str": 1 / 3})


def test_an_assert_in_an_mbpp_prompt_is_an_example_too():
    found = features_of("text", prompt=MBPP, entry_point="merged")
    assert found["argument_mapping"] == found["argument_none"] == 0.5


def test_examples_are_not_words_of_the_description():
    with_examples = features_of("ngrams", prompt=MBPP, entry_point="merged")
    without = features_of("ngrams", prompt='"""\nWrite a function to merge two mappings.\n"""\n', entry_point="merged")
    assert with_examples == without


def test_helper_functions_in_the_prompt_are_counted():
    helper = "def helper(x):\n    return x\n\n\n"
    assert features_of("text", prompt=helper + HUMANEVAL)["helpers"] == 1


def test_hashed_words_have_length_one_and_depend_on_the_words():
    first = features_of("ngrams")
    second = features_of("ngrams", prompt=HUMANEVAL.replace("Multiply", "Divide"))
    assert sum(value**2 for value in first.values()) == pytest.approx(1)
    assert first != second


def test_hashed_words_are_the_same_in_every_process():
    hot = {name: value for name, value in features_of("ngrams", prompt="", entry_point="sort_list").items() if value}
    assert hot == pytest.approx({"35": -(3**-0.5), "67": 3**-0.5, "106": 3**-0.5})


def test_samples_that_parse_and_define_the_function_are_shares():
    found = features_of("samples", samples=("def scaled(): return 1", "def other(): pass", "def scaled(:"))
    assert found["parses"] == pytest.approx(2 / 3)
    assert found["defines"] == pytest.approx(1 / 3)


def test_samples_that_differ_in_comments_and_docstrings_are_one_cluster():
    samples = (
        'def scaled(x):\n    """Double."""\n    return 2 * x\n',
        "def scaled(x):\n    'Twice.'\n    return (2 * x)  # twice\n",
        "def scaled(x):\n    return 3 * x\n",
    )
    found = features_of("samples", samples=samples)
    assert found["largest_cluster"] == pytest.approx(2 / 3)
    assert found["distinct"] == pytest.approx(2 / 3)


def test_the_entropy_of_clusters_runs_from_none_to_one():
    assert features_of("samples", samples=("a = 1",) * 4)["entropy"] == 0
    assert features_of("samples", samples=("a = 1", "a = 2", "a = 3"))["entropy"] == pytest.approx(1)


def test_samples_that_do_not_parse_cluster_by_their_text():
    assert features_of("samples", samples=("x (", "x (", "y ("))["largest_cluster"] == pytest.approx(2 / 3)


def test_behaviour_measures_clusters_passes_and_agreement():
    found = features_of("behaviour", behaviour=("PPF", "PPF", "PFF", "PFE"))
    assert found["largest_cluster"] == 0.5
    assert found["pass_share"] == pytest.approx(6 / 12)
    assert found["best_pass_share"] == pytest.approx(2 / 3)
    assert found["agreement"] == pytest.approx((1 + 0.5 + (0.75**2 + 0.25**2)) / 3)
    assert found["always_passed_tests"] == found["never_passed_tests"] == pytest.approx(1 / 3)


def test_a_matrix_without_tests_is_one_cluster():
    found = features_of("behaviour", behaviour=("", ""))
    assert (found["largest_cluster"], found["pass_share"], found["agreement"]) == (1, 0, 1)


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "(" * 5_000 + ")" * 5_000,
        "x = " + "-" * 90_000 + "1",
        "x = 1" + " + 1" * 24_000,
        "x = " + "a." * 45_000 + "b",
        "if x:\n" + "".join(" " * depth + "if x:\n" for depth in range(1, 400)),
        "x = '\\d'",
        "x = " + "9" * 90_000,
        "x = 0x" + "f" * 90_000,
        "null \0 byte",
        "half a pair \ud800",
        "x" * 1_000_000,
        "",
    ],
    ids=[
        "brackets",
        "minus",
        "sum",
        "attributes",
        "indents",
        "escape",
        "digits",
        "hexadecimal digits",
        "nul",
        "surrogate",
        "long",
        "empty",
    ],
)
def test_hostile_sources_are_borne(source):
    found = extract_features([evidence(samples=(source, "a = 1"), prompt=source)], ["text", "ngrams", "samples"])
    assert np.isfinite(found.values).all()


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=20), st.lists(st.text(max_size=100), min_size=1, max_size=4))
def test_any_text_gives_finite_features(prompt, entry_point, samples):
    found = extract_features(
        [evidence(prompt=prompt, entry_point=entry_point, samples=tuple(samples))], ["text", "ngrams", "samples"]
    )
    assert np.isfinite(found.values).all()


def test_agreement_on_outputs_is_told_apart_by_examples_and_tests():
    found = features_of(
        "outputs",
        samples=("a", "b", "c", "d"),
        outputs=(("1", "2"), ("1", "2"), ("1", "3"), ("!T", "3")),
        example_inputs=1,
    )
    assert np.expm1([found["example_inputs"], found["test_inputs"]]) == pytest.approx([1, 1])
    assert found["example_agreement"] == pytest.approx(0.75**2 + 0.25**2)
    assert found["test_agreement"] == pytest.approx(0.5)
    assert (found["example_largest_cluster"], found["test_largest_cluster"]) == (0.75, 0.5)
    assert (found["example_failed"], found["test_failed"]) == (0.25, 0)


def test_the_entropy_of_behaviour_clusters_is_that_of_whole_rows():
    rows = (("1", "1"), ("1", "2"), ("2", "1"), ("2", "2"))
    assert features_of("outputs", samples=("a",) * 4, outputs=rows)["test_entropy"] == pytest.approx(1)
    assert features_of("outputs", samples=("a",) * 4, outputs=rows[:1] * 4)["test_entropy"] == 0


def test_without_an_input_solutions_are_not_known_to_differ():
    found = features_of("outputs", samples=("a", "b"), outputs=((), ()))
    assert (found["example_agreement"], found["test_largest_cluster"], found["test_failed"]) == (1, 1, 0)


def test_log_probabilities_are_a_mean_a_best_and_a_spread():
    found = features_of("logprob", samples=("a", "b"), logprobs=(-1.0, -3.0))
    assert found == pytest.approx({"mean": -2, "best": -1, "spread": 1})


@pytest.mark.parametrize("rows", [(("1",),), (("1",), ("1", "2"))])
def test_outputs_that_do_not_fit_the_samples_are_refused(rows):
    with pytest.raises(FeatureError, match="one row of one length per sample"):
        features_of("outputs", samples=("a", "b"), outputs=rows)


def test_log_probabilities_that_do_not_fit_the_samples_are_refused():
    with pytest.raises(FeatureError, match="1 log-probabilities for 2 samples"):
        features_of("logprob", samples=("a", "b"), logprobs=(-1.0,))


def test_a_log_probability_that_is_nan_is_named():
    with pytest.raises(FeatureError, match="feature logprob/mean is no finite number"):
        features_of("logprob", samples=("a",), logprobs=(float("nan"),))


def test_blocks_stand_in_the_order_asked_for():
    names = extract_features([evidence(samples=("a = 1",))], ["samples", "text"]).names
    assert names[0].startswith("samples/")
    assert names[-1].startswith("text/")


def test_features_have_distinct_names():
    names = [f"{block.name}/{name}" for block in BLOCKS.values() for name in block.names]
    assert len(set(names)) == len(names)


def test_hidden_states_are_features_as_they_are():
    found = extract_features([evidence(hidden=np.array([1.0, -2.0]))], ["hidden"])
    assert (found.names, found.values.tolist()) == (("hidden/0", "hidden/1"), [[1.0, -2.0]])


@pytest.mark.parametrize("block", ["samples", "behaviour", "outputs", "logprob", "hidden"])
def test_missing_evidence_names_problem_and_block(block):
    with pytest.raises(FeatureError, match=rf"Toy/1: block '{block}' got no .*or leave the block out"):
        extract_features([evidence()], [block])


def test_a_feature_that_is_nan_is_named():
    with pytest.raises(FeatureError, match="Toy/1: feature hidden/1 is no finite number"):
        extract_features([evidence(hidden=np.array([1.0, np.nan]))], ["hidden"])


def test_hidden_states_of_unequal_width_are_refused():
    with pytest.raises(FeatureError, match="has 1 values, expected 2"):
        extract_features([evidence(hidden=np.zeros(2)), evidence(hidden=np.zeros(1))], ["hidden"])


def test_matrix_rows_of_unequal_length_are_refused():
    with pytest.raises(FeatureError, match="rows of unequal length"):
        extract_features([evidence(behaviour=("PP", "P"))], ["behaviour"])


@pytest.mark.parametrize("blocks", [[], ["text", "text"], ["txt"]])
def test_no_repeated_or_unknown_blocks_are_refused_with_the_known_ones(blocks):
    with pytest.raises(
        FeatureError, match=r"expected .* of text, ngrams, samples, behaviour, outputs, logprob, hidden"
    ):
        extract_features([evidence()], blocks)
