"""The OpenAPI document: what the app's routes say, filled in from the records of :mod:`.schema`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from coderm_tasks.serve import schema
from coderm_tasks.serve.pace import LEAST_S, MOST_S
from coderm_tasks.serve.replies import ERRORS, MORE_CODES

__all__ = ["components", "request_body", "responses"]

_RECORDS = (schema.RewardsRequest, schema.RewardsReply, schema.MatrixRequest, schema.MatrixReply, schema.Health,
            schema.ErrorReply)  # fmt: skip
_REF = "#/components/schemas/{name}"

_EXAMPLES: Mapping[str, Any] = {
    "RewardsRequest": {
        "items": [
            {
                "completion": "```python\ndef add(a, b):\n    return a + b\n```",
                "entry_point": "add",
                "tests": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"],
            },
            {
                "completion": "```python\ndef add(a, b):\n    return a - b\n```",
                "entry_point": "add",
                "tests": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
                "weights": [3, 1],
            },
        ],
        "deadline_s": 20,
    },
    "RewardsReply": {
        "items": [
            {"reward": 1.0, "status": "judged", "passed": 2, "counted": 2, "shared": 0, "evaded": 0, "timeouts": 0,
             "verdicts": "PP"},
            {"reward": 0.25, "status": "judged", "passed": 1, "counted": 2, "shared": 0, "evaded": 0, "timeouts": 0,
             "verdicts": "FP"},
        ],
        "shared_passes": 0,
    },
    "MatrixRequest": {
        "entry_point": "add",
        "solutions": ["def add(a, b):\n    return a + b\n", "def add(a, b):\n    return a - b\n"],
        "tests": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
    },
    "MatrixReply": {"verdicts": ["PP", "FP"], "shared": ["..", ".."], "complete": True},
    "Health": {
        "status": "ready",
        "version": "0.1.0",
        "sandbox": "works",
        "lanes": {"workers": 8, "running": 3, "replaced": 0},
        "queue": {"items": 40, "limit": 1024},
    },
}  # fmt: skip


def components() -> dict[str, Any]:
    """Schemas of all records, by name."""
    return msgspec.json.schema_components(_RECORDS, ref_template=_REF)[1]


def request_body(name: str) -> dict[str, Any]:
    """What a route takes."""
    return {"requestBody": {"required": True, "content": _content(name, _EXAMPLES[name])}}


def responses(name: str, errors: Sequence[int]) -> dict[int | str, dict[str, Any]]:
    """What a route answers: the record, or one of these statuses."""
    found: dict[int | str, dict[str, Any]] = {
        200: {"description": "The result.", "content": _content(name, _EXAMPLES[name])}
    }
    for status in errors:
        code, meaning = ERRORS[status]
        found[status] = {"description": meaning, "content": _errors({code: meaning, **MORE_CODES.get(status, {})})}
        if status in (429, 503):
            found[status]["headers"] = {
                "Retry-After": {
                    "schema": {"type": "integer", "minimum": LEAST_S, "maximum": MOST_S},
                    "description": "Seconds in which what is queued should be answered.",
                }
            }
    return found


def _errors(codes: Mapping[str, str]) -> dict[str, Any]:
    examples = {code: {"value": {"error": {"code": code, "message": said}}} for code, said in codes.items()}
    return {"application/json": {"schema": {"$ref": _REF.format(name="ErrorReply")}, "examples": examples}}


def _content(name: str, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(name=name)}, "example": example}}
