"""Run a study: trials, workers, early stopping, time budget."""
