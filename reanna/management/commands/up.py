"""`manage.py up`: the whole product on this machine, until Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from reanna import secrets_file
from reanna.stack import ports
from reanna.stack.lock import AlreadyRunningError, DataLock
from reanna.stack.logs import say
from reanna.stack.plan import Options
from reanna.stack.redis_server import NoRedisError
from reanna.stack.supervisor import StackError, Supervisor


class Command(BaseCommand):
    """Redis, database, web, worker, scheduler and the sandbox that plays the vendors, under one supervisor."""

    help = "Start everything on this machine; Ctrl-C stops it, the next start goes on where this one stopped."
    requires_system_checks = ()  # `prepare` checks, in a process of its own
    stealth_options = ("data",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=port, default=8000, help="of the web pages (default 8000)")
        parser.add_argument("--sandbox-port", type=port, default=8900, help="of the sandbox (default 8900)")
        parser.add_argument("--data", metavar="DIR", help="where the state lies (default var/)")
        parser.add_argument("--no-demo", action="store_true", help="no demo tours; the connections are made")

    def handle(self, **options: Any) -> None:
        data_dir = secrets_file.ensure_private_folder(Path(settings.DATA_DIR))
        wanted = Options(
            data_dir=data_dir,
            port=options["port"],
            sandbox_port=options["sandbox_port"],
            demo=not options["no_demo"],
            worker_threads=settings.REANNA_WORKER_THREADS,
        )
        if wanted.port == wanted.sandbox_port:
            raise CommandError("--port and --sandbox-port must differ.", returncode=2)
        try:
            lock = DataLock(data_dir)
        except AlreadyRunningError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            ports.ensure_free(wanted.port, "web pages", "--port")
            ports.ensure_free(wanted.sandbox_port, "sandbox", "--sandbox-port")
            Supervisor(wanted, lock, os.environ.get("REDIS_URL", ""), lambda: show_login(data_dir)).run()
        except ports.PortBusyError as error:
            raise CommandError(str(error), returncode=2) from error
        except (NoRedisError, StackError) as error:
            raise CommandError(str(error)) from error
        finally:
            lock.release()


def port(text: str) -> int:
    """A TCP port from the command line. Raises ValueError (argparse says so) outside 1-65535."""
    number = int(text)
    if not 1 <= number <= 65535:
        raise ValueError
    return number


def show_login(data_dir: Path) -> None:
    """Show the admin login on the one start that made it; it is not kept in clear afterwards."""
    password = secrets_file.admin_password(data_dir)
    if password is None:
        return
    say(f"login    user admin, password {password}  (shown only now; change it under the page's account menu)")
    secrets_file.forget_admin_password(data_dir)
