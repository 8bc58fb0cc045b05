"""A limit out of its range is named by the flag that set it."""

from __future__ import annotations

import pytest
import typer

from coderm_tasks.cli import build_app
from coderm_tasks.cli.limit_flags import FLAGS, in_flags
from executor import Limits, LimitsError, open_executor


def test_every_flag_that_a_message_names_is_one_that_a_verb_has() -> None:
    root = typer.main.get_command(build_app())
    commands = [root]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
    options = {option for command in commands for parameter in command.params for option in parameter.opts}
    assert set(FLAGS.values()) <= options


@pytest.mark.parametrize("name", [name for name in FLAGS if name != "workers"])
def test_every_limit_with_a_flag_is_named_by_it(name: str) -> None:
    with pytest.raises(LimitsError) as caught:
        Limits(**{name: -1})  # type: ignore[arg-type]
    message = in_flags(caught.value)
    assert message.startswith(f"{FLAGS[name]} is -1: expected a value from ")
    assert message.endswith(f"; leave {FLAGS[name]} out for the default")


def test_too_few_workers_are_named_by_their_flag() -> None:
    with pytest.raises(LimitsError) as caught:
        open_executor(workers=-1)
    assert in_flags(caught.value) == (
        "--workers is -1: expected at least 1, or 0 for one per core; leave --workers out for the default"
    )


def test_a_limit_that_no_flag_sets_keeps_the_name_it_has_in_a_file() -> None:
    with pytest.raises(LimitsError) as caught:
        Limits(output_kb=0)
    assert in_flags(caught.value) == "limit output_kb is 0: expected a value from 1 to 65536"
