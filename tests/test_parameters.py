"""Which parameters a final training uses: found in order, and every file that is passed over is
named.
"""

import dataclasses
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hpo_lib.benchmark.chosen_params import FoundParameters, Lookup
from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import InputError
from hpo_lib.families.models import RECIPES, STANDARD, Budget, Family, Recipe
from hpo_lib.families.search_space import FloatRange, IntRange
from hpo_lib.records.trainings import family_key
from tests.conftest import essentials


class ToyFamily(Family):
    """A family that is never trained."""

    name = "TOY_Q"
    title = "Toy"
    search_space: ClassVar = {"width": IntRange(1, 9), "lr": FloatRange(1e-4, 1e-1, log=True)}
    defaults: ClassVar = {"width": 4, "lr": 1e-3}
    budgets: ClassVar = {"laptop": Budget(steps=1, batch_size=1, checks=1)}

    def darts_model(self, *_: Any) -> Any:
        raise NotImplementedError


FAMILY = ToyFamily()
TUNED = {"width": 7, "lr": 0.01}


def study(dataset: Dataset, /, **other: Any) -> dict[str, Any]:
    """What a best_params JSON of a study on these data says, as far as parameters need it."""
    splits = dataset.spec.splits
    data = {"source": "csv", "sha256": dataset.sha256}
    data |= {
        "train_end": str(splits.train_end),
        "val_end": str(splits.val_end),
        **other.pop("ends", {}),
    }
    provenance = {"data": data, "preset": "laptop", "recipe": asdict(RECIPES["standard"])}
    return {
        **essentials(TUNED),
        "model": "TOY_Q",
        "dataset": "tiny",
        "optimization_date": "2026-01-16T10:30:00+00:00",
        **other,
        "provenance": {**provenance, **other.get("provenance", {})},
    }


def old(**other: Any) -> dict[str, Any]:
    """The first schema of the original HPO plan, as its code saved it."""
    return {
        "model": "TOY_Q",
        "dataset": "tiny",
        "job_id": "1234567",
        "optimization_date": "2026-01-16T10:30:00",
        "n_trials": 50,
        "n_completed": 50,
        "n_pareto_optimal": 1,
        "best_trial_number": 42,
        "best_mae": 0.185,
        "best_picp_approx": 78.5,
        "best_params": {"width": 5, "lr": 0.002},
        "study_name": "x",
        "storage_path": "y",
        "all_pareto_trials": [],
        **other,
    }


def old_standard(**other: Any) -> dict[str, Any]:
    """The second schema of the original HPO plan, as its text standardised it."""
    return {
        "model": "TOY_Q",
        "dataset": "tiny",
        "optimization_date": "2026-01-17",
        "n_trials": 50,
        "best_trial": 42,
        "best_mae": 0.185,
        "best_params": {"width": 6, "lr": 0.003},
        "validation_metrics": {"mae": 0.185, "rmse": 0.312, "mape": 4.56},
        "training_time_hours": 9.2,
        "total_trials_completed": 50,
        "pruned_trials": 0,
        "optuna_study_name": "x",
        **other,
    }


def write(runs_dir: Path, job: str, content: object) -> Path:
    file = runs_dir / "TOY_Q_tiny" / f"best_params_TOY_Q_tiny{job and '_'}{job}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def found(
    dataset: Dataset, runs_dir: Path, preset: str = "laptop", recipe: str = "standard"
) -> FoundParameters:
    return Lookup(FAMILY, dataset, preset, recipe).best(runs_dir)


def test_when_there_is_no_study_then_the_defaults_are_used_and_it_is_said(
    tiny_dataset, tmp_path
) -> None:
    got = found(tiny_dataset, tmp_path)
    assert (got.params, got.source, got.tuned) == (FAMILY.defaults, "defaults", False)
    (note,) = got.notes
    assert note.startswith(f"No usable study of TOY_Q on tiny was found in {tmp_path}")


def test_when_there_are_several_studies_then_the_newest_is_used(tiny_dataset, tmp_path) -> None:
    write(tmp_path, "z", study(tiny_dataset))
    newest = {"width": 2, "lr": 0.02}
    file = write(
        tmp_path,
        "a",
        study(tiny_dataset, best_params=newest, optimization_date="2026-02-01T00:00:00+00:00"),
    )
    assert found(tiny_dataset, tmp_path) == FoundParameters(newest, str(file))


def test_when_an_old_file_is_newer_than_a_study_then_the_study_is_used(
    tiny_dataset, tmp_path
) -> None:
    file = write(tmp_path, "new", study(tiny_dataset))
    write(tmp_path, "old", old(optimization_date="2027-01-01"))
    assert found(tiny_dataset, tmp_path) == FoundParameters(TUNED, str(file))


@pytest.mark.parametrize(
    ("content", "width"), [(old(), 5), (old_standard(), 6)], ids=["as saved", "standardised"]
)
def test_when_there_are_only_old_files_then_one_is_used_with_what_it_lacks(
    content, width, tiny_dataset, tmp_path
):
    file = write(tmp_path, "", content)
    got = found(tiny_dataset, tmp_path)
    assert (got.params["width"], got.source) == (width, str(file))
    (note,) = got.notes
    assert note.startswith(
        f"{file} is used, but it has the schema of old studies: it lacks the data's fingerprint"
    )
    named = Lookup(FAMILY, tiny_dataset, "laptop", "standard").from_file(file)
    assert named == got


def test_when_an_old_file_is_where_old_studies_put_it_then_it_is_found(
    tiny_dataset, tmp_path
) -> None:
    file = tmp_path / "best_params_TOY_Q_tiny.json"
    file.write_text(json.dumps(old_standard()), encoding="utf-8")
    assert found(tiny_dataset, tmp_path).source == str(file)


UNUSABLE: dict[str, tuple[Any, str]] = {
    "truncated": ('{"model": "TOY_Q", "data', "not a complete JSON file"),
    "of another kind": ([1, 2], "holds a list, expected the JSON object"),
    "newer": ({"schema_version": 3}, "schema_version is 3, this version reads up to 2"),
    "of another model": ({"model": "NHITS_Q"}, "model is 'NHITS_Q', expected 'TOY_Q'"),
    "of another dataset": ({"dataset": "heat"}, "dataset is 'heat', expected 'tiny'"),
    "of other data": (
        {"provenance": {"data": {"sha256": "f" * 64}}},
        "it was made on other data (sha256 is ffffffffffff, here it is ",
    ),
    "of other training": (
        {"ends": {"train_end": "2018-01-01 00Z"}},
        "other data (train_end is 2018-01-01 00Z, here",
    ),
    "of other validation": (
        {"ends": {"val_end": "2020-01-01 00Z"}},
        "other data (val_end is 2020-01-01 00Z, here",
    ),
    "without provenance": (
        {"provenance": {"data": None}},
        "it was made on other data (sha256 is None",
    ),
    "unfinished": ({"status": "stopped"}, "its study is not complete"),
    "without a status": ({"status": None}, "status is None"),
    "of the other recipe": (
        {"provenance": {"recipe": asdict(RECIPES["plain"])}},
        "the recipe of its study is plain, here it is standard",
    ),
    "of an older recipe": (
        {"provenance": {"recipe": {"level_hours": 24, "daily_weight": 8}}},
        "the recipe of its study is an unknown one ({'level_hours': 24, 'daily_weight': 8}), "
        "here it is standard",
    ),
    "of a test": ({"provenance": {"preset": "test"}}, "its study has the test preset"),
    "without a parameter": (
        {"best_params": {"width": 7}},
        "hyperparameter 'lr' of TOY_Q is missing",
    ),
    "with a foreign parameter": (
        {"best_params": {**TUNED, "depth": 3}},
        "has no hyperparameter 'depth'",
    ),
    "outside the search space": (
        {"best_params": {**TUNED, "width": 70}},
        "width is 70, expected a whole number",
    ),
    "without parameters": ({"best_params": None}, "best_params is None"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_when_a_file_cannot_be_used_then_it_is_named_and_the_next_one_is_used(
    case, tiny_dataset, tmp_path
) -> None:
    content, reason = UNUSABLE[case]
    later = {"optimization_date": "2030-01-01"}
    bad = write(
        tmp_path,
        "bad",
        study(tiny_dataset, **later, **content) if isinstance(content, dict) else content,
    )
    good = write(tmp_path, "good", study(tiny_dataset))
    got = found(tiny_dataset, tmp_path)
    assert (got.params, got.source) == (TUNED, str(good))
    (note,) = got.notes
    assert note.startswith(f"Passed over {bad}: ")
    assert reason in note


HARD = [
    case
    for case in UNUSABLE
    if case
    not in (
        "unfinished",
        "of the other recipe",
        "of an older recipe",
        "of a test",
    )
]


@pytest.mark.parametrize("case", HARD)
def test_when_the_file_that_the_user_names_does_not_fit_then_one_sentence_says_why(
    case, tiny_dataset, tmp_path
):
    content, reason = UNUSABLE[case]
    file = write(
        tmp_path, "bad", study(tiny_dataset, **content) if isinstance(content, dict) else content
    )
    with pytest.raises(InputError, match=f"^{re.escape(str(file))}: .*{re.escape(reason)}"):
        Lookup(FAMILY, tiny_dataset, "laptop", "standard").from_file(file)


@pytest.mark.parametrize("case", ["unfinished", "of the other recipe", "of a test"])
def test_when_the_file_that_the_user_names_was_tuned_otherwise_then_it_is_used_and_said(
    case, tiny_dataset, tmp_path
):
    file = write(tmp_path, "named", study(tiny_dataset, **UNUSABLE[case][0]))
    got = Lookup(FAMILY, tiny_dataset, "laptop", "standard").from_file(file)
    assert got.params == TUNED
    (note,) = got.notes
    assert note.startswith(f"{file} is used, but ")


def test_when_a_study_searched_the_recipe_too_then_what_it_found_is_used_with_the_recipe(
    tiny_dataset, tmp_path
) -> None:
    wide = {**TUNED, "linear_part": False, "calendar": False}
    write(tmp_path, "a", study(tiny_dataset, best_params=wide, space="wide"))
    assert found(tiny_dataset, tmp_path).params == wide


def test_when_fields_of_the_recipe_are_among_the_params_then_the_key_is_that_of_the_same_training(
    tiny_dataset,
) -> None:
    def key(params: dict[str, Any], recipe: Recipe = STANDARD) -> dict[str, Any]:
        return family_key(FAMILY, params, FAMILY.budgets["laptop"], recipe, tiny_dataset)

    defaults = dict(FAMILY.defaults)
    assert key(FAMILY.untuned("wide")) == key(defaults)
    without = {**defaults, "linear_part": False}
    assert key(without) == key(defaults, replace(STANDARD, linear_part=False)) != key(defaults)


def test_when_a_study_had_another_budget_then_it_is_used_and_said(tiny_dataset, tmp_path) -> None:
    file = write(tmp_path, "a", study(tiny_dataset))
    got = found(tiny_dataset, tmp_path, preset="a100")
    assert (got.params, got.notes) == (
        TUNED,
        (f"{file} is used, but it was tuned with the laptop budget, here it is a100.",),
    )


def test_when_the_benchmark_itself_is_a_test_then_a_test_study_is_used(
    tiny_dataset, tmp_path
) -> None:
    write(tmp_path, "a", study(tiny_dataset, provenance={"preset": "test"}))
    assert found(tiny_dataset, tmp_path, preset="test") == FoundParameters(
        TUNED, str(tmp_path / "TOY_Q_tiny" / "best_params_TOY_Q_tiny_a.json")
    )


# Retraining: the data are newer than those of the study


NEWER = {"sha256": "f" * 64, "source": "csv"}


def of_older_data(**other: Any) -> dict[str, Any]:
    return {"provenance": {"data": {**NEWER, **other}}}


def test_when_data_may_differ_then_a_study_on_older_data_is_used_and_said(
    tiny_dataset, tmp_path
) -> None:
    write(tmp_path, "same", study(tiny_dataset, best_params={"width": 1, "lr": 0.01}))
    file = write(
        tmp_path, "older", study(tiny_dataset, optimization_date="2030-01-01", **of_older_data())
    )
    lookup = Lookup(FAMILY, tiny_dataset, "laptop", "standard", same_data=False)
    for got in (lookup.best(tmp_path), lookup.from_file(file)):
        assert (got.params, got.source) == (TUNED, str(file))
        (note,) = got.notes
        assert note.startswith(
            f"{file} is used, but it was made on other data (sha256 is ffffffffffff, here it is "
        )


UNTRUSTED = {
    "unfinished": ({"status": "stopped", **of_older_data()}, "its study is not complete"),
    "a test": ({"provenance": {"preset": "test", "data": NEWER}}, "its study has the test preset"),
    "simulated data": (
        of_older_data(source="simulated"),
        "its study was made on simulated data, here they are real",
    ),
    "another dataset": ({"dataset": "heat"}, "dataset is 'heat', expected 'tiny'"),
}


@pytest.mark.parametrize("case", UNTRUSTED)
def test_when_data_may_differ_then_some_studies_are_used_only_if_the_user_names_them(
    case, tiny_dataset, tmp_path
):
    content, reason = UNTRUSTED[case]
    file = write(tmp_path, "a", study(tiny_dataset, **content))
    lookup = Lookup(FAMILY, tiny_dataset, "laptop", "standard", same_data=False)
    got = lookup.best(tmp_path)
    assert not got.tuned
    assert got.notes[0].startswith(f"Passed over {file}: {reason}")
    named = lookup.from_file(file)
    assert named.params == TUNED
    assert named.notes[0].startswith(f"{file} is used, but {reason}")


def test_when_the_data_are_simulated_too_then_a_study_on_simulated_data_is_used(
    tiny_dataset, tmp_path
) -> None:
    twin = dataclasses.replace(tiny_dataset, source="simulated")
    write(tmp_path, "a", study(tiny_dataset, **of_older_data(source="simulated")))
    assert Lookup(FAMILY, twin, "laptop", "standard", same_data=False).best(tmp_path).tuned


def test_when_the_named_file_is_absent_then_the_sentence_says_so(tiny_dataset, tmp_path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Lookup(FAMILY, tiny_dataset, "laptop", "standard").from_file(tmp_path / "x.json")
