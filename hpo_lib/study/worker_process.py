"""One worker process of a study: ``python -m hpo_lib.study.worker_process NAME SETTINGS SPENT``,
see `workers`.
"""

import json
import os
import sys
import threading
import time
import warnings

from hpo_lib import stop_requests
from hpo_lib.errors import HpoError
from hpo_lib.settings import Settings
from hpo_lib.study.run import work
from hpo_lib.study.workers import EXIT_CODES, PATIENCE


def _watch_the_lifeline() -> None:
    while os.read(
        0, 1
    ):  # of the file itself: a thread in a buffered read would block the end of the interpreter
        pass
    stop_requests.request("by the process that started this one, or by its end")
    time.sleep(PATIENCE / 2)
    os._exit(0)  # still in one long step; the other workers see that this one is gone


def main(name: str, settings: str, spent: str) -> int:
    """Work until the study is done; the exit codes are those of `workers`."""
    warnings.simplefilter("ignore")
    with stop_requests.listening():
        threading.Thread(target=_watch_the_lifeline, daemon=True).start()
        try:
            work(Settings.create(**json.loads(settings)), name, float(spent))
        except HpoError as error:
            print(error)
            return EXIT_CODES[type(error)]
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
