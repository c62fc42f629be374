"""``hpo submit``: one study, one self-contained job; everything is checked before Slurm is asked."""

import dataclasses
import sys
from dataclasses import dataclass

from hpo_lib import paths
from hpo_lib.data.spec import load_spec
from hpo_lib.launch import slurm_queue
from hpo_lib.launch.notebook_run import check_study
from hpo_lib.launch.slurm_script import job_script
from hpo_lib.launch.slurm_site import Site
from hpo_lib.paths import RunPaths
from hpo_lib.records.storage import check_storage
from hpo_lib.settings import Settings


@dataclass(frozen=True)
class Submission:
    """A study that is ready to be submitted: its script and its files."""

    settings: Settings
    run: RunPaths
    script: str
    continues: bool

    def submit(self) -> str:
        """Submit the job and return a report for the user: id, logs, record, commands to watch and stop it.

        Raises:
            SlurmError: Slurm is missing or refuses.
        """
        paths.SLURM_LOGS.mkdir(parents=True, exist_ok=True)
        job_id = slurm_queue.submit(self.script, str(paths.PROJECT_ROOT))
        name = paths.job_name(self.run.model, self.run.dataset)
        workers = self.settings.workers
        task, others = (slurm_queue.task_id(job_id, "1"), f"   (and _2 to _{workers})") if workers > 1 else (job_id, "")
        log = paths.job_log(name, task)
        record = self.run if self.continues else RunPaths(self.run.runs_dir, self.run.model, self.run.dataset, job_id)
        return "\n".join(
            [
                f"job      {job_id} ({name}{f', {workers} workers' if workers > 1 else ''})",
                f"log      {log}{others}",
                f"errors   {paths.job_log(name, task, 'err')}{others}",
                f"record   {record.notebook}",
                f"watch    squeue --jobs {job_id}",
                f"         tail -F {log}",
                "         hpo status",
                f"stop     scancel {job_id}   (finished trials are kept)",
            ]
        )


def checked_submission(settings: Settings, site: Site, *, continues: bool) -> Submission:
    """Check model, dataset and data, and make the script.

    Args:
        settings: the study.
        site: the site's settings.
        continues: continue the study of the settings' job id instead of starting one under the new job's id.

    Raises:
        InputError: the study itself would stop with the same error.
    """
    run = check_study(settings)
    if continues:
        check_storage(settings.storage, run)
    settings = dataclasses.replace(  # paths made absolute, since the job starts in another folder
        settings,
        dataset=run.dataset if settings.dataset == run.dataset else str(load_spec(settings.dataset).path.resolve()),
        data_dir=settings.data_dir.resolve(),
        runs_dir=settings.runs_dir.resolve(),
    )
    command = ["job", *settings.as_words(), *(["--job-id", settings.job_id] if continues else [])]
    command += ["--signal-seconds", str(site.signal_seconds), "--max-requeues", str(site.max_requeues)]
    script = job_script(settings, run.dataset, site, command, sys.executable)
    return Submission(settings, run, script, continues)
