"""Starting studies: papermill on this machine, jobs in Slurm, reports on both."""
