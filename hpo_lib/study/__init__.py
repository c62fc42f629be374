"""Run a study: trials, workers, early stopping, time budget.

run: run_study
early_stopping: RULE, CURVE_METRICS, Curve, Rung, StoppedEarly, StoppingRule, best_check
liveness: Liveness, somebody_lives
time_budget: seconds_per_trial
"""
