"""Several calls that begin in the same moment, each on a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connections


def at_once(*presses: Callable[[], object]) -> list[Exception]:
    """All of them begin together; what they raised."""
    together, raised = threading.Barrier(len(presses)), list[Exception]()

    def run(press: Callable[[], object]) -> None:
        try:
            together.wait()
            press()
        except Exception as error:  # noqa: BLE001  told to the test, which wants none
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(press,)) for press in presses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
