"""`python -m tests.browser.shots FOLDER [WORD ...]`: pictures of every page, light and dark, 1440 and 360 px wide.

Starts a product of its own with the demo and with things that failed, wait or are in doubt. With words, only pages
whose names hold one of them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django


def main() -> None:
    """The command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reanna.settings.test")
    django.setup()
    from tests.browser.camera import take_all  # reads the product's addresses, so only now

    take_all(Path(sys.argv[1]), sys.argv[2:])


if __name__ == "__main__":
    main()
