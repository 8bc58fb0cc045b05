"""CodeRM for lm-eval and EvalPlus: choose the best of N programs by unit tests that a model wrote."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
