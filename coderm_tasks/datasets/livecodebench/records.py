"""One line of the data set's files -> a problem. What is hidden stays packed."""

from __future__ import annotations

import ast
import json
import keyword
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.errors import DatasetError
from coderm_tasks.model import DIFFICULTIES, Form, GroundTruth, HiddenTests, Problem
from coderm_tasks.programs import RUN_PROGRAM, judge_context

__all__ = ["DATASET", "RawCase", "Record", "call_of", "decode_record", "function_of", "problem_of"]

DATASET = "livecodebench"
_MOST_DIGITS, _FEW_DIGITS = 50_000, 4000


class Record(Struct, frozen=True, kw_only=True):
    """The columns that are used, as they stand in the file."""

    question_id: str
    question_content: str
    contest_date: str
    starter_code: str = ""
    difficulty: str
    public_test_cases: str
    """JSON text of a list of :class:`RawCase`."""
    private_test_cases: msgspec.Raw
    """JSON string; not looked at before the tests are needed."""
    metadata: str
    """JSON text of an object; ``func_name`` in it makes the problem one of a function."""


_COLUMNS = Record.__struct_fields__


class RawCase(Struct, frozen=True):
    """One test. ``testtype`` follows from the problem and is not looked at, as in the official evaluator."""

    input: str
    output: str


def decode_record(line: bytes, where: str) -> Record:
    """Read a line. Raises DatasetError, which begins with ``where``."""
    try:
        return msgspec.json.decode(line, type=Record)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatasetError(
            f"{where}: got no record of LiveCodeBench ({error}): expected the columns {', '.join(_COLUMNS)}; "
            "check the file"
        ) from error


def contest_time(record: Record, where: str) -> datetime:
    """When the contest was. Raises DatasetError."""
    try:
        return datetime.fromisoformat(record.contest_date).replace(tzinfo=None)
    except ValueError as error:
        raise DatasetError(
            f"{where}: {record.question_id}: contest_date is {record.contest_date!r}: expected ISO 8601, such as "
            "2024-08-10T00:00:00"
        ) from error


def problem_of(record: Record, where: str, hidden: HiddenTests) -> Problem:
    """Make the problem. Raises DatasetError for a value that cannot be used."""
    place = f"{where}: {record.question_id}"
    if record.difficulty not in DIFFICULTIES:
        raise DatasetError(f"{place}: difficulty is {record.difficulty!r}: expected one of {', '.join(DIFFICULTIES)}")
    if not record.question_content.strip():
        raise DatasetError(f"{place}: question_content is empty: expected the text of the question")
    function = function_of(record, where)
    form: Form = "method" if function else "stdin"
    return Problem(
        task_id=record.question_id,
        dataset=DATASET,
        prompt=record.question_content,
        entry_point=function or RUN_PROGRAM,
        truth=GroundTruth(hidden=hidden),
        context=judge_context(form, function),
        form=form,
        starter=record.starter_code if function else "",
        examples=_examples(public_cases(record, where), function, place),
        difficulty=record.difficulty,
    )


def function_of(record: Record, where: str) -> str:
    """Name of the function that is asked for; empty where it is a whole program. Raises DatasetError."""
    place = f"{where}: {record.question_id}"
    try:
        metadata = json.loads(record.metadata)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{place}: metadata is no JSON ({error}): expected an object such as {{}}") from error
    function = metadata.get("func_name") if isinstance(metadata, dict) else metadata
    if not metadata or function is None:
        return ""
    if not isinstance(function, str) or not function.isidentifier() or keyword.iskeyword(function):
        raise DatasetError(f"{place}: metadata names the function {function!r}: expected a Python name as func_name")
    return function


def public_cases(record: Record, where: str) -> tuple[RawCase, ...]:
    """The tests that the question shows. Raises DatasetError."""
    try:
        return msgspec.json.decode(record.public_test_cases, type=tuple[RawCase, ...])
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatasetError(
            f"{where}: {record.question_id}: public_test_cases cannot be read ({error}): expected JSON text of a list "
            "of tests with input and output"
        ) from error


def call_of(case: RawCase, function: str, place: str) -> tuple[tuple[Any, ...], Any]:
    """Arguments and expected value: JSON, one argument a line; of a whole program both are texts.

    Raises:
        DatasetError: begins with ``place``.
    """
    if not function:
        return (case.input,), case.output
    try:
        return tuple(_json(line) for line in case.input.split("\n")), _json(case.output)
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"{place}: a test of {function} cannot be read ({error}): expected JSON, one argument a line, and a JSON "
            "output"
        ) from error


def _json(text: str) -> Any:
    return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int:
    """As many digits as the official evaluator lets pass; Python itself stops at 4,300."""
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"an integer of more than {_MOST_DIGITS} digits")
    return int(digits) if len(digits) <= _FEW_DIGITS else int(Decimal(digits))


def _examples(cases: Sequence[RawCase], function: str, place: str) -> tuple[str, ...]:
    """Asserts for those tests whose values Python can write as literals."""
    tests = (_assert(function or RUN_PROGRAM, *call_of(case, function, place)) for case in cases)
    return tuple(dict.fromkeys(filter(None, tests)))


def _assert(name: str, args: tuple[Any, ...], value: Any) -> str:
    try:
        given, wanted = ", ".join(map(repr, args)), repr(value)
        ast.literal_eval(f"[{given}, {wanted}]")
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # nan, inf, an integer too long, nested too deeply
        return ""
    return f"assert {name}({given}) == {wanted}"
