"""``coderm generate`` and ``coderm sample`` against a real HTTP server on loopback."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections import Counter
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from generation_server import KEY, MODEL, ROOT, Handler, Reply, Server, as_json, fail_first

from coderm_tasks.cli import main

pytestmark = pytest.mark.usefixtures("tiny_datasets")

FENCE = "```"


def entry_point(body: dict[str, Any]) -> str:
    text = body["messages"][0]["content"] if "messages" in body else body["prompt"]
    named = re.search(r"function (?:named )?`(\w+)`|def (\w+)\(", text)
    assert named, text
    return named[1] or named[2]


def write_tests(body: dict[str, Any], number: int) -> str:
    name = entry_point(body)
    return f"{FENCE}python\nimport unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual({name}({number}), {number})\n{FENCE}"


def write_solutions(body: dict[str, Any], number: int) -> str:
    return f"{FENCE}python\ndef {entry_point(body)}(*values):\n    return {number}\n{FENCE}"


@pytest.fixture
def tester(server: Server) -> Server:
    server.write = write_tests
    return server


@pytest.fixture
def policy(server: Server) -> Server:
    server.write = write_solutions
    return server


def flags(server: Server, output: Path, *words: str, n: int = 4, dataset: str = "humaneval") -> list[str]:
    where = ["--base-url", server.url, "--model", MODEL, "--dataset", dataset, "--output", str(output)]
    return [*where, "--n", str(n), "--patience", "5", "--json", *words]


def blind(server: Server, output: Path, *words: str, **options: Any) -> list[str]:
    return ["generate", *flags(server, output, "--condition", "none", *words, **options)]


def sampling(server: Server, output: Path, *words: str, **options: Any) -> list[str]:
    return ["sample", *flags(server, output, *words, **options)]


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answers(output: Path) -> list[dict[str, Any]]:
    return records(output.with_name(f"{output.stem}.answers.jsonl"))[1:]


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    return said.err


def test_samples_go_into_a_file_that_evalplus_reads_in_the_order_of_the_data_set(policy, tmp_path, capsys):
    output = tmp_path / "samples.jsonl"
    assert main(sampling(policy, output, n=12)) == 0
    report = json.loads(capsys.readouterr().out)
    written = records(output)
    assert [record["task_id"] for record in written[::12]] == [f"HumanEval/{n}" for n in (0, 1, 2, 3, 32)]
    assert set(Counter(record["task_id"] for record in written).values()) == {12}
    assert all(record.keys() == {"task_id", "solution"} for record in written)
    assert "def total(*values):" in written[0]["solution"]
    assert (report["written"], report["wanted"], report["usable_share"]) == (60, 60, 1.0)
    assert report["finish_reasons"] == {"stop": report["completions"]}


@pytest.mark.parametrize(("words", "asked"), [((), True), (("--base",), 1)])
def test_samples_come_with_the_mean_log_probability_of_their_tokens(policy, tmp_path, words, asked):
    output = tmp_path / "samples.jsonl"
    assert main(sampling(policy, output, "--logprobs", *words, n=4)) == 0
    assert policy.asked[-1]["logprobs"] == asked
    by_task = {}
    for record in records(output):
        by_task.setdefault(record["task_id"], []).append(record["mean_logprob"])
    assert set(map(tuple, by_task.values())) == {(-1.0, -2.0, -3.0, -4.0)}
    assert main(sampling(policy, output, "--logprobs", *words, "--stored-only", n=4)) == 0
    assert all("mean_logprob" in record for record in records(output))


def test_log_probabilities_that_do_not_come_end_the_run_before_it_is_long(policy, tmp_path, capsys):
    policy.gives_logprobs = False
    said = refused(capsys, sampling(policy, tmp_path / "samples.jsonl", "--logprobs"))
    assert "answers without log-probabilities: leave logprobs out" in said


def test_log_probabilities_are_not_asked_of_an_engine_that_gives_none(tmp_path, capsys):
    words = [
        "sample",
        "--dataset",
        "humaneval",
        "--output",
        str(tmp_path / "s.jsonl"),
        "--engine",
        "hf",
        "--model",
        "m",
    ]
    assert "logprobs is set with engine 'hf', which gives none" in refused(capsys, [*words, "--logprobs"])


def test_tests_are_generated_for_the_samples_and_feed_rerank(server, tmp_path, capsys):
    server.write = write_solutions
    samples, output = tmp_path / "samples.jsonl", tmp_path / "tests.jsonl"
    assert main(sampling(server, samples, n=3)) == 0
    server.write = write_tests
    assert main(["generate", *flags(server, output, "--samples", str(samples))]) == 0
    report = json.loads(capsys.readouterr().out.split("}\n{")[-1].join(["{", ""]))
    assert report["written"] == 20
    asked = [body["messages"][0]["content"] for body in server.asked[-report["requests"] :]]
    assert all("### code solution\ndef " in text for text in asked)
    assert {record["task_id"] for record in records(output)} == {f"HumanEval/{n}" for n in (0, 1, 2, 3, 32)}
    from coderm_tasks.generation.bank import load_bank

    assert len(load_bank(output, [f"HumanEval/{n}" for n in (0, 1, 2, 3, 32)])["HumanEval/0"]) == 4


@pytest.mark.parametrize("condition", ["first", "rotate"])
def test_the_condition_says_which_solutions_are_shown(tester, tmp_path, condition):
    samples = tmp_path / "samples.jsonl"
    codes = [f"def total(numbers):\n    return {n}\n" for n in (7, 7, 8)] + [
        "def total(numbers):\n    return 7  # same\n"
    ]
    samples.write_text("".join(json.dumps({"task_id": "HumanEval/0", "solution": code}) + "\n" for code in codes))
    words = ("--samples", str(samples), "--condition", condition, "--limit", "1")
    assert main(["generate", *flags(tester, tmp_path / "tests.jsonl", *words, n=35)]) == 0
    shown = Counter(re.findall(r"return (\d)", body["messages"][0]["content"])[0] for body in tester.asked)
    assert shown == ({"7": 4} if condition == "first" else {"7": 2, "8": 2})


def test_the_same_command_asks_nothing_again_and_a_larger_n_only_the_rest(policy, tmp_path, capsys):
    output = tmp_path / "samples.jsonl"
    assert main(sampling(policy, output, n=4)) == 0
    before, asked = records(output), len(policy.asked)
    assert main(sampling(policy, output, n=4)) == 0
    assert (records(output), len(policy.asked)) == (before, asked)
    assert main(sampling(policy, output, n=20)) == 0
    assert Counter(body["n"] for body in policy.asked[asked:]) == {10: 5, 6: 5}
    kept = [record["solution"] for record in before if record["task_id"] == "HumanEval/0"]
    assert [record["solution"] for record in records(output)][:4] == kept


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--temperature", "0.2"], "temperature = 0.8, and this run has 0.2"),
        (["--top-p", "0.5"], "top_p = 0.95"),
        (["--max-tokens", "77"], "max_tokens = 1024, and this run has 77"),
        (["--seed", "3"], "seed = 0, and this run has 3"),
        (["--base"], "chat = True"),
        (["--dataset", "mbpp"], "dataset = 'humaneval', and this run has 'mbpp'"),
    ],
)
def test_an_output_written_with_other_parameters_is_refused_and_left_alone(policy, tmp_path, capsys, words, named):
    output = tmp_path / "samples.jsonl"
    assert main(sampling(policy, output)) == 0
    capsys.readouterr()
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    asked = len(policy.asked)
    assert named in refused(capsys, [*sampling(policy, output), *words])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert len(policy.asked) == asked


def test_samples_are_not_mixed_with_tests(policy, tmp_path, capsys):
    output = tmp_path / "out.jsonl"
    assert main(sampling(policy, output)) == 0
    capsys.readouterr()
    assert "kind = 'solutions', and this run has 'tests'" in refused(
        capsys, blind(policy, output, "--max-tokens", "1024")
    )


def test_a_file_that_the_command_did_not_write_is_never_replaced(policy, tmp_path, capsys):
    output = tmp_path / "mine.jsonl"
    output.write_text("my only copy\n")
    assert "mine.answers.jsonl, from which it would have been written, does not" in refused(
        capsys, sampling(policy, output)
    )
    assert output.read_text() == "my only copy\n"


def test_an_answer_without_code_stays_in_as_an_empty_sample(policy, tmp_path, capsys):
    policy.write = lambda body, n: "I am sorry." if n % 2 else write_solutions(body, n)
    output = tmp_path / "samples.jsonl"
    assert main(sampling(policy, output, "--limit", "1")) == 0
    assert [bool(record["solution"]) for record in records(output)] == [True, False, True, False]
    assert json.loads(capsys.readouterr().out)["dropped"] == {"no code found": 2}


def test_a_base_model_continues_the_prompt(policy, tmp_path):
    policy.write = lambda body, n: f"    return {n}\n"
    output = tmp_path / "samples.jsonl"
    assert main(sampling(policy, output, "--base", "--limit", "1")) == 0
    assert set(policy.paths) == {"/v1/completions"}
    assert records(output)[0]["solution"].rstrip().endswith("return 0")


def test_greedy_decoding_asks_for_one_answer(policy, tester, tmp_path):
    assert main(sampling(policy, tmp_path / "samples.jsonl", "--temperature", "0", "--limit", "1", n=1)) == 0
    assert [body["n"] for body in policy.asked] == [1]


def test_the_generator_of_the_configuration_file_is_used(tester, tmp_path, monkeypatch):
    file = tmp_path / "coderm.toml"
    file.write_text(f'[generator]\nbase_url = "{tester.url}"\nmodel = "{MODEL}"\nmax_tokens = 99\nprompt = "asserts"\n')
    monkeypatch.setenv("CODERM_CONFIG", str(file))
    output = tmp_path / "tests.jsonl"
    assert main(["generate", "--dataset", "humaneval", "--output", str(output), "--n", "2", "--limit", "1"]) == 0
    assert {body["max_tokens"] for body in tester.asked} == {99}


def test_the_key_is_sent_and_neither_stored_nor_printed(policy, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MY_KEY", KEY)
    assert main(["-v", *sampling(policy, tmp_path / "samples.jsonl", "--api-key-env", "MY_KEY", "--limit", "1")]) == 0
    assert set(policy.keys) == {f"Bearer {KEY}"}
    said = capsys.readouterr()
    assert KEY not in said.out + said.err + "".join(path.read_text() for path in tmp_path.iterdir())


class TestBadInput:
    def test_no_place_to_ask(self, capsys, tmp_path):
        said = refused(
            capsys, ["sample", "--dataset", "humaneval", "--model", "m", "--output", str(tmp_path / "o.jsonl")]
        )
        assert "give --base-url http://HOST:PORT/v1, or --engine vllm or hf" in said

    def test_two_places(self, policy, capsys, tmp_path):
        assert "expected one of them" in refused(capsys, sampling(policy, tmp_path / "o.jsonl", "--engine", "hf"))

    def test_no_model(self, policy, capsys, tmp_path):
        words = ["sample", "--dataset", "humaneval", "--base-url", policy.url, "--output", str(tmp_path / "o.jsonl")]
        assert "got no --model" in refused(capsys, words)

    def test_a_dead_endpoint(self, capsys, tmp_path):
        dead = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{dead.server_address[1]}/v1"
        dead.server_close()
        words = [
            "sample",
            "--dataset",
            "humaneval",
            "--model",
            "m",
            "--base-url",
            url,
            "--output",
            str(tmp_path / "o.jsonl"),
        ]
        said = refused(capsys, words)
        assert "cannot be reached (connection refused): start the server there, or set base_url" in said

    def test_a_wrong_model(self, policy, capsys, tmp_path):
        said = refused(capsys, [*sampling(policy, tmp_path / "o.jsonl"), "--model", "tiny-codr"])
        assert "did you mean 'tiny-coder'?" in said
        assert policy.asked == []
        assert main(sampling(policy, tmp_path / "o.jsonl")) == 0  # the corrected command is not held to the mistake

    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (as_json(401, {"error": {"message": "who are you"}}), "wants an API key: $OPENAI_API_KEY is not set"),
            ((200, "text/html", b"<html>Welcome</html>"), "answered HTML instead of JSON where a list of models was"),
            ((302, "text/html", b""), "answers 302"),
        ],
        ids=["missing key", "HTML", "redirect"],
    )
    def test_an_endpoint_that_is_none(self, policy, capsys, tmp_path, reply, said):
        policy.fault = lambda path, body: reply
        assert said in refused(capsys, sampling(policy, tmp_path / "o.jsonl"))

    def test_empty_choices_end_the_run_and_what_was_generated_stays(self, policy, tmp_path, capsys):
        output = tmp_path / "samples.jsonl"
        assert main(sampling(policy, output)) == 0
        kept = answers(output), records(output)
        policy.fault = lambda path, body: as_json(200, {"choices": []}) if body else None
        capsys.readouterr()
        assert main(sampling(policy, output, n=20)) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert "answered no choices where completions was expected" in " ".join(said.split())
        assert (answers(output), records(output)) == kept

    def test_a_context_shorter_than_the_prompt_is_found_before_tokens_are_spent(self, policy, tmp_path, capsys):
        models = {"data": [{"id": MODEL, "max_model_len": 1100}]}

        def vllm(path: str, body: dict[str, Any]) -> Reply | None:
            if path == "/v1/models":
                return as_json(200, models)
            return as_json(200, {"count": 90}) if path == "/tokenize" else None

        policy.fault = vllm
        said = refused(capsys, sampling(policy, tmp_path / "o.jsonl"))
        assert "the longest prompt has 90 tokens and max_tokens is 1024, and the context holds 1100" in said
        assert "lower max_tokens to 1010, or serve with a larger --max-model-len" in said
        assert set(policy.paths) == {"/tokenize"}

    def test_a_prompt_that_one_problem_alone_is_too_long_for(self, policy, tmp_path, capsys):
        def refuse(path: str, body: dict[str, Any]) -> Reply | None:
            if body and entry_point(body) == "halve":
                return as_json(400, {"error": {"message": "maximum context length is 12"}})
            return None

        policy.fault = refuse
        output = tmp_path / "samples.jsonl"
        assert main(sampling(policy, output)) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "1 of 5 problems were refused, HumanEval/1 first" in said
        assert {record["task_id"] for record in records(output)} == {f"HumanEval/{n}" for n in (0, 2, 3, 32)}

    def test_a_data_set_without_question_text(self, tester, tmp_path, capsys, monkeypatch, tiny_humaneval_file):
        lines = tiny_humaneval_file.read_text().splitlines()
        mute = {**json.loads(lines[0]), "prompt": "def total(numbers):\n"}
        file = tmp_path / "mute.jsonl"
        file.write_text("\n".join([json.dumps(mute), *lines[1:]]) + "\n")
        monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(file))
        said = refused(capsys, blind(tester, tmp_path / "o.jsonl"))
        assert "HumanEval/0: the prompt holds no question text" in said
        assert tester.asked == []

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--n", "0"], "n is 0: expected at least 1"),
            (["--limit", "0"], "limit is 0"),
            (["--temperature", "-1"], "--temperature is -1.0: expected a value from 0 to 10"),
            (["--top-p", "0"], "--top-p is 0.0"),
            (["--max-tokens", "0"], "--max-tokens is 0: expected at least 1"),
            (["--concurrency", "0"], "--concurrency is 0"),
            (["--dataset", "humanevil"], "unknown --dataset 'humanevil' (did you mean 'humaneval'?)"),
            (["--temperature", "0"], "greedy decoding gives copies of one solution"),
            (["--engine-arg", "dtype=float32"], "--engine-args are set for an endpoint"),
            (["--engine-arg", "float32"], "expected NAME=VALUE such as max_model_len=8192"),
            (["--output", "/nowhere/at/all.jsonl"], "its folder /nowhere/at does not exist"),
        ],
    )  # fmt: skip
    def test_a_value_that_cannot_be_used(self, policy, tmp_path, capsys, words, said):
        assert said in refused(capsys, [*sampling(policy, tmp_path / "o.jsonl"), *words])
        assert policy.asked == []

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([], "there are no samples: give samples, or set condition to 'none', which asks with 'unittest-blind'"),
            (["--prompt", "codrm"], "unknown prompt 'codrm' (did you mean 'coderm'?)"),
            (["--condition", "fisrt"], "--condition is 'fisrt' (did you mean 'first'?)"),
            (["--prompt", "asserts", "--condition", "rotate"], "the prompt 'asserts' shows no solution"),
            (["--prompt", "coderm", "--condition", "none"], "shows a candidate solution, and condition is 'none'"),
            (["--samples", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        ],
    )  # fmt: skip
    def test_prompts_and_conditions_that_do_not_go_together(self, tester, tmp_path, capsys, words, said):
        assert said in refused(capsys, ["generate", *flags(tester, tmp_path / "o.jsonl"), *words])
        assert tester.asked == []

    @pytest.mark.parametrize("code", ["", "  \n"])
    def test_samples_without_any_code(self, tester, tmp_path, capsys, code):
        samples = tmp_path / "samples.jsonl"
        samples.write_text(json.dumps({"task_id": "HumanEval/0", "solution": code}) + "\n")
        words = ["generate", *flags(tester, tmp_path / "o.jsonl"), "--samples", str(samples)]
        assert "holds no code for any of the 5 problems" in refused(capsys, words)


def command(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "coderm_tasks", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_run_that_was_killed_is_finished_by_the_same_command(policy, tmp_path):
    output = tmp_path / "samples.jsonl"
    reached, release = threading.Event(), threading.Event()

    def hold_the_fourth(path: str, body: dict[str, Any]) -> Reply | None:
        if len(policy.asked) == 4:
            reached.set()
            release.wait(60)
        return None

    policy.fault = hold_the_fourth
    words = sampling(policy, output, "--concurrency", "1", n=20)
    with subprocess.Popen(command(words), env=environment(), stdout=subprocess.DEVNULL) as run:
        assert reached.wait(60)
        run.send_signal(signal.SIGKILL)
    release.set()
    policy.fault = lambda path, body: None
    kept = answers(output)
    assert len(kept) == 3
    assert not output.exists()
    done = subprocess.run(command(words), env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reused"] == 3
    assert answers(output)[:3] == kept
    assert len({answer["key"] for answer in answers(output)}) == len(answers(output)) == 10
    assert set(Counter(record["task_id"] for record in records(output)).values()) == {20}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_its_answers_and_says_so(policy, tmp_path, number):
    output = tmp_path / "samples.jsonl"
    reached, release = threading.Event(), threading.Event()

    def hold(path: str, body: dict[str, Any]) -> Reply | None:
        if len(policy.asked) == 3:
            reached.set()
            release.wait(60)
        return None

    policy.fault = hold
    words = sampling(policy, output, "--concurrency", "1")
    with subprocess.Popen(command(words), env=environment(), stderr=subprocess.PIPE, text=True) as run:
        assert reached.wait(60)
        run.send_signal(number)
        release.set()
        _, said = run.communicate(timeout=60)
    assert run.returncode == {signal.SIGINT: 130, signal.SIGTERM: 128 + signal.SIGTERM}[number], said
    assert "Traceback" not in said
    assert number != signal.SIGINT or "the answers so far are in .answers.jsonl beside the output" in said
    assert len(answers(output)) >= 2
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def small_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))


def test_a_full_disk_ends_the_run_in_one_line_and_keeps_what_fits(policy, tmp_path):
    # A limit on the size of a file fails writes half-way, as a full disk does.
    output = tmp_path / "samples.jsonl"
    words = sampling(policy, output, "--concurrency", "2", n=10)
    full = subprocess.run(
        command(words), env=environment(), capture_output=True, text=True, timeout=120, preexec_fn=small_files
    )
    assert full.returncode == 2
    assert full.stdout == ""
    assert "samples.answers.jsonl: cannot be written (File too large)" in full.stderr
    assert "free space and run again" in full.stderr
    kept = answers(output)
    assert 1 <= len(kept) < 5
    done = subprocess.run(command(words), env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reused"] == len(kept)
    assert set(Counter(record["task_id"] for record in records(output)).values()) == {10}


def test_a_server_that_stalls_is_asked_again_in_time(policy, tmp_path, capsys):
    release = threading.Event()
    stalled = []

    def stall(path: str, body: dict[str, Any]) -> Reply | None:
        if body and not stalled:
            stalled.append(body)
            release.wait(60)
        return None

    policy.fault = stall
    output = tmp_path / "samples.jsonl"
    try:
        assert main(sampling(policy, output, "--timeout", "0.5")) == 0
    finally:
        release.set()
    assert set(Counter(record["task_id"] for record in records(output)).values()) == {4}
    assert "no answer within 0.5 s; asking again" in " ".join(capsys.readouterr().err.split())


def test_a_burst_of_429_is_survived(policy, tmp_path):
    burst = fail_first(6, as_json(429, {}))
    policy.fault = lambda path, body: burst(path, body) if body else None
    output = tmp_path / "samples.jsonl"
    assert main(sampling(policy, output)) == 0
    assert set(Counter(record["task_id"] for record in records(output)).values()) == {4}
    assert len({answer["key"] for answer in answers(output)}) == len(answers(output)) == 5


def test_the_output_can_be_written_from_the_stored_answers_alone(policy, tmp_path, capsys):
    output = tmp_path / "samples.jsonl"
    assert main(sampling(policy, output, n=10)) == 0
    output.unlink()
    policy.fault = lambda path, body: as_json(500, {})
    capsys.readouterr()
    assert main(sampling(policy, output, "--stored-only", n=10)) == 0
    assert len(records(output)) == 50
    assert json.loads(capsys.readouterr().out)["requests"] == 0
