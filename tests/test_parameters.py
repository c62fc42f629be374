"""Which parameters a final training uses: found in order, and every file that is passed over is
named.
"""

import json
import re
from dataclasses import asdict, replace
from typing import ClassVar

import pytest

from hpo_lib.benchmark.chosen_params import FoundParameters, Lookup
from hpo_lib.errors import InputError
from hpo_lib.families.darts_family import DartsFamily
from hpo_lib.families.models import RECIPES, STANDARD, Budget
from hpo_lib.families.search_space import FloatRange, IntRange
from hpo_lib.records.trainings import family_key
from hpo_lib.settings import Settings
from tests import old_plan
from tests.conftest import essentials


class ToyFamily(DartsFamily):
    """A family that is never trained."""

    name = "TOY_Q"
    title = "Toy"
    search_space: ClassVar = {"width": IntRange(1, 9), "lr": FloatRange(1e-4, 1e-1, log=True)}
    defaults: ClassVar = {"width": 4, "lr": 1e-3}
    budgets: ClassVar = {"laptop": Budget(steps=1, batch_size=1, checks=1)}

    def darts_model(self, *_):
        raise NotImplementedError


FAMILY = ToyFamily()
TUNED = {"width": 7, "lr": 0.01}
LATER = "2030-01-01"


@pytest.fixture
def lookup(tiny_dataset, tmp_path):
    settings = Settings.create(FAMILY.name, "tiny", preset="laptop", runs_dir=tmp_path)
    return Lookup(FAMILY, tiny_dataset, settings)


def with_preset(lookup, preset):
    return replace(lookup, settings=replace(lookup.settings, preset=preset))


@pytest.fixture
def write(tiny_dataset, tmp_path):
    """Writes a record under a job id: this text or list, or that of a study on the tiny dataset
    with other values, which may be some of its provenance and its data's.
    """

    def write_record(job, content=None, /, *, provenance=None, data=None, **other):
        splits = tiny_dataset.spec.splits
        of_data = {
            "source": "csv",
            "sha256": tiny_dataset.sha256,
            "train_end": str(splits.train_end),
            "val_end": str(splits.val_end),
            **(data or {}),
        }
        made = {"data": of_data, "preset": "laptop", "recipe": asdict(RECIPES["standard"])}
        study = {
            **essentials(TUNED),
            "model": "TOY_Q",
            "dataset": "tiny",
            "optimization_date": "2026-01-16T10:30:00+00:00",
            "provenance": made | (provenance or {}),
            **other,
        }
        file = tmp_path / f"TOY_Q_tiny/best_params_TOY_Q_tiny{job}.json"
        file.parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content or study)
        file.write_text(text, encoding="utf-8")
        return file

    return write_record


def test_when_there_is_no_study_then_the_defaults_are_used_and_it_is_said(lookup, tmp_path):
    found = lookup.best()
    assert (found.params, found.source) == (FAMILY.defaults, "defaults")
    (note,) = found.notes
    assert note.startswith(f"No usable study of TOY_Q on tiny was found in {tmp_path}")


def test_when_there_are_several_studies_then_the_newest_is_used(lookup, write, tmp_path):
    write("_z")
    newest = {"width": 2, "lr": 0.02}
    file = write("_a", best_params=newest, optimization_date="2026-02-01T00:00:00+00:00")
    assert lookup.best() == FoundParameters(newest, str(file))


def old(plan, **other):
    return {**plan, "model": "TOY_Q", "dataset": "tiny", "best_params": TUNED, **other}


def test_when_an_old_file_is_newer_than_a_study_then_the_study_is_used(lookup, write, tmp_path):
    file = write("_new")
    write("_old", old(old_plan.SAVED, optimization_date=LATER))
    assert lookup.best() == FoundParameters(TUNED, str(file))


@pytest.mark.parametrize("folder", ["TOY_Q_tiny", "."], ids=["of the study", "of all studies"])
@pytest.mark.parametrize("plan", [old_plan.SAVED, old_plan.STANDARD], ids=["saved", "standardised"])
def test_when_there_are_only_old_files_then_one_is_used_with_what_it_lacks(
    plan, folder, lookup, write, tmp_path
):
    file = write("", old(plan)).rename(tmp_path / folder / "best_params_TOY_Q_tiny.json")
    found = lookup.best()
    assert (found.params, found.source) == (TUNED, str(file))
    (note,) = found.notes
    assert note.startswith(
        f"{file} is used, but it has the schema of old studies, which lacks data, splits"
    )
    assert lookup.from_file(file) == found


OTHER_DATA = {"sha256": "f" * 64}
UNFIT = {
    "truncated": ('{"model": "TOY_Q", "data', "not a complete JSON file"),
    "of another kind": ([1, 2], "holds a list, expected the JSON object"),
    "newer": ({"schema_version": 3}, "schema_version is 3, this version reads up to 2"),
    "of another model": ({"model": "NHITS_Q"}, "model is 'NHITS_Q', expected 'TOY_Q'"),
    "of another dataset": ({"dataset": "heat"}, "dataset is 'heat', expected 'tiny'"),
    "of other data": (
        {"data": OTHER_DATA},
        "it was made on other data (sha256 is ffffffffffff, here it is ",
    ),
    "of other training": (
        {"data": {"train_end": "2018-01-01 00Z"}},
        "other data (train_end is 2018-01-01 00Z, here",
    ),
    "of other validation": (
        {"data": {"val_end": "2020-01-01 00Z"}},
        "other data (val_end is 2020-01-01 00Z, here",
    ),
    "without provenance": (
        {"provenance": {"data": None}},
        "it was made on other data (sha256 is None",
    ),
    "without a status": ({"status": None}, "status is None"),
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
DOUBTFUL = {
    "unfinished": ({"status": "stopped"}, "its study is not complete"),
    "of the other recipe": (
        {"provenance": {"recipe": asdict(RECIPES["plain"])}},
        "its study has another recipe than standard",
    ),
    "of an older recipe": (
        {"provenance": {"recipe": {"level_hours": 24, "daily_weight": 8}}},
        "its study has another recipe than standard",
    ),
    "of a test": ({"provenance": {"preset": "test"}}, "its study has the test preset"),
}
DOUBTFUL_ON_NEWER_DATA = {
    "unfinished": ({"data": OTHER_DATA, **DOUBTFUL["unfinished"][0]}, DOUBTFUL["unfinished"][1]),
    "of a test": ({"data": OTHER_DATA, **DOUBTFUL["of a test"][0]}, DOUBTFUL["of a test"][1]),
    "of simulated data": (
        {"data": {**OTHER_DATA, "source": "simulated"}},
        "its study was made on simulated data, here they are real",
    ),
    "of another dataset": UNFIT["of another dataset"],
}
CASES = [
    pytest.param(*case, named, same_data, id=f"{name}, {'same' if same_data else 'newer'} data")
    for cases, named, same_data in (
        (UNFIT, "refused", True),
        (DOUBTFUL, "used", True),
        (DOUBTFUL_ON_NEWER_DATA, "used", False),
    )
    for name, case in cases.items()
]


@pytest.mark.parametrize("content, reason, named, same_data", CASES)
def test_when_a_file_does_not_fit_then_it_is_passed_over_and_if_the_user_names_it_refused_or_used(
    content, reason, named, same_data, lookup, write, tmp_path
):
    lookup = replace(lookup, same_data=same_data)
    if isinstance(content, dict):
        file = write("_bad", optimization_date=LATER, **content)
    else:
        file = write("_bad", content)
    good = write("_good")
    found = lookup.best()
    assert (found.params, found.source) == (TUNED, str(good))
    (note,) = found.notes
    assert note.startswith(f"Passed over {file}: ")
    assert reason in note
    if named == "refused":
        with pytest.raises(InputError, match=f"^{re.escape(str(file))}: .*{re.escape(reason)}"):
            lookup.from_file(file)
    else:
        found = lookup.from_file(file)
        assert found.params == TUNED
        assert found.notes[0].startswith(f"{file} is used, but {reason}")


def test_when_a_study_searched_the_recipe_too_then_what_it_found_is_used_with_the_recipe(
    lookup, write, tmp_path
):
    wide = {**TUNED, "linear_part": False, "calendar": False}
    write("_a", best_params=wide, space="wide")
    assert lookup.best().params == wide


def test_when_fields_of_the_recipe_are_among_the_params_then_the_key_is_that_of_the_same_training(
    tiny_dataset,
):
    def key(params, recipe=STANDARD):
        return family_key(FAMILY, params, FAMILY.budgets["laptop"], recipe, tiny_dataset)

    defaults = dict(FAMILY.defaults)
    assert key(FAMILY.untuned("wide")) == key(defaults)
    without = {**defaults, "linear_part": False}
    assert key(without) == key(defaults, replace(STANDARD, linear_part=False)) != key(defaults)


def test_when_a_study_had_another_budget_then_it_is_used_and_said(lookup, write, tmp_path):
    file = write("_a")
    note = f"{file} is used, but it was tuned with the laptop budget, here it is a100."
    assert with_preset(lookup, "a100").best() == FoundParameters(TUNED, str(file), (note,))


def test_when_the_benchmark_itself_is_a_test_then_a_test_study_is_used(lookup, write, tmp_path):
    file = write("_a", provenance={"preset": "test"})
    assert with_preset(lookup, "test").best() == FoundParameters(TUNED, str(file))


# Retraining: the data are newer than those of the study


def test_when_data_may_differ_then_a_study_on_older_data_is_used_and_said(lookup, write, tmp_path):
    write("_same", best_params={"width": 1, "lr": 0.01})
    file = write("_older", optimization_date=LATER, data=OTHER_DATA)
    lookup = replace(lookup, same_data=False)
    for found in (lookup.best(), lookup.from_file(file)):
        assert (found.params, found.source) == (TUNED, str(file))
        (note,) = found.notes
        assert note.startswith(
            f"{file} is used, but it was made on other data (sha256 is ffffffffffff, here it is "
        )


def test_when_the_data_are_simulated_too_then_a_study_on_simulated_data_is_used(
    lookup, write, tmp_path
):
    twin = replace(lookup.dataset, source="simulated")
    write("_a", data={**OTHER_DATA, "source": "simulated"})
    assert replace(lookup, dataset=twin, same_data=False).best().source != "defaults"


def test_when_the_named_file_is_absent_then_the_sentence_says_so(lookup, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        lookup.from_file(tmp_path / "x.json")
