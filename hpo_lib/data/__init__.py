"""What a dataset is and how it is read, checked, prepared, split or simulated.

dataset: Dataset, load_dataset, fingerprint_frame
spec: DatasetSpec, load_spec, known_datasets
splits: HISTORY, HORIZON, Positions, time_span
features: prepare_features, follows_from_target, DAY_COLUMNS, SEASON_COLUMNS
"""
