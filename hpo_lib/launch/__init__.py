"""Studies as Slurm jobs: the site's file, the job's script, its submission, and what runs inside the job."""
