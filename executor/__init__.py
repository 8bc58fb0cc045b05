"""Run untrusted solutions against unit tests in a bubblewrap sandbox and return verdicts that can be trusted."""

from executor.call_table import CallTable, call_table
from executor.errors import BoxDied, CacheError, ClusterError, ExecutorError, LimitsError, SandboxError, SandboxMissing
from executor.model import (
    Call,
    CallJob,
    CellJob,
    Disagreement,
    Executor,
    Limits,
    Outcome,
    Outputs,
    PassMatrix,
    RunStats,
    Verdict,
)
from executor.pool import ENGINES, LocalExecutor, open_executor, require_engine

__all__ = [
    "ENGINES",
    "BoxDied",
    "CacheError",
    "Call",
    "CallJob",
    "CallTable",
    "CellJob",
    "ClusterError",
    "Disagreement",
    "Executor",
    "ExecutorError",
    "Limits",
    "LimitsError",
    "LocalExecutor",
    "Outcome",
    "Outputs",
    "PassMatrix",
    "RunStats",
    "SandboxError",
    "SandboxMissing",
    "Verdict",
    "call_table",
    "open_executor",
    "require_engine",
]
