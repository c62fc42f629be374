"""What a user reads after a wrong parameter: one exact sentence, from the library and from the
command line.
"""

import pytest

from hpo_lib.cli.main import main
from hpo_lib.data.spec import known_datasets
from hpo_lib.families.models import family_names
from hpo_lib.settings import Settings
from tests.conftest import hpo, refusal

ID = (
    "expected 1 to 100 letters, digits, '_', '.' or '-', starting with a letter or digit "
    "(it becomes part of file names); choose another job_id"
)
FIELDS = (
    "allowed: model, dataset, trials, job_id, seed, test, preset, recipe, objectives, space, "
    "warm_start, time_budget_hours, early_stopping, settle, storage, workers, worker, policy, "
    "data_dir, simulated, runs_dir"
)
STORAGE = "allowed: auto, sqlite, journal, or a database URL such as postgresql://user@host/db"
PRESET = "allowed: auto, test, laptop, a100"
POLICY = "allowed: proven, calibrated, lowest_mae, knee"
OBJECTIVES = (
    "allowed: mae, picp_penalty, winkler, winkler_calibrated, picp_penalty_calibrated, pinball"
)
NUMBER = (
    "expected two or three different names joined by commas, such as mae,picp_penalty; "
    f"{OBJECTIVES}"
)
TEXT = "expected a text; with papermill pass it as `-r job_id ...`, which keeps it as typed"
OURS = "files of our own; choose another job_id"
SEED = "expected a whole number of at least 0 and at most 4000000000"
HOURS = "expected a number of hours, 0 for no limit"

PASSWORD = (
    "with a password, which would be written into the record; leave it out of the URL and give it "
    "in the environment variable PGPASSWORD or in ~/.pgpass"
)
ONE_WORKER = (
    "expected journal (a file on a file system that the workers share) or a PostgreSQL URL: leave "
    "storage at auto, or ask for one worker"
)


def each(names, values, expected):
    """Every parameter with every value."""
    return [
        ({name: value}, f"parameter {name} is {value!r}, {expected}")
        for name in names.split()
        for value in values
    ]


WRONG_SETTINGS = [
    ({"trails": 5}, f"parameter 'trails' is unknown; did you mean trials? {FIELDS}"),
    ({"gpus": 5}, f"parameter 'gpus' is unknown; {FIELDS}"),
    *each("model dataset storage", (5, "", None, ["heat"]), "expected a text"),
    *each("data_dir runs_dir", (5, None, "a\0b"), "expected a text"),
    *each("dataset", ("a\0.toml",), "expected a text"),
    *each("seed", (None, -1, 4_000_000_001, 2**64, True, 2.0), SEED),
    (
        {"test": True, "preset": "a100"},
        "preset is 'a100', but test has a budget of its own; leave one of them out",
    ),
    *(
        ({"job_id": f"a{own}{more}"}, f"job_id is 'a{own}{more}', but '{own}' marks {OURS}")
        for own in (".attempt-1", ".worker-2")
        for more in ("", ".b")
    ),
    *each(
        "trials",
        (None, -1, 2.5, 3.0, "fifty", True, False),
        "expected a whole number of at least 0",
    ),
    *each("workers worker", (0,), "expected a whole number of at least 1"),
    *each("test early_stopping settle simulated", ("yes", 1, None), "expected true or false"),
    *each("time_budget_hours", (None, float("inf"), -2.5, float("nan"), "2h", True), HOURS),
    *each("job_id", (1e22, True), TEXT),  # papermill makes a float of `-p job_id 1e22`
    ({"preset": "A100"}, f"parameter preset is 'A100'; did you mean a100? {PRESET}"),
    ({"preset": "A100", "test": True}, f"parameter preset is 'A100'; did you mean a100? {PRESET}"),
    ({"preset": None}, f"parameter preset is None; {PRESET}"),
    (
        {"policy": "lowest mae"},
        f"parameter policy is 'lowest mae'; did you mean lowest_mae? {POLICY}",
    ),
    ({"policy": 1}, f"parameter policy is 1; {POLICY}"),
    (
        {"objectives": "mae,winklr"},
        "parameter objectives is 'mae,winklr', which names 'winklr'; did you mean winkler? "
        f"{OBJECTIVES}",
    ),
    (
        {"objectives": "mae,gpus"},
        f"parameter objectives is 'mae,gpus', which names 'gpus'; {OBJECTIVES}",
    ),
    *each(
        "objectives",
        ("mae", "", "mae,", "mae,mae", "mae,winkler,pinball,picp_penalty", None, ["mae"]),
        NUMBER,
    ),
    ({"storage": "sqlit"}, f"storage is 'sqlit'; did you mean sqlite? {STORAGE}"),
    ({"storage": "study.db"}, f"storage is 'study.db'; {STORAGE}"),
    *(
        ({"storage": given}, f"storage is a postgresql URL {PASSWORD}")
        for given in (
            "postgresql://me:secret@host:5432/db",
            "postgresql://hpo:sec/ret@host/db",
            "postgresql://u:/secret@host/db",
            "postgresql://me@host/db?password=secret&ssl=on",
            "postgresql://me@host/db?sslpassword=secret",
            "postgresql://me@host/db?pass%77ord=secret",
            "postgresql://:@host/db",
        )
    ),
    *(
        (
            {"storage": given},
            f"storage is {given!r}; give sqlite or journal, which keep a file beside the record, "
            "or a database of several, such as postgresql://user@host/db",
        )
        for given in ("sqlite://", "sqlite:///:memory:", "sqlite:////home/me/study.db")
    ),
    (
        {"storage": "nonsense://"},
        "storage is not a database URL (it begins with 'nonsense://'); expected one such as "
        "postgresql://user@host/db",
    ),
    (
        {"storage": "sqlite", "workers": 2},
        f"storage is 'sqlite', which serves one worker, but workers is 2; {ONE_WORKER}",
    ),
    *(
        ({"job_id": value}, f"job_id is {str(value)!r}, {ID}")
        for value in ("../heat", "a;rm", "$(id)", "-1", -1)
    ),
]


@pytest.mark.parametrize("wrong, sentence", WRONG_SETTINGS, ids=lambda value: str(value)[:40])
def test_when_a_setting_is_wrong_then_the_user_reads_one_exact_sentence(wrong, sentence):
    with refusal(sentence):
        Settings.create(**{"model": "TFT_Q", "dataset": "heat", **wrong})


RUN = "run --model TFT_Q --dataset heat"
MODELS = f"allowed: {', '.join(family_names())}"
DATASETS = f"allowed: {', '.join(known_datasets())}; or give the path of a dataset TOML"
TOML = "give the path of a dataset TOML or a name from `hpo datasets`"
PREPARE = "prepare --dataset heat --out nowhere.csv"

WRONG_COMMANDS = {
    f"{RUN} --model TFT": (
        f"model is 'TFT', which is not a model family; did you mean TFT_Q? {MODELS}"
    ),
    f"{RUN} --dataset haet": (
        f"dataset is 'haet', which is not in the registry; did you mean heat? {DATASETS}"
    ),
    f"{RUN} --dataset {300 * 'a'}.toml": f"dataset file {300 * 'a'}.toml does not exist; {TOML}",
    f"{RUN} --seed {2**64}": f"parameter seed is {2**64}, {SEED}",
    f"{PREPARE} --dataset water --raw raw.csv": (
        f"dataset is 'water', which is not in the registry; did you mean water_centrum? {DATASETS}"
    ),
    f"{PREPARE} --raw absent.csv": (
        "absent.csv: cannot be read (No such file or directory); fix the file or its permissions"
    ),
    f"{PREPARE} --raw nowhere.csv": (
        "nowhere.csv: the output is also an input, which would be overwritten; give another --out"
    ),
}


@pytest.mark.parametrize("words, sentence", WRONG_COMMANDS.items(), ids=lambda value: value[:60])
def test_when_a_command_is_given_something_wrong_then_it_prints_one_sentence_and_ends_with_2(
    words, sentence, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "papermill.execute_notebook", lambda *_, **__: pytest.fail("a study was started")
    )
    monkeypatch.chdir(tmp_path)
    folders = " --runs-dir runs --data-dir data" if words.startswith("run") else ""
    assert hpo(words + folders, code=2) == (2, "", f"hpo: {sentence}\n")
    assert list(tmp_path.iterdir()) == []


USAGE = {
    "run --model TFT_Q": "the following arguments are required: --dataset",
    "prepare --dataset heat": "the following arguments are required: --raw",
    f"{RUN} --trials many": "argument --trials: invalid int value: 'many'",
    f"{RUN} --trials": "argument --trials: expected one argument",
    f"{RUN} --trails 5": (
        "option --trails is unknown; did you mean --trials? All options: hpo run --help"
    ),
    # Shortened options are not guessed.
    f"{RUN} --trial=5": (
        "option --trial is unknown; did you mean --trials? All options: hpo run --help"
    ),
    f"{RUN} --bogus": "option --bogus is unknown; All options: hpo run --help",
    f"{RUN} extra": "'extra' belongs to no option; put a value that holds blanks in quotes",
}


@pytest.mark.parametrize("words, error", USAGE.items())
def test_when_a_command_is_used_wrongly_then_usage_is_shown_and_it_ends_with_2(
    words, error, capsys
):
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: hpo")
    assert err.splitlines()[-1] == f"hpo {words.split()[0]}: error: {error}"


def test_when_a_command_does_not_exist_then_the_ones_that_do_are_named(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["runn"])
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith(
            "hpo: error: command is 'runn'; did you mean run? allowed: datasets, new-dataset, "
        )
    )
