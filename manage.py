#!/usr/bin/env python3
"""One entry for everything: `python3 manage.py up` starts the product, `python3 manage.py test` checks it.

Only Python 3.11 is assumed. Before Django can be imported, `reanna/bootstrap.py` makes the virtual
environment and installs the locked packages; it is loaded by its path, because importing it by name would
import the package `reanna`, which needs what is not installed yet. This file itself stays readable to older
Pythons, so that they can say what is missing instead of failing on syntax.
"""

import importlib.util
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WANTED = (3, 11)


def use_wanted_python():
    """Go on under Python 3.11, or stop and say what to install."""
    if sys.version_info[:2] == WANTED:
        return
    other = shutil.which("python3.11")
    if other and not os.environ.get("REANNA_PYTHON_SWITCHED"):
        os.environ["REANNA_PYTHON_SWITCHED"] = "1"
        os.execv(other, [other, os.path.join(HERE, "manage.py"), *sys.argv[1:]])  # noqa: S606 - no shell is wanted
    sys.exit(
        "REanna Router needs Python 3.11 (its packages are locked for it); this is Python {} at {}.\n"
        "Install it (Debian 12: apt-get install python3-venv) and run: python3.11 manage.py {}".format(
            sys.version.split()[0], sys.executable, " ".join(sys.argv[1:])
        )
    )


def load_bootstrap():
    """The bootstrap as a module of its own, without importing the package it lies in."""
    path = os.path.join(HERE, "reanna", "bootstrap.py")
    spec = importlib.util.spec_from_file_location("reanna_bootstrap", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main():
    """Prepare the environment, then hand the command to the tests, the locks or Django."""
    use_wanted_python()
    bootstrap = load_bootstrap()
    argv = bootstrap.prepare(HERE, sys.argv)
    command = argv[1] if len(argv) > 1 else "help"
    if command == "bootstrap":
        return 0
    if command in bootstrap.DEVELOPMENT_COMMANDS:
        from reanna.testing import commands

        return commands.run(command, argv[2:])

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reanna.settings.local")
    from django.core.management import execute_from_command_line

    from reanna.secrets_file import SecretsError
    from reanna.stack import runfile

    if command != "up":
        runfile.join(bootstrap.data_dir(HERE))

    try:
        execute_from_command_line(argv)
    except SecretsError as refused:
        sys.exit(f"manage.py {command}: {refused}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
