"""Silence for libraries that print per training."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence what Lightning, darts and neuralforecast print per training; errors still come through."""
    loggers = [
        logging.getLogger(name) for name in ("pytorch_lightning", "lightning.fabric", "lightning_fabric", "darts")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
