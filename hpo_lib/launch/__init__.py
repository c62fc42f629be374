"""Starting studies: papermill on this machine, jobs in Slurm, and reports on machine and experiments.

notebook_run: run_notebook
slurm_submit: submit_study
slurm_requeue: run_job, ThisJob
slurm_site: read_site
slurm_queue: jobs
experiments: EXPERIMENTS
status: as_rows, experiment_table, study_status, table_text
doctor: check_machine, clean, leftovers, dataset_facts, dataset_lines, dataset_text, wrapped
"""
