"""Votes of one solution while they are counted: can it still win? (pure)"""

from __future__ import annotations

__all__ = ["Ballot"]


class Ballot:
    """A count of the tests that one solution passes, against the best count known of any solution of the problem.

    Under a vote a solution whose votes and open tests together fall short of ``floor`` cannot be among the winners,
    and does not change who is: no tie-break looks below the most votes.
    """

    def __init__(self, votes: int, open_tests: int, floor: int | None) -> None:
        """Args:
        votes: tests passed before the count begins.
        open_tests: tests to be counted, as often as they stand in the job.
        floor: votes that some solution is known to have; None where nobody is to be given up.
        """
        self.votes = votes
        self._open = open_tests
        self._floor = floor

    def count(self, weight: int, *, passed: bool) -> None:
        """Enter one test's verdict."""
        self._open -= weight
        self.votes += weight if passed else 0

    @property
    def hopeless(self) -> bool:
        """True where the solution cannot reach the floor any more."""
        return self._floor is not None and self.votes + self._open < self._floor
