"""Where the data set's files are: a path that was given, or the Hugging Face hub."""

from __future__ import annotations

import os
from pathlib import Path

from coderm_tasks.datasets.livecodebench.slice import PATH_VARIABLE, RELEASED_FILES, Slice
from coderm_tasks.errors import DatasetError

__all__ = ["REPOSITORY", "data_files"]

REPOSITORY = "livecodebench/code_generation_lite"
"""The published data set. Its loading script is not run: the script only names the files."""

_ENDINGS = (".jsonl", ".jsonl.gz")
_REMEDY = f"give --livecodebench-path, or set {PATH_VARIABLE}, to a copy of its JSONL file(s)"


def data_files(chosen: Slice) -> tuple[Path, ...]:
    """Return the files that hold the slice, in the order of the releases; downloads them where no path was given.

    Raises:
        DatasetError: a path that is not there or holds no such file, or no network.
    """
    given = chosen.path or os.environ.get(PATH_VARIABLE)
    if not given:
        return tuple(_download(name) for name in chosen.files())
    found = [file for part in given.split(os.pathsep) if part for file in _of_path(Path(part), chosen)]
    return tuple(dict.fromkeys(found))


def _of_path(path: Path, chosen: Slice) -> list[Path]:
    if path.is_dir():
        return _of_folder(path, chosen)
    if not path.exists():
        raise DatasetError(
            f"LiveCodeBench: {path} does not exist: expected a JSONL file or a folder of them; {_REMEDY}"
        )
    if chosen.release is not None and path.name.removesuffix(".gz") not in chosen.files():
        raise DatasetError(
            f"LiveCodeBench: {path} is no file of {chosen.release} ({', '.join(chosen.files())}): name the folder that "
            "holds them, or leave --livecodebench-release out to take the file as it is"
        )
    return [path]


def _of_folder(folder: Path, chosen: Slice) -> list[Path]:
    try:
        names = {path.name for path in folder.iterdir() if path.name.endswith(_ENDINGS)}
    except OSError as error:
        raise DatasetError(f"LiveCodeBench: {folder} cannot be read ({error.strerror}): {_REMEDY}") from error
    if chosen.release is None and not names & set(RELEASED_FILES):
        if not names:
            raise DatasetError(f"LiveCodeBench: {folder} holds no *.jsonl file: {_REMEDY}")
        return [folder / name for name in sorted(names)]
    wanted = chosen.files() if chosen.release is not None else RELEASED_FILES
    found = [_present(folder, name, names) for name in wanted]
    missing = [name for name, path in zip(wanted, found) if path is None]
    if missing and chosen.release is not None:
        raise DatasetError(
            f"LiveCodeBench: {folder} lacks {missing[0]}, a file of {chosen.release}: add it, or choose another release"
        )
    return [path for path in found if path is not None]


def _present(folder: Path, name: str, names: set[str]) -> Path | None:
    return next((folder / candidate for candidate in (name, f"{name}.gz") if candidate in names), None)


def _download(name: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise DatasetError(
            f"LiveCodeBench: cannot import huggingface_hub ({error}): run `pip install huggingface_hub`, or {_REMEDY}"
        ) from error
    try:
        return Path(hf_hub_download(REPOSITORY, name, repo_type="dataset"))
    except (OSError, RuntimeError, ValueError) as error:
        raise DatasetError(_complaint(name, error)) from error
    except Exception as error:
        # The hub's client lets the errors of its HTTP library through, whichever that is in its version.
        if type(error).__module__.split(".")[0] not in ("httpx", "httpcore", "requests", "urllib3", "huggingface_hub"):
            raise
        raise DatasetError(_complaint(name, error)) from error


def _complaint(name: str, error: Exception) -> str:
    cause = " ".join(str(error).split())[:200]
    return f"LiveCodeBench: {name} of {REPOSITORY} cannot be downloaded ({type(error).__name__}: {cause}): {_REMEDY}"
