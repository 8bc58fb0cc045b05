"""Every attack of the battery, in every mode it is made in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from escape_attack import LIFTED, TALK, Attack
from escape_battery import BATTERY, CASES
from escape_range import ShootingRange, open_range


@pytest.fixture(scope="module")
def target() -> Iterator[ShootingRange]:
    with open_range() as opened:
        yield opened


@pytest.mark.parametrize(
    ("attack", "mode"), CASES, ids=[f"{attack.kind}: {attack.name} ({mode})" for attack, mode in CASES]
)
def test_an_attack_gets_what_it_deserves_and_leaves_nothing(target: ShootingRange, attack: Attack, mode: str) -> None:
    if not attack.fits():
        pytest.skip(f"written for {attack.machine} processors; run it on one")
    report = target.shoot(attack, mode)
    assert report.letter in attack.expected, f"{report.letter}: {report.reason} {report.problems}"
    assert report.problems == ()


@pytest.mark.parametrize("value", [2, 3])
def test_what_an_attack_writes_instead_of_its_answer_is_what_the_host_reads(target: ShootingRange, value: int) -> None:
    """Else attacks on the reader would be none: two frames for one call are found out before either is read."""
    solution = f"{TALK}\ndef f(x):\n    instead(['v', {value}])\n"
    attack = Attack(
        name="writes its answer itself", kind="protocol", solution=solution, expected="P" if value == 2 else "F"
    )
    report = target.shoot(attack, LIFTED)
    assert report.letter == attack.expected


def test_the_battery_has_no_two_attacks_of_one_name() -> None:
    names = [attack.name for attack in BATTERY]
    assert sorted(names) == sorted(set(names))
    assert len(names) >= 80
