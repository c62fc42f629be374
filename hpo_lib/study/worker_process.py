"""One worker process of a study, started by `hpo_lib.study.pool` and by nobody else.

Its work comes through standard input, which then stays open as a lifeline, see `hpo_lib.study.pool`.
"""

import os
import pickle
import sys
import threading
import time
import warnings

from hpo_lib import stop_requests
from hpo_lib.errors import HpoError
from hpo_lib.study.pool import EXIT_ASKED, EXIT_CODES, PATIENCE
from hpo_lib.study.run import work


def _watch_the_lifeline() -> None:
    while os.read(0, 1):  # of the file itself: a thread in a buffered read would block the end of the interpreter
        pass
    stop_requests.request("by the process that started this one, or by its end")
    time.sleep(PATIENCE / 2)
    os._exit(EXIT_ASKED)  # still in one long step; whoever has the turn next sees that this worker is gone


def main() -> int:
    """Work until the study is done; what the exit code means is said in `hpo_lib.study.pool`."""
    warnings.simplefilter("ignore")
    with stop_requests.listening():
        try:
            settings, dataset, name = pickle.load(sys.stdin.buffer)
            threading.Thread(target=_watch_the_lifeline, daemon=True).start()
            work(settings, dataset, name)
        except HpoError as error:
            print(error)
            return next(code for code, kind in EXIT_CODES.items() if isinstance(error, kind))
        return EXIT_ASKED if stop_requests.requested() else 0


if __name__ == "__main__":
    sys.exit(main())
