"""Solutions that are no plain functions, made into modules that the executor can call; and the jobs built of them.

The executor calls functions. A whole program becomes ``run_program(stdin)``, a method of ``class Solution`` a function
of its name, here, in source text; what runs in the sandbox is still the solution, and all it can do is return values,
which are judged elsewhere.
"""

from __future__ import annotations

from coderm_tasks.programs.context import judge_context
from coderm_tasks.programs.jobs import call_job, cell_job, comparable
from coderm_tasks.programs.modules import module_of
from coderm_tasks.programs.stdin_program import RUN_PROGRAM

__all__ = ["RUN_PROGRAM", "call_job", "cell_job", "comparable", "judge_context", "module_of"]
