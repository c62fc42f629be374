"""One worker process of a study, started by `hpo_lib.workers` and by nobody else: ``python -m hpo_lib.worker_process``.

Its work comes through standard input, which then stays open as a lifeline, see `hpo_lib.workers`.
"""

import os
import pickle
import sys
import threading
import time
import warnings

from hpo_lib import interrupts
from hpo_lib.errors import HpoError
from hpo_lib.study import work
from hpo_lib.workers import EXIT_ASKED, EXIT_CODES, PATIENCE


def _watch_the_lifeline() -> None:
    while os.read(0, 1):  # of the file itself: a thread in a buffered read would block the end of the interpreter
        pass
    interrupts.request("by the process that started this one, or by its end")
    time.sleep(PATIENCE / 2)
    os._exit(EXIT_ASKED)  # still in one long step; whoever has the turn next sees that this worker is gone


def main() -> int:
    """Work until the study is done; what the exit code means is said in `hpo_lib.workers`."""
    warnings.simplefilter("ignore")
    with interrupts.listening():
        try:
            settings, dataset, name = pickle.load(sys.stdin.buffer)
            threading.Thread(target=_watch_the_lifeline, daemon=True).start()
            work(settings, dataset, name)
        except HpoError as error:
            print(error)
            return next(code for code, kind in EXIT_CODES.items() if isinstance(error, kind))
        return EXIT_ASKED if interrupts.requested() else 0


if __name__ == "__main__":
    sys.exit(main())
