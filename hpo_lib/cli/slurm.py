"""The commands ``hpo submit`` and ``hpo job``."""

import argparse
from pathlib import Path

from hpo_lib import paths
from hpo_lib.cli import options


def add_to(add: options.Add) -> None:
    """Add the commands to a parser."""
    submit = add(
        "submit", _submit, "Submit one study as a Slurm job, after checking everything that it needs.",
        "hpo submit --model NHITS_Q --dataset heat --trials 50 --workers 4",
        *(name for name in options.ALL if name not in ("time_budget_hours", "worker")),
    )  # fmt: skip
    submit.add_argument("--site", default="", help=f"the site's file (default: {paths.SITE_FILE.name} in slurm/)")
    submit.add_argument("--dry-run", action="store_true", help="print the job's script and submit nothing")

    job = add(
        "job", _job, "What a Slurm job runs: the study, and back into the queue while trials are missing.",
        "hpo job --model NHITS_Q --dataset heat --trials 50",
        *(name for name in options.ALL if name not in ("time_budget_hours", "workers", "worker")),
    )  # fmt: skip
    job.add_argument("--signal-seconds", type=int, default=600, help="warning time before the limit (default: 600)")
    job.add_argument("--max-requeues", type=int, default=20, help="bound on requeues (default: 20)")


def _submit(arguments: argparse.Namespace) -> int:
    from hpo_lib.launch.slurm_site import read_site
    from hpo_lib.launch.slurm_submit import checked_submission

    site, settings = read_site(Path(arguments.site or paths.SITE_FILE)), options.settings(arguments)
    submission = checked_submission(settings, site, continues=bool(arguments.job_id))
    if arguments.dry_run:
        print(submission.script, end="")
    else:
        print(submission.submit())
    return 0


def _job(arguments: argparse.Namespace) -> int:
    from hpo_lib.data.spec import load_spec
    from hpo_lib.launch.slurm_requeue import RequeueRules, ThisJob, run_job
    from hpo_lib.paths import RunPaths

    job = ThisJob.of_environment()
    settings = options.settings(arguments, worker=job.worker, job_id=arguments.job_id or job.study_id)
    return run_job(
        RunPaths(settings.runs_dir, settings.model, load_spec(settings.dataset).name, settings.job_id, job.worker),
        [*settings.as_words(), "--worker", str(job.worker), "--job-id", settings.job_id],
        job,
        RequeueRules(settings.trials, arguments.signal_seconds, arguments.max_requeues),
    )
