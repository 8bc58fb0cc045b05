"""The flags that choose among LiveCodeBench's problems, for every verb that takes a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from coderm_tasks.datasets import Slice

__all__ = ["From", "Path", "Release", "To", "chosen_slice"]

Path = Annotated[
    str | None,
    typer.Option(
        "--livecodebench-path",
        help="LiveCodeBench: its JSONL file, a folder of them, or several with : between.  "
        "[default: LIVECODEBENCH_PATH, or the hub]",
    ),
]
Release = Annotated[
    str | None,
    typer.Option(
        "--livecodebench-release",
        help="LiveCodeBench: release_v6, or a part of it such as v5_v6.  [default: all there is]",
    ),
]
From = Annotated[
    str | None, typer.Option("--livecodebench-from", help="LiveCodeBench: first contest date, YYYY-MM-DD.")
]
To = Annotated[str | None, typer.Option("--livecodebench-to", help="LiveCodeBench: last contest date, YYYY-MM-DD.")]


def chosen_slice(
    dataset: str | None, path: str | None, release: str | None, start: str | None, end: str | None
) -> Slice:
    """What the flags ask for, over what the file that CODERM_CONFIG names does; everything of another data set.

    Raises:
        ConfigError: a value that cannot be used, or such a flag beside another data set.
    """
    from coderm_tasks.config import load_config
    from coderm_tasks.datasets import Slice
    from coderm_tasks.errors import ConfigError

    flags = {"path": path, "release": release, "from": start, "to": end}
    given = {f"livecodebench_{name}": value for name, value in flags.items() if value is not None}
    if given and dataset != "livecodebench":
        flag = "--" + next(iter(given)).replace("_", "-")
        beside = "without --dataset" if dataset is None else f"with --dataset {dataset}"
        raise ConfigError(f"{flag} is given {beside}: it is for --dataset livecodebench only; leave it out")
    return load_config(given).livecodebench if dataset == "livecodebench" else Slice()
