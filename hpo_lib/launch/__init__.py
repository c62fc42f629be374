"""Starting studies: papermill on this machine, jobs in Slurm, and reports on machine and experiments.

notebook_run: run_notebook, check_study
slurm_submit: checked_submission
slurm_job: run_job, ThisJob, RequeueRules
slurm_site: Site, read_site
slurm_queue: Job, jobs, SlurmError
status: EXPERIMENTS, experiment_table, study_status, table_text
doctor: check_machine, dataset_lines
"""
