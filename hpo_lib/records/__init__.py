"""The records of a study, written and read: trials, JSON, forecasts, storage, executed notebook, provenance.

study: StoredStudy, records_folder, read_studies, study_runs, TELLING_TRIALS
named: named_study
result: study_result, load_result
trial: TrialRecord, default_trial
selection: pareto_front, PROVEN
proof: CHALLENGERS, FRESH_SEEDS, ReplicateFailed, ReplicateMissing, challengers, prove, replicate_seconds,
    stored_replicate, write_replicate
files: as_mapping, read_json, write_json, write_predictions, load_predictions
leftovers: of_study, of_notebook, unfinished, remove
schema: ModelFacts, TrainingRecord, check
storage: open_storage, check_storage, recorded_url
optuna_trials: trial_record, distribution, quiet_optuna
provenance: data_provenance, code_provenance, data_key, device_name, installed_version, visible_gpus, PACKAGES
executed_notebook: read_record, attempts, of_all_workers
verify: verify
"""
