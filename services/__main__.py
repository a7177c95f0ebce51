"""The entry point, ``infiniloop`` and ``python -m services``.

``service NAME`` is the small restarting parent and takes this short way in: it loads nothing but the standard library.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    arguments = sys.argv[1:]
    if len(arguments) == 2 and arguments[0] == "service" and not arguments[1].startswith("-"):
        from shared.runtime.supervisor import supervise
        from shared.topology import SERVICES

        if arguments[1] in SERVICES:
            sys.exit(supervise((sys.executable, "-m", "services", *arguments, "--bare"), arguments[1]))
    from services.controller.cli.root import main as command_line

    command_line()


if __name__ == "__main__":
    main()
