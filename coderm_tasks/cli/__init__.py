"""The ``coderm`` command. Each verb is a module, imported only when it is the one that runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Annotated, Any

import typer
from msgspec import Struct

import coderm_tasks
from coderm_tasks.errors import CoderMError

__all__ = ["build_app", "main"]

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
_ANSWERS_KEPT = "interrupted; the answers so far are in .answers.jsonl beside the output; the same command goes on"
_INTERRUPTED = {
    "synth": "interrupted; answers and finished questions are kept, and the same command goes on from there",
    "export": "interrupted; what is written is kept, and the same command goes on from there",
    "study": "interrupted; executed verdicts are in the cache, and the same command goes on from there",
    "serve": "interrupted; what was accepted and not yet answered is lost",
    "generate": _ANSWERS_KEPT,
    "sample": _ANSWERS_KEPT,
    "rerank": "interrupted; executed verdicts are in the cache, and the same command goes on from there",
}
_COMPLETION_VARIABLE = "_CODERM_COMPLETE"
# typer carries a copy of click since 0.2x, so "click.UsageError" is not always the class it raises; this is.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class _Verb(Struct, frozen=True):
    name: str
    module: str
    attribute: str
    help: str
    """One line for ``coderm --help``, which loads no verb."""
    group: bool = False


_VERBS = (
    _Verb("rerank", "coderm_tasks.cli.rerank", "rerank", "Choose one sample per problem by unit tests."),
    _Verb("generate", "coderm_tasks.cli.generate", "generate", "Let a model write unit tests for a data set."),
    _Verb("sample", "coderm_tasks.cli.sample", "sample", "Let a model write solutions for a data set."),
    _Verb("evaluate", "coderm_tasks.cli.evaluate", "evaluate", "Grade samples with EvalPlus's tests in the sandbox."),
    _Verb("study", "coderm_tasks.cli.study", "study", "Show what tests, samples and strategies buy: figures, report."),
    _Verb("compare", "coderm_tasks.cli.compare", "compare", "Compare two selections with labels: paired interval."),
    _Verb("serve", "coderm_tasks.cli.serve", "serve", "Reward completions over HTTP, for training loops."),
    _Verb("export", "coderm_tasks.cli.export", "app", "Turn a run into training data: pairs, rewards, tests.", True),
    _Verb("synth", "coderm_tasks.cli.synth", "synth", "Make training data for a test generator: tests that hold."),
    _Verb("bundle", "coderm_tasks.cli.bundle", "app", "Write a run as a leaderboard takes it; check that.", True),
    _Verb("doctor", "coderm_tasks.cli.doctor", "doctor", "Show what works on this machine and how to mend the rest."),
    _Verb("prompts", "coderm_tasks.cli.prompts", "app", "Show the prompts that ask a model for unit tests.", True),
    _Verb("difficulty", "coderm_tasks.cli.difficulty", "app", "Predict how hard problems are.", True),
    _Verb("cache", "coderm_tasks.cli.cache", "app", "Look at or clear the cache of verdicts.", True),
    _Verb("task-path", "coderm_tasks.cli.task_path", "task_path", "Print the folder of the lm-eval tasks."),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 a check failed, 2 an error of the user's or the
    machine's, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        with _terminating():
            # An int is the code of a typer.Exit; typer since 0.2x turns Ctrl-C into one of 130.
            result = build_app(arguments)(args=arguments, prog_name="coderm", standalone_mode=False)
            code = result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a verb: its message is the whole help text
            typer.echo(_message(error), err=True)
            return EXIT_ERROR
        return _complain(f"{_message(error)} (try: {_help_command(error)})")
    except CoderMError as error:
        return _complain(str(error))
    except Exception as error:
        # Imported late: they bring numpy, which `coderm --help` should not wait for.
        from coderm_tasks.cli.limit_flags import in_flags
        from difficulty.errors import DifficultyError
        from executor.errors import ExecutorError, LimitsError

        if isinstance(error, LimitsError):
            return _complain(in_flags(error))
        if not isinstance(error, (DifficultyError, ExecutorError)):
            raise
        return _complain(str(error))
    if code == EXIT_INTERRUPTED:
        _complain(_INTERRUPTED.get(arguments[0], "interrupted; no result was written"))
    return code


def build_app(arguments: Sequence[str] | None = None) -> typer.Typer:
    """Build the command tree. Of the verbs only the one named in ``arguments`` is loaded; all of them for None."""
    everything = arguments is None or _COMPLETION_VARIABLE in os.environ
    called = next((word for word in arguments or () if not word.startswith("-")), None)
    app = typer.Typer(
        name="coderm",
        help="Pick the best of N programs by model-written unit tests, run in a sandbox (CodeRM, arXiv 2501.01054).",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for verb in _VERBS:
        _register(app, verb, load=everything or verb.name == called)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"coderm-tasks {coderm_tasks.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on standard error.")] = False,
) -> None:
    from coderm_tasks.cli.console import configure_logging

    configure_logging(verbose=verbose)


def _register(app: typer.Typer, verb: _Verb, *, load: bool) -> None:
    if not load:
        app.command(verb.name, help=verb.help)(_unloaded)
        return
    part: Any = getattr(import_module(verb.module), verb.attribute)
    if verb.group:
        app.add_typer(part, name=verb.name, short_help=verb.help)
    else:
        app.command(verb.name, short_help=verb.help)(part)


def _unloaded() -> None:
    raise AssertionError("a verb ran that was not loaded")  # build_app loads the verb that is named


@contextmanager
def _terminating() -> Iterator[None]:
    """Let SIGTERM unwind the stack, as Ctrl-C does, so that sandboxes are closed and temporary files removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _message(error: Exception) -> str:
    format_message = getattr(error, "format_message", None)
    return str(format_message()) if format_message else str(error)


def _help_command(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'coderm'} --help"


def _complain(message: str) -> int:
    line = " ".join(part.strip() for part in message.splitlines() if part.strip())
    typer.echo(f"coderm: {line}", err=True)
    return EXIT_ERROR
