"""Every attack of the battery, in every mode it is made in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from escape_attack import Attack
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


def test_the_battery_has_no_two_attacks_of_one_name() -> None:
    names = [attack.name for attack in BATTERY]
    assert sorted(names) == sorted(set(names))
    assert len(names) >= 80
