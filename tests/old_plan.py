"""Records of the original HPO plan in its two structures; the numbers are not its own."""

SAVED = {
    "model": "NHITS_Q",
    "dataset": "heat",
    "job_id": "900001",
    "optimization_date": "2025-12-01T08:00:00.000001",
    "n_trials": 40,
    "n_completed": 41,
    "n_pareto_optimal": 2,
    "best_trial_number": 7,
    "best_mae": 0.211,
    "best_picp_approx": 74.5,
    "best_params": {"num_stacks": 3, "lr": 0.0004},
    "study_name": "NHITS_Q_heat_900001",
    "storage_path": "sqlite:///old.db",
    "all_pareto_trials": [
        {"trial": 7, "mae": 0.211, "picp_penalty": 5.5, "params": {"num_stacks": 3, "lr": 0.0004}},
        {"trial": 9, "mae": 0.300, "picp_penalty": 1.5, "params": {"num_stacks": 2, "lr": 0.0007}},
    ],
}
STANDARD = {
    "model": "TFT_Q",
    "dataset": "water_centrum",
    "optimization_date": "2025-12-02",
    "n_trials": 30,
    "best_trial": 11,
    "best_mae": 0.0052,
    "best_params": {"hidden_size": 64, "lr": 0.002},
    "validation_metrics": {"mae": 0.0052, "rmse": 0.0081, "mape": 9.1},
    "training_time_hours": 3.25,
    "total_trials_completed": 30,
    "pruned_trials": 4,
    "optuna_study_name": "tft_q_water_centrum_20251202",
}
