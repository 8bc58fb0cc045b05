"""Errors of the difficulty package, as a tree.

::

    DifficultyError
    ├── FeatureError         a feature block is unknown, lacks its evidence, or gave a value that is no number
    ├── TrainingDataError    nothing can be learned from these labels
    ├── ArtifactError        a saved classifier cannot be read, is another version's, or holds what it should not
    └── BudgetError          no allocation can meet these demands

Each message is one line: the subject, what was received, what was expected, the remedy.
"""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "BudgetError",
    "DifficultyError",
    "FeatureError",
    "TrainingDataError",
]


class DifficultyError(Exception):
    """Base of all errors that :mod:`difficulty` raises on purpose."""


class FeatureError(DifficultyError, ValueError):
    """Features cannot be computed. The message names the block and the problem."""


class TrainingDataError(DifficultyError, ValueError):
    """Pass rates and features do not make a training set."""


class ArtifactError(DifficultyError):
    """A saved classifier cannot be used. The message names the file."""


class BudgetError(DifficultyError, ValueError):
    """A budget cannot be spent as asked."""
