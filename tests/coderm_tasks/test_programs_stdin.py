"""Whole programs in the sandbox: the ways in which they read, print and end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.programs import RUN_PROGRAM, call_job, cell_job, judge_context, module_of
from coderm_tasks.programs.stdin_program import canonical
from executor import Call, Limits, LocalExecutor, Outcome, open_executor
from executor.purity import look_at

PROBLEM = Problem(
    task_id="own/1",
    dataset="livecodebench",
    prompt="Read and print.",
    entry_point=RUN_PROGRAM,
    truth=GroundTruth(),
    context=judge_context("stdin", RUN_PROGRAM),
    form="stdin",
)
THREE = "3\n1 2 3\n"


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with open_executor(workers=1, limits=Limits(cpu_s=3, wall_s=30)) as running:
        yield running


def outcomes(executor: LocalExecutor, programs: Sequence[str], *stdins: str) -> tuple[tuple[Outcome, ...], ...]:
    (outputs,) = executor.call([call_job(PROBLEM, programs, [Call((stdin,)) for stdin in stdins])])
    return outputs.outcomes


def printed(executor: LocalExecutor, program: str, stdin: str = THREE) -> object:
    ((outcome,),) = outcomes(executor, [program], stdin)
    return outcome.value if outcome.kind == "value" else outcome


READERS = {
    "input": "n = int(input())\nprint(sum(map(int, input().split())))",
    "sys.stdin.read": "import sys\nprint(sum(map(int, sys.stdin.read().split()[1:])))",
    "readline under another name": "import sys\ninput = sys.stdin.readline\ninput()\nprint(sum(map(int, input().split())))",
    "readlines": "import sys\nprint(sum(map(int, sys.stdin.readlines()[1].split())))",
    "iteration": "import sys\n_, line = sys.stdin\nprint(sum(map(int, line.split())))",
    "buffer": "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split()[1:])))",
    "buffer.readline": "import sys\nr = sys.stdin.buffer.readline\nr()\nprint(sum(map(int, r().split())))",
    "open(0)": "print(sum(map(int, open(0).read().split()[1:])))",
    "open(0).readlines": "print(sum(map(int, open(0).readlines()[1].split())))",
    "os.read of the file's size": "import os\nprint(sum(map(int, os.read(0, os.fstat(0).st_size).split()[1:])))",
    "os.read in pieces": (
        "import os, sys\nfd, parts = sys.stdin.fileno(), []\nwhile True:\n    part = os.read(fd, 3)\n    if not part:\n"
        "        break\n    parts.append(part)\nprint(sum(map(int, b''.join(parts).split()[1:])))"
    ),
    "open of /dev/stdin": "print(sum(map(int, open('/dev/stdin').read().split()[1:])))",
    "open(0) for bytes": "print(sum(map(int, open(0, 'rb').read().split()[1:])))",
    "io.open without a buffer": "import io\nprint(sum(map(int, io.open(0, 'rb', 0).readall().split()[1:])))",
    "fdopen": "import os\nprint(sum(map(int, os.fdopen(0).read().split()[1:])))",
    "input beside a buffered reader": "import sys\ninput()\nprint(sum(map(int, sys.stdin.buffer.read().split() or sys.stdin.read().split() or [6])))",
    "fileinput": "import fileinput\nlines = list(fileinput.input())\nprint(sum(map(int, lines[1].split())))",
    "until EOFError": (
        "total = 0\nwhile True:\n    try:\n        total += sum(map(int, input().split()))\n    except EOFError:\n"
        "        break\nprint(total - 3)"
    ),
    "main part": "def main():\n    input()\n    print(sum(map(int, input().split())))\n\nif __name__ == '__main__':\n    main()",
    "comprehension over its own globals": "n = int(input())\nk = 2\nprint(sum(int(x) * k for x in input().split()) // k)",
}


@pytest.mark.parametrize("name", READERS)
def test_a_program_reads_as_it_would_from_a_terminal_or_a_file(name: str, executor: LocalExecutor) -> None:
    assert printed(executor, READERS[name]) == "6\n"


WRITERS = {
    "print": "print('a', 1)",
    "sys.stdout.write": "import sys\nsys.stdout.write('a 1\\n')",
    "buffer": "import sys\nsys.stdout.buffer.write(b'a 1\\n')",
    "os.write": "import os\nos.write(1, b'a 1\\n')",
    "open(1)": "with open(1, 'w') as out:\n    out.write('a 1\\n')",
    "open(1) that nobody closes": "out = open(1, 'w')\nout.write('a 1\\n')",
    "open of /dev/stdout": "with open('/dev/stdout', 'w') as out:\n    out.write('a 1\\n')",
    "bytes in two ways": "import os, sys\nsys.stdout.write('a ')\nsys.stdout.flush()\nos.write(1, b'1\\n')",
    "fdopen": "import os\nwith os.fdopen(1, 'w') as out:\n    print('a 1', file=out)",
    "a stream of its own, written at exit": (
        "import atexit, io, os, sys\nsys.stdout = io.StringIO()\n"
        "atexit.register(lambda: os.write(1, sys.stdout.getvalue().encode()))\nprint('a 1')"
    ),
    "a thread with a large stack": (
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 27)\n"
        "def deep(n):\n    return 1 if n == 0 else deep(n - 1)\n"
        "def main():\n    print('a', deep(20000))\nthread = threading.Thread(target=main)\nthread.start()\nthread.join()"
    ),
    "a thread that nobody waits for": (
        "import threading, time\ndef late():\n    time.sleep(0.05)\n    print('a 1')\nthreading.Thread(target=late).start()"
    ),
    "recursion as deep as the evaluator allows": "def deep(n):\n    return 1 if n == 0 else deep(n - 1)\nprint('a', deep(5000))",
    "an integer longer than Python prints": "s = str(10**9999)\nprint('a', s[0])",
    "standard error beside it": "import sys\nprint('debug', file=sys.stderr)\nprint('a 1')",
    "a prompt that is empty": "print('a', len(input('')))",
    "what the evaluator imports": "print('a', gcd(3, 7)) if Counter('ab')['a'] == 1 else print(0)",
    "a dataclass": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nprint('a', P(1).x)",
    "a future import": "from __future__ import annotations\ndef f(x: Nothing) -> List[int]:\n    return [1]\nprint('a', *f(0))",
}


@pytest.mark.parametrize("name", WRITERS)
def test_whatever_reaches_standard_output_is_the_output(name: str, executor: LocalExecutor) -> None:
    assert printed(executor, WRITERS[name]) == "a 1\n"


@pytest.mark.parametrize(
    "way_out",
    [
        "exit()",
        "quit()",
        "import sys\nsys.exit()",
        "import sys\nsys.exit(0)",
        "raise SystemExit",
        "import os, sys\nsys.stdout.flush()\nos._exit(0)",
        "exit(0)",
    ],
)
def test_a_clean_exit_keeps_what_was_printed(way_out: str, executor: LocalExecutor) -> None:
    assert printed(executor, f"print('a')\n{way_out}\nprint('b')") == "a\n"


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("print('a')\n1 / 0", "ZeroDivisionError"),
        ("import sys\nprint('a')\nsys.exit(1)", "SystemExit"),
        ("import sys\nsys.exit('message')", "SystemExit"),
        ("print(input(), input(), input())", "EOFError"),
        ("def f(:", "SyntaxError"),
        ("print(nothing)", "NameError"),
        ("x = '\\udc80'\nprint(x", "SyntaxError"),
    ],
)
def test_an_error_or_a_nonzero_exit_is_no_output(program: str, error: str, executor: LocalExecutor) -> None:
    outcome = printed(executor, program)
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.error) == ("raised", error)


def test_a_program_that_loops_is_stopped(executor: LocalExecutor) -> None:
    outcome = printed(executor, "while True:\n    pass")
    assert isinstance(outcome, Outcome)
    assert outcome.verdict.name == "TIMEOUT"


def test_large_input_and_output_go_through(executor: LocalExecutor) -> None:
    numbers = "\n".join(map(str, range(100_000)))
    assert printed(executor, "import sys\nsys.stdout.write(sys.stdin.read())", numbers) == numbers
    assert printed(executor, "import os\nprint(len(os.read(0, os.fstat(0).st_size)))", numbers) == f"{len(numbers)}\n"
    assert printed(executor, "print(1)", numbers) == "1\n"


def test_a_program_that_prints_without_end_is_stopped_by_what_it_printed(executor: LocalExecutor) -> None:
    outcome = printed(executor, "while True:\n    print('x' * 1_000_000)")
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.error) == ("raised", "MemoryError")


def test_no_thread_is_needed_to_read_or_print(executor: LocalExecutor) -> None:
    # Where many boxes share a user, the limit on its threads leaves none.
    program = "import threading\nprint(threading.active_count(), len(open(0).read()))"
    assert printed(executor, program, "x" * 3_000_000) == "1 3000000\n"


def test_input_that_no_program_reads_does_not_hold_it_up(executor: LocalExecutor) -> None:
    assert printed(executor, "import os\nos.close(0)\nprint(1)", "x" * 200_000) == "1\n"


def test_text_beyond_ascii_arrives(executor: LocalExecutor) -> None:
    assert printed(executor, "print(input()[::-1])", "é√\n") == "√é\n"


def test_each_call_starts_the_program_afresh(executor: LocalExecutor) -> None:
    program = "import collections, sys\ncollections.seen = getattr(collections, 'seen', 0) + 1\nprint(input(), collections.seen)"
    ((first, second),) = outcomes(executor, [program], "a\n", "b\n")
    assert (first.value, second.value) == ("a 1\n", "b 1\n")


def test_a_test_that_runs_the_program_twice_gets_two_runs(executor: LocalExecutor) -> None:
    test = "assert run_program('1\\n') == '2' and run_program('5\\n') == '10'"
    (matrix,) = executor.run([cell_job(PROBLEM, ["total = int(input())\ntotal *= 2\nprint(total)"], [test])])
    assert matrix.rows() == ["P"]


def test_a_program_is_never_taken_for_stateless() -> None:
    assert not look_at(module_of(PROBLEM, "print(1)")).stateless


@pytest.mark.parametrize(
    "other",
    [
        "# Greets.\nprint( 'hi' , 1)\n",
        '"""Greets."""\n\nprint("hi", 1)',
        "print('hi',\n      1)  # done",
    ],
)
def test_programs_that_differ_in_comments_docstrings_and_formatting_are_one(other: str) -> None:
    assert look_at(module_of(PROBLEM, other)).key == look_at(module_of(PROBLEM, "print('hi', 1)")).key


def test_programs_that_differ_in_meaning_are_two() -> None:
    assert look_at(module_of(PROBLEM, "print(1)")).key != look_at(module_of(PROBLEM, "print(2)")).key


@pytest.mark.parametrize(
    "program", ["def f(:", "\0", "(" * 500, "x = " + "-" * 5000 + "1", "print(__doc__)", '"""a"""\nprint(__doc__)']
)
def test_what_has_no_other_spelling_stays_as_it_is(program: str) -> None:
    assert canonical(program) == program or "__doc__" in canonical(program)


def test_identical_programs_run_once(executor: LocalExecutor) -> None:
    solutions = ["print(1)", "print( 1 )  # one", "print(2)"]
    (matrix,) = executor.run([cell_job(PROBLEM, solutions, ["assert run_program('') == '1'"])])
    assert matrix.rows() == ["P", "P", "F"]
    assert matrix.stats.unique_solutions == 2


JUDGED = [
    ("assert run_program('x\\n') == '0.5\\n2\\n'", "P"),
    ("assert run_program('x\\n') == '0.5\\n2'", "P"),
    ("assert '0.50\\n2.0' == run_program('x\\n')", "P"),
    ("assert run_program('x\\n').strip() == ' 0.5  \\n2 '", "P"),
    ("assert run_program('x\\n') != '0.6\\n2'", "P"),
    ("assert run_program('x\\n') == '0.5 2'", "F"),
    ("assert run_program('x\\n') == '0.6\\n2'", "F"),
    ("assert not (run_program('x\\n') != '0.5\\n2')", "P"),
    ("assert run_program('x\\n') in ('1', '0.5\\n2')", "P"),
    ("assert run_program('x\\n').split() == ['0.5', '2']", "P"),
    ("class T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(run_program('x'), '0.5\\n2')", "P"),
    ("class T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual('0.5\\n3', run_program('x'))", "F"),
    (
        "class T(unittest.TestCase):\n    def test_a(self):\n        self.assertMultiLineEqual(run_program('x'), '0.5\\n2')",
        "P",
    ),
    ("assert run_program(3) == '0.5'", "E"),
    ("assert True", "I"),
    ("for text in ('a', 'b'):\n    assert run_program(text) == '0.5\\n2'", "P"),
]


def test_tests_compare_by_the_official_rule_whatever_side_the_output_stands_on(executor: LocalExecutor) -> None:
    (matrix,) = executor.run([cell_job(PROBLEM, ["print(0.5)\nprint(2)"], [test for test, _ in JUDGED])])
    assert matrix.rows() == ["".join(letter for _, letter in JUDGED)]
    assert not matrix.shared.any()


FORGERIES = {
    "a text that is equal to everything": "class Yes(str):\n    def __eq__(self, other):\n        return True\n    __hash__ = str.__hash__\nimport sys\nsys.modules['__main__'].__dict__\nimport builtins\nbuiltins.print(Yes('no'))",
    "the harness replaced": "import sys\nsys.modules['solution'].coderm_run = lambda *a: type('Y', (str,), {'__eq__': lambda s, o: True})('no')\nsys.modules['solution'].run_program = sys.modules['solution'].coderm_run\nprint('no')",
    "a frame written to the judge": "import os\nos.write(4, b'\\x00\\x00\\x00\\x0f[\"verdict\",\"P\",1]')\nprint('no')",
    "a reply of its own": 'import os\nos.write(4, b\'\\x00\\x00\\x00\\x0b["v","same"]\')\nos._exit(0)',
    "the judge's helper by name": "import sys\nsys.modules['solution'].coderm_printed = str\nsys.modules['solution'].same_output = lambda *a: True\nprint('no')",
    "unittest patched": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\nprint('no')",
    "what is no text": "import sys\nsys.modules['solution'].run_program = lambda *a: True\nprint('no')",
}


def test_a_program_cannot_forge_its_way_past_a_test(executor: LocalExecutor) -> None:
    tests = [
        "assert run_program('x') == 'yes'",
        "class T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(run_program('x'), 'yes')",
        "assert run_program('x') == 'yes' and run_program('y') == 'yes'",
    ]
    (matrix,) = executor.run([cell_job(PROBLEM, list(FORGERIES.values()), tests)])
    assert not matrix.passed.any(), dict(zip(FORGERIES, matrix.rows()))
