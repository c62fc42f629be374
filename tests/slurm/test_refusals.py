"""What a real Slurm refuses: a clear sentence, an exit code, and nothing in the queue."""

import pytest

from hpo_lib import paths

pytestmark = pytest.mark.slow


@pytest.fixture
def arguments(tmp_path):
    return ["NHITS_Q", "heat", "--test", "--simulated", "--runs-dir", str(tmp_path / "runs")]


@pytest.mark.parametrize(
    "line, said",
    [
        ("PARTITION=nope", "Batch job submission failed: Invalid partition name specified"),
        (
            "GRES=gpu:h100:1",
            "Batch job submission failed: Requested node configuration is not available",
        ),
        ("MEM=9999G", "Memory specification can not be satisfied"),
    ],
)
def test_when_slurm_refuses_the_job_then_its_reason_is_given_and_nothing_is_queued(
    line, said, cluster, arguments, tmp_path
):
    site = tmp_path / "site.env"
    site.write_text(line, encoding="utf-8")
    before = cluster.active()
    answer = cluster.submit(*arguments, "--site", str(site))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("hpo: sbatch refused the job, so nothing was submitted: ")
    assert said in answer.stderr
    assert "check slurm/site.env" in answer.stderr
    assert cluster.active() == before
    assert not (tmp_path / "runs").exists()


def test_when_the_queue_is_full_then_submit_says_so_and_does_not_try_for_ever(cluster, arguments):
    free = 100 - int(
        cluster.ask("bash", "-c", "scontrol --oneliner show jobs | grep -c JobId=").stdout or 0
    )
    jobs = f"--array=0-{free - 2}"  # Slurm keeps the last place free
    filled = cluster.ask(
        "sbatch", "--parsable", "--hold", jobs, "--output=/dev/null", "--wrap", "true"
    )
    assert filled.returncode == 0, filled.stderr
    try:
        before = cluster.active()
        answer = cluster.submit(*arguments)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert answer.stderr == (
            "hpo: sbatch found no place in the queue for 30 s (Slurm temporarily unable to "
            "accept job, sleeping and "
            "retrying), so nothing was submitted; wait until jobs have ended and submit again\n"
        )
        assert cluster.active() == before
    finally:
        cluster.ask("scancel", "--user", "root", "--state", "PENDING")


def test_when_slurm_does_not_answer_then_submit_gives_its_words(cluster, arguments):
    answer = cluster.submit(*arguments, SLURM_CONF=str(cluster.folder / "none.conf"))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("hpo: sbatch got no answer from Slurm for 30 s (")
    assert answer.stderr.endswith(
        "so nothing was submitted; see whether `sinfo` answers on this machine\n"
    )
    assert "none.conf" in answer.stderr


def test_when_submit_job_sh_is_called_wrongly_then_it_shows_how(cluster):
    answer = cluster.submit("NHITS_Q")
    assert answer.returncode == 2
    assert "slurm/submit_job.sh MODEL DATASET [TRIALS] [option ...]" in answer.stderr
    assert not (paths.SLURM_LOGS / "NHITS_Q").exists()
