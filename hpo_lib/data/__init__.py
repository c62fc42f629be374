"""What a dataset is and how it is read, checked, prepared, split or simulated.

dataset: Dataset, load_dataset, fingerprint_frame
spec: DatasetSpec, RawFile, load_spec, known_datasets, development_datasets
context: Context, Windows
day_ahead_weather: DayAheadWeather, MARKS, mark_of, prepare_archive, warnings_of
splits: HISTORY, HORIZON, Positions, complete_windows, time_span
features: engineer, prepare_features, calendar_columns, follows_from_target, CALENDAR_COLUMNS, DAY_COLUMNS,
    SEASON_COLUMNS
raw_files: read_school_holidays, WEATHER_COLUMNS
rebuilt: rebuilt_features
new_dataset: write_new_dataset
local_time: season_of
"""
