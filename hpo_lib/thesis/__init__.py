"""Thesis figures, tables and model cards, and the analysis of all studies, from records alone: nothing is trained.

build: make_all
analysis: analyse
studies_table: load_studies, summary, improvement_report, write_studies, SHOWN, SUMMARIES
"""
