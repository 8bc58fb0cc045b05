"""``python -m coderm_tasks`` is ``coderm``."""

from __future__ import annotations

import sys

from coderm_tasks.cli import main

if __name__ == "__main__":
    sys.exit(main())
