"""What unit tests find beside the function under test, in the box in which they run (trusted source text)."""

from __future__ import annotations

import ast
from functools import cache
from importlib import resources

from coderm_tasks.model import Form

__all__ = ["PRINTED", "judge_context"]

PRINTED = "coderm_printed"
"""Name of the function that makes ``==`` follow the official rule, see :mod:`coderm_tasks.programs.tests`."""

_METHOD = """\
from typing import Dict, List, Optional, Set, Tuple

class Solution:
    def {name}(self, *args, **kwargs):
        return {name}(*args, **kwargs)
"""
_PRINTED = f"""
class CoderMPrinted(str):
    __hash__ = str.__hash__

    def __eq__(self, other):
        return same_output(self, other)

    def __ne__(self, other):
        return not same_output(self, other)

    def strip(self, *chars):
        return CoderMPrinted(str.strip(self, *chars))

    def lstrip(self, *chars):
        return CoderMPrinted(str.lstrip(self, *chars))

    def rstrip(self, *chars):
        return CoderMPrinted(str.rstrip(self, *chars))

def {PRINTED}(value):
    if type(value) is not str:
        raise TypeError("a program gave no text")
    return CoderMPrinted(value)
"""


def judge_context(form: Form, entry_point: str) -> str:
    """The context of a problem's tests.

    Form ``method``: tests may make a ``Solution()`` of their own; its method is the function under test. Form
    ``stdin``: what makes outputs compare by the official rule.
    """
    if form == "method":
        return _METHOD.format(name=entry_point)
    return _rule() + _PRINTED if form == "stdin" else ""


@cache
def _rule() -> str:
    text = resources.files("coderm_tasks.programs").joinpath("outputs.py").read_text(encoding="utf-8")
    return ast.unparse(ast.parse(text)) + "\n"
