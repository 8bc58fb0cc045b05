"""The local engine on the real sandbox."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor import (
    Call,
    CallJob,
    CellJob,
    Limits,
    LimitsError,
    LocalExecutor,
    PassMatrix,
    SandboxError,
    Verdict,
    open_executor,
)

ADD = "def f(x):\n    return x + 1\n"
SAME = "def f(x):\n    return x\n"
LOOP = "def f(x):\n    while True:\n        pass\n"
UNLIFT = "\nfor _ in ():\n    pass\n"
"""Appended to a test, keeps it from being lifted."""
LIMITS = Limits(cpu_s=0.5, wall_s=5)


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with open_executor(workers=1, limits=LIMITS) as opened:
        yield opened


def run(executor: LocalExecutor, solutions: list[str], tests: list[str], context: str = "") -> PassMatrix:
    job = CellJob(job_id="job", entry_point="f", solutions=tuple(solutions), tests=tuple(tests), context=context)
    (matrix,) = executor.run([job])
    return matrix


def descendants(pid: int) -> set[int]:
    """Processes below ``pid``, from /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    todo = [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.add(child)
            todo.append(child)
    return found


EXPRESSIONS = [
    "f(1) == 2", "f(1) != 2", "f(0)", "not f(-1)", "f('a') == 'a1'", "f(1.5) > 2", "f(None) == 1", "f(1) == True",
    "f(1) in (1, 2)", "f([1]) == [1]", "f(1) is None", "f(2) == 2 or f(2) == 3", "f(1) == 2 and f(2) == 2", "1 < f(1) < 3",
    "isinstance(f(1), int)", "f(x=1) == 2", "f(1, 2) == 2", "abs(f(1) - 2.0) < 1e-9", "helper(1) == 2", "f(2 ** 70) == 2 ** 70 + 1",
    "f(1)[0] == 1", "len(f((1,))) == 1", "f({1: 2}) == {1: 2}", "f(b'x') == b'x'", "f(float('nan')) != 0",
]  # fmt: skip
SOLUTIONS = [
    ADD,
    SAME,
    "def f(x):\n    raise ValueError(x)\n",
    "def f(x):\n    assert x == 1\n    return 2\n",
    "def f(x):\n    return (y for y in [x])\n",
    "class E:\n    def __eq__(self, o):\n        return True\n\ndef f(x):\n    return E()\n",
    "def helper(x):\n    return x + 1\n\ndef f(x):\n    return helper(x)\n",
    "N = []\ndef f(x):\n    N.append(x)\n    return len(N)\n",
    "def f(x):\n    raise SystemExit(0)\n",
    "def g(x):\n    return 2\n",
    "import sys\nsys.exit(0)\n",
    "def f(x:\n",
    "def f(x):\n    return f(x)\n",
    "class f(int):\n    pass\n",
]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tests=st.lists(st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=3), min_size=1, max_size=6))
def test_lifted_and_unlifted_execution_agree(executor: LocalExecutor, tests: list[list[str]]) -> None:
    sources = ["\n".join(f"assert {line}" for line in lines) for lines in tests]
    lifted = run(executor, SOLUTIONS, sources)
    programs = run(executor, SOLUTIONS, [source + UNLIFT for source in sources])
    assert programs.stats.lifted == 0
    assert lifted.rows() == programs.rows()


def test_a_matrix_does_not_depend_on_order_or_workers(executor: LocalExecutor) -> None:
    tests = [f"assert {line}" for line in EXPRESSIONS]
    expected = run(executor, SOLUTIONS, tests)
    with open_executor(workers=2, limits=LIMITS) as two:
        turned = run(two, SOLUTIONS[::-1], tests[::-1])
    assert turned.rows() == [row[::-1] for row in expected.rows()[::-1]]


def test_a_stateful_solution_starts_anew_for_every_test(executor: LocalExecutor) -> None:
    counter = "N = []\ndef f(x):\n    N.append(x)\n    return len(N)\n"
    tests = ["assert f(1) == 1", "assert f(2) == 1\nassert f(2) == 2", "assert f(1) == 1" + UNLIFT]
    assert run(executor, [counter], tests).rows() == ["PPP"]


def test_mutated_arguments_come_back_to_the_test(executor: LocalExecutor) -> None:
    sort = "def f(x):\n    x.sort()\n    return None\n"
    nested = "def f(x):\n    x[0]['a'].append(1)\n    del x[1:]\n"
    tests = ["x = [3, 1]\nf(x)\nassert x == [1, 3]", "x = [{'a': []}, 2]\ninner = x[0]\nf(x)\nassert x == [{'a': [1]}]"]
    assert run(executor, [sort, nested], tests).rows() == ["PE", "EP"]


def test_tests_may_use_helpers_of_the_solution_and_of_the_context(executor: LocalExecutor) -> None:
    solution = "import collections\ndef double(x):\n    return 2 * x\n\ndef f(x):\n    return double(x)\n"
    tests = [
        "for x in (1, 2):\n    assert f(x) == double(x)",
        "assert f(1) == trusted(1)" + UNLIFT,
        "assert collections.Counter('a')['a'] == 1 and f(1) == 2" + UNLIFT,
    ]
    matrix = run(executor, [solution, SAME], tests, context="def trusted(x):\n    return 2 * x\n")
    assert matrix.rows() == ["PPP", "EFE"]


def test_the_contexts_helper_wins_over_the_solutions(executor: LocalExecutor) -> None:
    forger = "def check(x):\n    return True\n\ndef f(x):\n    return 0\n"
    tests = ["assert check(f(1))" + UNLIFT]
    assert run(executor, [forger], tests, context="def check(x):\n    return x == 1\n").rows() == ["F"]


def test_a_test_that_needs_the_solutions_class_shares_a_process_and_is_marked(executor: LocalExecutor) -> None:
    solution = "class Node:\n    def __init__(self, v):\n        self.v = v\n\ndef f(n):\n    return n.v\n"
    matrix = run(executor, [solution, ADD], ["assert f(Node(3)) == 3" + UNLIFT, "assert f(1) == 2"])
    assert matrix.rows() == ["PE", "EP"]
    assert matrix.shared.tolist() == [[True, False], [False, False]]
    assert matrix.stats.shared == 1


def test_a_callable_argument_shares_a_process_and_is_marked(executor: LocalExecutor) -> None:
    matrix = run(executor, ["def f(g):\n    return g(2)\n"], ["assert f(lambda x: x + 1) == 3"])
    assert matrix.rows() == ["P"]
    assert matrix.shared.all()


def test_identical_solutions_and_tests_run_once(executor: LocalExecutor) -> None:
    matrix = run(executor, [ADD, ADD + "# comment\n", ADD], ["assert f(1) == 2"] * 3)
    assert matrix.rows() == ["PPP"] * 3
    assert (matrix.stats.cells, matrix.stats.run, matrix.stats.unique_solutions) == (9, 1, 1)


def test_time_limits_end_what_burns_and_what_sleeps() -> None:
    sleeper = "import time\ndef f(x):\n    time.sleep(60)\n"
    late = "def f(x):\n    if x == 2:\n        while True:\n            pass\n    return x + 1\n"
    with open_executor(workers=1, limits=Limits(cpu_s=0.2, wall_s=1)) as quick:
        started = time.monotonic()
        matrix = run(quick, [LOOP, sleeper, late], ["assert f(1) == 2", "assert f(2) == 3", "assert f(3) == 4"])
        assert time.monotonic() - started < 60
    assert matrix.rows() == ["TTT", "TTT", "PTP"]


def test_after_enough_timeouts_the_rest_is_not_run_and_counted_so() -> None:
    tests = [f"assert f({number}) == 0" for number in range(10)]
    with open_executor(workers=1, limits=Limits(cpu_s=0.2, max_timeouts=2)) as quick:
        lifted = run(quick, [LOOP], tests)
        programs = run(quick, [LOOP], [test + UNLIFT for test in tests])
    assert lifted.rows() == programs.rows() == ["T" * 10]
    assert (lifted.stats.lifted, lifted.stats.assumed) == (2, 8)
    assert (programs.stats.split, programs.stats.assumed) == (2, 8)


def test_without_a_limit_of_timeouts_every_cell_is_run() -> None:
    with open_executor(workers=1, limits=Limits(cpu_s=0.1, max_timeouts=None)) as quick:
        assert run(quick, [LOOP], [f"assert f({number}) == 0" for number in range(5)]).stats.assumed == 0


def test_too_much_memory_is_a_resource_verdict() -> None:
    with open_executor(workers=1, limits=Limits(memory_mb=128)) as small:
        matrix = run(
            small, ["def f(x):\n    return len(bytearray(10**9))\n"], ["assert f(1) == 2", "assert f(1) == 2" + UNLIFT]
        )
    assert matrix.rows() == ["RR"]


def test_outputs_come_back_as_data_in_order(executor: LocalExecutor) -> None:
    job = CallJob(
        job_id="j",
        entry_point="f",
        solutions=(ADD, SAME, ADD, "x"),
        calls=(Call((1,)), Call(("a",)), Call(([1],), "g")),
    )
    (outputs,) = executor.call([job])
    first, second, third, fourth = outputs.outcomes
    assert [outcome.kind for outcome in first] == ["value", "raised", "raised"]
    assert (first[0].value, first[1].error, first[2].error) == (2, "TypeError", "NameError")
    assert third == first
    assert second[1].value == "a"
    assert {outcome.kind for outcome in fourth} == {"stopped"}


def test_an_argument_that_is_no_plain_data_is_refused(executor: LocalExecutor) -> None:
    with pytest.raises(TypeError, match="call 0 has an argument that is no plain data"):
        list(executor.call([CallJob(job_id="j", entry_point="f", solutions=(ADD,), calls=(Call((object(),)),))]))


def test_known_cells_are_not_run_again(tmp_path: Path) -> None:
    tests = ["assert f(1) == 2", "assert f(2) == 2"]
    with open_executor(workers=1, limits=LIMITS, cache=tmp_path) as first:
        assert run(first, [ADD, SAME], tests[:1]).stats.run == 2
    with open_executor(workers=1, limits=LIMITS, cache=tmp_path) as second:
        matrix = run(second, [SAME, ADD], tests)
    assert matrix.rows() == ["FP", "PF"]
    assert (matrix.stats.run, matrix.stats.cached) == (2, 2)


SLOW_START = "def f(x):\n    while x < 0:\n        pass\n    return x\n"
LOOPS = [f"assert f({-number}) == 0" for number in (1, 2, 3)]
GOOD = [f"assert f({number}) == {number}" for number in range(100, 110)]


def test_what_a_solutions_timeouts_leave_to_its_other_tests_does_not_depend_on_the_cache(tmp_path: Path) -> None:
    quick = Limits(cpu_s=0.1)
    with open_executor(workers=1, limits=quick) as executor:
        cold = run(executor, [SLOW_START], LOOPS + GOOD)
    with open_executor(workers=1, limits=quick, cache=tmp_path) as executor:
        run(executor, [SLOW_START], LOOPS)
        after_loops = run(executor, [SLOW_START], LOOPS + GOOD)
        alone = run(executor, [SLOW_START], GOOD)
        again = run(executor, [SLOW_START], LOOPS + GOOD)
    assert cold.rows() == after_loops.rows() == again.rows()
    assert alone.rows() == ["P" * len(GOOD)], "an assumed verdict is no verdict of the test"
    assert again.stats.run == 0
    assert again.stats.assumed == cold.stats.assumed > 0


def test_crashes_are_no_timeouts() -> None:
    crash = "import os\ndef f(x):\n    if x < 9:\n        os.abort()\n    return x\n"
    with open_executor(workers=1, limits=LIMITS) as executor:
        matrix = run(executor, [crash], [f"assert f({number}) == {number}" for number in (1, 2, 3, 4, 99)])
    assert matrix.rows() == ["EEEEP"]
    assert matrix.stats.assumed == 0


def test_another_limit_is_another_cell(tmp_path: Path) -> None:
    for limits in (LIMITS, Limits(cpu_s=0.6, wall_s=5)):
        with open_executor(workers=1, limits=limits, cache=tmp_path) as opened:
            assert run(opened, [ADD], ["assert f(1) == 2"]).stats.run == 1


def kill_boxes() -> None:
    """Kill the boxes' first processes too: where root started them they outlive bubblewrap's own."""
    boxes = [pid for pid in descendants(os.getpid()) if b"inside.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(boxes) >= 2
    for pid in boxes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_box_that_is_killed_is_replaced_and_no_verdict_changes() -> None:
    with open_executor(workers=1, limits=LIMITS) as opened:
        assert run(opened, [ADD], ["assert f(1) == 2"]).rows() == ["P"]
        kill_boxes()
        assert run(opened, [ADD, SAME], ["assert f(1) == 2", "assert f(1) == 1" + UNLIFT]).rows() == ["PF", "FP"]


def test_a_box_that_dies_under_a_solution_does_not_undo_its_limit_of_timeouts() -> None:
    tests = [f"assert f({number}) == {number + 1}" for number in range(6)]
    loop = "def f(x):\n    n = 0\n    while x < 5:\n        n += 1\n    return x + 1\n"
    limits = Limits(cpu_s=0.5, wall_s=5.0, patience=1.0, max_timeouts=2)
    with open_executor(workers=1, limits=limits) as opened:
        undisturbed = run(opened, [loop], tests).rows()

        def kill() -> None:
            time.sleep(0.2)
            kill_boxes()

        thread = threading.Thread(target=kill)
        thread.start()
        disturbed = run(opened, [loop], tests)
        thread.join()
    assert disturbed.rows() == undisturbed == ["TTTTTT"]
    assert disturbed.stats.assumed == 4


def test_a_worker_that_is_killed_is_replaced() -> None:
    with open_executor(workers=1, limits=LIMITS) as opened:
        assert run(opened, [ADD], ["assert f(1) == 2"]).rows() == ["P"]
        os.kill(opened._crew._workers[0]._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
        assert run(opened, [SAME], ["assert f(1) == 2"]).rows() == ["F"]


def test_closing_ends_every_process_and_may_be_repeated() -> None:
    before = descendants(os.getpid())
    opened = open_executor(workers=2, limits=LIMITS)
    run(opened, [ADD, SAME], ["assert f(1) == 2"])
    assert len(descendants(os.getpid())) > len(before)
    opened.close()
    opened.close()
    deadline = time.monotonic() + 10
    while descendants(os.getpid()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descendants(os.getpid()) <= before
    with pytest.raises(SandboxError, match="closed"):
        run(opened, [ADD], ["assert f(1) == 2"])


def test_an_abandoned_run_leaves_nothing_running() -> None:
    before = descendants(os.getpid())
    with open_executor(workers=2, limits=LIMITS) as opened:
        jobs = (
            CellJob(job_id=str(n), entry_point="f", solutions=(ADD, SAME), tests=("assert f(1) == 2",))
            for n in range(50)
        )
        matrices = opened.run(jobs)
        next(matrices)
        matrices.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    while descendants(os.getpid()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descendants(os.getpid()) <= before


def test_jobs_without_solutions_or_tests_have_empty_matrices(executor: LocalExecutor) -> None:
    jobs = [
        CellJob(job_id="no tests", entry_point="f", solutions=(ADD,), tests=()),
        CellJob(job_id="no solutions", entry_point="f", solutions=(), tests=("assert f(1)",)),
    ]
    shapes = {matrix.job_id: matrix.letters.shape for matrix in executor.run(jobs)}
    assert shapes == {"no tests": (1, 0), "no solutions": (0, 1)}


@pytest.mark.parametrize(
    "source",
    [
        "\0",
        "\ufeff" + ADD,
        ADD.replace("\n", "\r\n"),
        "# -*- coding: latin-1 -*-\n" + ADD,
        "\ud800",
        "x" * 10_000_000,
        "(" * 10_000,
    ],
)
def test_odd_sources_get_a_verdict(executor: LocalExecutor, source: str) -> None:
    letter = run(executor, [source], ["assert f(1) == 2"]).rows()[0]
    # As for exec, a byte-order mark is no Python; extraction removes it from a model's answer.
    assert letter == ("P" if "def f" in source and source[0] != "\ufeff" else "E")
    assert run(executor, [ADD], [source + "\nassert f(1) == 2"]).rows()[0] in ("P", "E", "I", "F")


def test_randomness_and_hashing_are_the_same_in_every_process(executor: LocalExecutor) -> None:
    chance = "import random\ndef f(x):\n    return [random.random(), hash('a'), list({'a', 'b', 'c'})]\n"
    job = CallJob(job_id="j", entry_point="f", solutions=(chance,), calls=(Call((1,)), Call((2,))))
    (first,) = executor.call([job])
    with open_executor(workers=1, limits=LIMITS) as other:
        (second,) = other.call([job])
    assert first.outcomes[0][0].value == first.outcomes[0][1].value == second.outcomes[0][0].value


PARENT = """
import sys
sys.path[:] = {path!r}
from executor import CellJob, Limits, open_executor
executor = open_executor(workers=2, limits=Limits(cpu_s=60, wall_s=60))
job = CellJob(job_id="j", entry_point="f", solutions=({loop!r}, "def f(x):\\n    import time; time.sleep(60)"), tests=("assert f(1) == 2",))
list(executor.run([job, CellJob(job_id="k", entry_point="f", solutions=({loop!r},), tests=("assert f(2) == 2",))]))
"""


def test_chance_is_the_same_for_every_process_of_a_test(executor: LocalExecutor) -> None:
    # 16 of 2 ** 32 numbers that the two processes draw agree only if they start alike.
    draws = "def f(x):\n    import random\n    return [random.getrandbits(32) for _ in range(x)]\n"
    test = "import random\nassert f(16) == [random.getrandbits(32) for _ in range(16)]" + UNLIFT
    assert list(run(executor, [draws, SAME], [test]).rows()) == ["P", "F"]


def test_threads_of_a_solution_start_and_end(executor: LocalExecutor) -> None:
    source = """
import logging, threading
from concurrent.futures import ThreadPoolExecutor

def f(x):
    logging.getLogger("f").debug("in a process that was forked")
    with ThreadPoolExecutor(4) as threads:
        total = sum(threads.map(abs, range(-x, x)))
    timer = threading.Timer(0.01, lambda: None)
    timer.start()
    timer.join()
    return [total, threading.active_count(), threading.current_thread() is threading.main_thread()]
"""
    assert run(executor, [source], ["assert f(3) == [9, 1, True]"]).rows()[0] == "P"


def test_when_the_parent_is_killed_every_process_below_it_ends() -> None:
    code = PARENT.format(path=[part for part in sys.path if part], loop=LOOP)
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        deadline = time.monotonic() + 60
        # Two workers with a box each, and a busy child in at least one of them.
        while len(descendants(parent.pid)) < 7 and time.monotonic() < deadline:
            time.sleep(0.1)
        below = descendants(parent.pid)
        assert len(below) >= 7
        parent.kill()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in below) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []


def test_after_a_first_timeout_later_calls_get_a_share_of_the_limit() -> None:
    busy = "def f(x):\n    if x == 0:\n        while True:\n            pass\n    return sum(i for i in range(10 ** 7)) * 0 + x\n"
    tests = ["assert f(1) == 1", "assert f(0) == 0", "assert f(2) == 2", "assert f(3) == 3"]
    with open_executor(workers=1, limits=Limits(cpu_s=4, patience=0.01, max_timeouts=None)) as impatient:
        assert run(impatient, [busy], tests).rows() == ["TTTT"]
    with open_executor(workers=1, limits=Limits(cpu_s=4, patience=1.0, max_timeouts=None)) as patient:
        assert run(patient, [busy], tests).rows() == ["PTPP"]


def test_calls_may_have_limits_of_their_own() -> None:
    loop = "def f(x):\n    while x:\n        pass\n    return x\n"
    job = CallJob(
        job_id="j",
        entry_point="f",
        solutions=(loop,),
        calls=(Call((0,)), Call((1,)), Call((0,)), Call((1,))),
        limits=Limits(cpu_s=60, max_timeouts=None, patience=1.0),
        cpu_s=(60.0, 0.1, 60.0, 0.3),
    )
    with open_executor(workers=1) as executor:
        started = time.monotonic()
        (outputs,) = executor.call([job])
        assert time.monotonic() - started < 30
    assert [outcome.kind for outcome in outputs.outcomes[0]] == ["value", "stopped", "value", "stopped"]


def test_limits_that_do_not_match_the_calls_are_refused(executor: LocalExecutor) -> None:
    with pytest.raises(ValueError, match="j: 2 values of cpu_s: expected one per call, 1"):
        CallJob(job_id="j", entry_point="f", solutions=(ADD,), calls=(Call((0,)),), cpu_s=(1.0, 2.0))


def test_fewer_than_no_workers_are_refused() -> None:
    with pytest.raises(LimitsError, match="workers is -1: expected at least 1, or 0 for one per core"):
        open_executor(workers=-1)


@pytest.mark.parametrize("parts", [(0,), (2,), (1, 1)])
def test_parts_that_begin_at_no_later_call_are_refused(parts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected ascending numbers of calls after the first"):
        CallJob(job_id="j", entry_point="f", solutions=(ADD,), calls=(Call((0,)), Call((1,))), parts=parts)


def test_an_expected_value_that_is_no_plain_data_is_refused(executor: LocalExecutor) -> None:
    job = CallJob(job_id="j", entry_point="f", solutions=(ADD,), calls=(Call((0,)),), expected=(object(),))
    with pytest.raises(TypeError, match="j: what is expected of call 0 is no plain data"):
        list(executor.call([job]))


def test_a_solution_that_did_other_than_expected_is_not_run_into_its_timeouts(executor: LocalExecutor) -> None:
    loops_later = "def f(x):\n    while x > 3:\n        pass\n    return -x\n"
    job = CallJob(
        job_id="j", entry_point="f", solutions=(loops_later,), calls=tuple(Call((x,)) for x in range(1, 40)),
        limits=Limits(cpu_s=100.0), expected=tuple(range(1, 40)),
    )  # fmt: skip
    started = time.monotonic()
    (outputs,) = executor.call([job])
    assert time.monotonic() - started < 60
    assert [outcome.verdict for outcome in outputs.outcomes[0][1:]] == [Verdict.NOT_RUN] * 38


def test_the_order_of_tests_and_solutions_changes_no_verdict_even_where_calls_time_out() -> None:
    """With so many timeouts that the rest is assumed, what is run first decides: that must not be the job's order."""
    late = "def f(x):\n    while x > 5:\n        pass\n    return x\n"
    solutions = [late, LOOP, SAME, "SEEN = []\n" + late]
    tests = [f"assert f({number}) == {number}" for number in (10, 1, 11, 2, 12, 3, 13, 4, 100)]
    tests += [test + UNLIFT for test in tests[:5]]
    with open_executor(workers=2, limits=Limits(cpu_s=0.1, max_timeouts=2)) as quick:
        straight = run(quick, solutions, tests)
        turned = run(quick, solutions[::-1], tests[::-1])
    assert np.array_equal(straight.letters, turned.letters[::-1, ::-1])
    assert straight.rows()[0][:9] == "TPTPTPTPT"
