"""From the bytes of a request to work for the lanes, or to the reason why not (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from coderm_tasks.errors import RewardError
from coderm_tasks.reward.batch import Batch, Group, Reading, Sample, check_entry_point, read_batch
from coderm_tasks.reward.lane import Work
from coderm_tasks.reward.ticket import sendable_work
from coderm_tasks.serve.schema import MatrixRequest, RewardItem, RewardsRequest
from executor import CellJob

__all__ = ["Bounds", "Kind", "MatrixRead", "Read", "Refused", "RewardsRead", "read_request"]

Kind = Literal["rewards", "matrix"]
_Body = TypeVar("_Body", RewardsRequest, MatrixRequest)


class Bounds(Struct, frozen=True):
    """What one request may hold."""

    max_batch: int
    max_tests: int
    deadline_s: float


class RewardsRead(Struct, frozen=True, tag="rewards"):
    """A batch to be judged."""

    batch: Batch
    items: int
    deadline_s: float


class MatrixRead(Struct, frozen=True, tag="matrix"):
    """A matrix to be filled."""

    work: Work
    deadline_s: float

    @property
    def items(self) -> int:
        """Solutions."""
        return len(self.work.job.solutions)


class Refused(Struct, frozen=True, tag="refused"):
    """Why there is nothing to judge, and the HTTP status that says so."""

    status: int
    code: str
    message: str


Read = RewardsRead | MatrixRead | Refused


class _Refusal(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        self.reason = Refused(status, code, message)


def read_request(kind: Kind, body: bytes, bounds: Bounds) -> Read:
    """Parse and check a body, and read its tests. Raises nothing; messages hold no text of the request's values."""
    try:
        if kind == "matrix":
            return _read_matrix(_parse(body, MatrixRequest), bounds)
        return _read_rewards(_parse(body, RewardsRequest), bounds)
    except _Refusal as refusal:
        return refusal.reason


def _refuse(status: int, code: str, message: str) -> NoReturn:
    raise _Refusal(status, code, message)


def _parse(body: bytes, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        _refuse(422, "invalid", _printable(f"the body does not fit: {error}"))
    except (msgspec.DecodeError, ValueError, RecursionError):
        # Half a surrogate pair, as models' tokens may end in one, is no reason to refuse a batch; msgspec does.
        return _parse_leniently(body, kind)


def _parse_leniently(body: bytes, kind: type[_Body]) -> _Body:
    try:
        found = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        _refuse(400, "not_json", f"the body is no JSON{where}: expected a JSON object in UTF-8")
    try:
        return msgspec.convert(found, kind)
    except (msgspec.ValidationError, RecursionError, UnicodeEncodeError) as error:
        _refuse(422, "invalid", _printable(f"the body does not fit: {error}"))


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _printable(message: str) -> str:
    """The library names the keys it does not know: as long as they like to be, of any characters."""
    return ascii(message)[1:-1][:300]


def _read_rewards(request: RewardsRequest, bounds: Bounds) -> RewardsRead:
    _at_most("items", len(request.items), bounds.max_batch, "--max-batch")
    deadline_s = _deadline(request.deadline_s, bounds)
    samples = [_sample(item, f"items[{number}]", bounds) for number, item in enumerate(request.items)]
    if samples and not any(_knows(one.entry_point, one.tests) for one in samples):
        _refuse_unknown("no test of any item")
    given = request.options
    batch = read_batch(samples, Reading(given.scheme, given.count_shared, given.verbatim_tests, given.verbatim_code))
    for group in batch.groups:
        _at_most(f"tests in items[{group.members[0]}]", len(group.tests.tests), bounds.max_tests, "--max-tests")
    return RewardsRead(Batch(tuple(map(_sendable, batch.groups)), batch.reading), len(samples), deadline_s)


def _sendable(group: Group) -> Group:
    work = sendable_work(group.work)
    return Group(group.members, msgspec.structs.replace(group.tests, tests=work.job.tests), work)


def _sample(item: RewardItem, where: str, bounds: Bounds) -> Sample:
    _check_name(item.entry_point, f"{where}.entry_point")
    tests = (item.tests,) if isinstance(item.tests, str) else item.tests
    _at_most(f"tests in {where}", len(tests), bounds.max_tests, "--max-tests")
    if item.weights and len(item.weights) != len(tests):
        _refuse(422, "invalid", f"{where} has {len(item.weights)} weights for {len(tests)} tests: expected one each")
    return Sample(
        completion=item.completion,
        entry_point=item.entry_point,
        tests=tests,
        weights=item.weights,
        prompt=item.prompt,
        context=item.context,
        chat=item.chat,
    )


def _read_matrix(request: MatrixRequest, bounds: Bounds) -> MatrixRead:
    _check_name(request.entry_point, "entry_point")
    _at_most("solutions", len(request.solutions), bounds.max_batch, "--max-batch")
    _at_most("tests", len(request.tests), bounds.max_tests, "--max-tests")
    deadline_s = _deadline(request.deadline_s, bounds)
    if not _knows(request.entry_point, request.tests):
        _refuse_unknown("no test")
    job = CellJob(
        job_id="matrix",
        entry_point=request.entry_point,
        solutions=request.solutions,
        tests=request.tests,
        context=request.context,
    )
    return MatrixRead(sendable_work(Work(job)), deadline_s)


def _deadline(asked: float | None, bounds: Bounds) -> float:
    if asked is None:
        return bounds.deadline_s
    if asked > bounds.deadline_s:
        _refuse(422, "invalid", f"deadline_s is {asked:g}: expected at most the service's own, {bounds.deadline_s:g}")
    return asked


def _at_most(what: str, count: int, most: int, flag: str) -> None:
    if count > most:
        _refuse(422, "too_many", f"{count} {what}: expected at most {most}; split the request, or raise {flag}")


def _check_name(name: str, where: str) -> None:
    try:
        check_entry_point(name)
    except RewardError:
        _refuse(422, "invalid_entry_point", f"{where} is no name of a function: expected one such as 'add'")


def _knows(name: str, tests: Sequence[str]) -> bool:
    """Whether a test speaks of the function, or there are none that could."""
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return not tests or any(word.search(test) for test in tests)


def _refuse_unknown(what: str) -> NoReturn:
    _refuse(422, "unknown_entry_point", f"{what} mentions its entry point: expected the name of the function they test")
