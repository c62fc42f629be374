"""Final trainings with chosen parameters, scored on the test split, and retraining.

train: Plan, make_plan, run_benchmark
tables: BenchmarkRow, load_rows, make_tables, main_columns, write_tables, and the single tables
store: SPLITS, load_trainings
chosen_params: Lookup
retrain: retrain
"""
