"""``python -m hpo_lib`` is the ``hpo`` command."""

import sys

from hpo_lib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
