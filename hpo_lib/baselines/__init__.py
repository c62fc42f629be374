"""Baselines: models without a study of their own that the tuned families must beat.

contract: Baseline, QUICK_VERSION, baseline_names, get_baseline
chronos2: NAME, VERSION, checked_folder, zero_shot
"""
