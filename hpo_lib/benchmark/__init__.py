"""Final trainings with chosen parameters, scored on the test split.

train: Plan, make_plan, run_benchmark
tables: BenchmarkRow, load_rows, make_tables, main_columns, write_tables, benchmark_table, comparison_table,
    coverage_table, reliability_table
store: SPLITS, load_trainings, on_simulated_data, read_training
chosen_params: FoundParameters, Lookup
training_key: code_versions, family_key, same_key
leak_audit: audit, in_words, n_leaks
leak_prices: price_list
"""
