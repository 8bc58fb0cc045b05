"""Help for the LiveCodeBench tests: records of the data set's schema, written to files."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any


def packed(pickled: bytes) -> str:
    """A pickle as the data set packs it."""
    return base64.b64encode(zlib.compress(pickled)).decode()


def cases(*pairs: tuple[str, str]) -> str:
    return json.dumps([{"input": given, "output": wanted, "testtype": "stdin"} for given, wanted in pairs])


def record(question_id: str = "q_1", **columns: Any) -> dict[str, Any]:
    """A program that doubles a number; ``columns`` replace or, where None, take out what the record has."""
    whole = {
        "question_title": "Double",
        "question_content": "The input is one integer. Print its double.",
        "platform": "atcoder",
        "question_id": question_id,
        "contest_id": "c1",
        "contest_date": "2024-01-01T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": cases(("2\n", "4\n")),
        "private_test_cases": packed(pickle.dumps(cases(("5\n", "10\n")))),
        "metadata": "{}",
        **columns,
    }
    return {name: value for name, value in whole.items() if value is not None}


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path
