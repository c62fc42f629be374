"""The one lookup of chosen hyperparameters, for final trainings and retraining.

Notes say what was passed over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import InputError
from hpo_lib.families.models import RECIPES, Family, Params, read_recipe
from hpo_lib.paths import best_params_files
from hpo_lib.records.provenance import data_key
from hpo_lib.records.study import StoredStudy, newest_first
from hpo_lib.settings import Settings

UNUSABLE, DOUBTFUL, USABLE = 2, 1, 0
"""How much a finding about a file matters: the file is refused; is used only if the user names it;
is used.
"""

STUDIED = ("sha256", "train_end", "val_end")
"""What decides whether a study was on the same data; it never saw the test split."""


@dataclass(frozen=True)
class FoundParameters:
    """Hyperparameters that were checked against the family's search space, with their origin.

    ``source`` is ``defaults`` or the file that they were read from. ``notes`` are sentences for the
    user: what an old file lacks, which files were passed over and why.
    """

    params: Params
    source: str
    notes: tuple[str, ...] = ()


OWN_CHOICES = FoundParameters({}, "own choices")
"""Of a baseline, which nothing tunes."""


@dataclass(frozen=True)
class Lookup:
    """What parameters are wanted for.

    With ``same_data`` only studies on these very data (fingerprint and splits) are accepted.
    Retraining sets it to False: its data are newer than those of the study. What differs then
    becomes a note.
    """

    family: Family
    dataset: Dataset
    settings: Settings
    same_data: bool = True

    @property
    def defaults(self) -> FoundParameters:
        """The untuned defaults."""
        return FoundParameters(dict(self.family.defaults), "defaults")

    def from_file(self, file: Path) -> FoundParameters:
        """Parameters of one best_params JSON that the user names.

        A study that is not complete, has another budget or recipe or is on simulated data, and what
        an old file lacks, become notes.

        Raises:
            InputError: the file is broken, of another model, of another dataset or other data
                (unless ``same_data`` is False), or its parameters do not fit the family.
        """
        study = StoredStudy.of_file(file)
        for matters, finding in self._findings(study):
            if matters == UNUSABLE:
                raise InputError(
                    f"{file}: {finding}; give a best_params file of {self.family.name} on "
                    f"{self.dataset.spec.name}"
                )
        return self._used(study)

    def best(self) -> FoundParameters:
        """The parameters that the studies in the folder of the settings found, in this order.

        1. The newest complete study of this model, dataset and recipe, and of these data if
          ``same_data``.
        2. The newest file of an older schema for this model and dataset, with a note on what it
          lacks.
        3. The untuned defaults, with a note.

        A note names every file that is passed over, with the reason. A study of another budget is
        used, with a note. A study of the ``test`` preset serves that preset alone, and one on
        simulated data serves simulated data alone.
        """
        usable = list[StoredStudy]()
        notes = list[str]()
        runs_dir = self.settings.runs_dir
        for file in best_params_files(runs_dir, self.family.name, self.dataset.spec.name):
            try:
                study = StoredStudy.of_file(file, runs_dir)
                for matters, finding in self._findings(study):
                    if matters != USABLE:
                        raise InputError(f"{file}: {finding}")
                usable.append(study)
            except InputError as error:
                notes.append(f"Passed over {error}.")
        if usable:
            return self._used(newest_first(usable)[0], notes)
        notes.append(
            f"No usable study of {self.family.name} on {self.dataset.spec.name} was found in "
            f"{runs_dir}: there are only the untuned defaults; make one with `hpo run`."
        )
        return replace(self.defaults, notes=tuple(notes))

    def _used(self, study: StoredStudy, notes: Sequence[str] = ()) -> FoundParameters:
        used = (f"{study.file} is used, but {finding}." for _, finding in self._findings(study))
        return FoundParameters(study.result["best_params"], str(study.file), (*notes, *used))

    def _findings(self, study: StoredStudy) -> Iterator[tuple[int, str]]:
        """What does not fit about a study, or should be known, each with how much it matters."""
        name = self.dataset.spec.name
        budget = self.settings.budget_name
        preset = study.provenance.get("preset")
        there = study.data
        here = data_key(self.dataset)
        if study.model != self.family.name:
            yield UNUSABLE, f"model is {study.model!r}, expected {self.family.name!r}"
        if study.dataset != name:
            yield (
                UNUSABLE if self.same_data else DOUBTFUL,
                f"dataset is {study.dataset!r}, expected {name!r}",
            )
        try:
            self.family.check_params(study.result["best_params"], "best_params")
        except InputError as error:
            yield UNUSABLE, str(error).removeprefix("best_params: ")
        if study.result["schema_version"] == 1:
            lacks = "data, splits, budget, recipe and exact coverage, so it may be of other data"
            yield USABLE, f"it has the schema of old studies, which lacks {lacks}"
            return
        for doubt in study.doubts(test=budget == "test", simulated=self.dataset.is_simulated):
            yield DOUBTFUL, doubt
        # What a wide study found is in its best_params.
        if read_recipe(study.provenance.get("recipe") or {}) != RECIPES[self.settings.recipe]:
            yield DOUBTFUL, f"its study has another recipe than {self.settings.recipe}"
        if study.source.partition(", ")[2] != self.dataset.source.partition(", ")[2]:
            made = f"its study was made on data from {study.source}"
            yield DOUBTFUL, f"{made}, here they are from {self.dataset.source}"
        differing = [key for key in STUDIED if there.get(key) != here[key]]
        if differing and study.dataset == name:
            end = 12 if differing[0] == "sha256" else None
            before, now = (str(key.get(differing[0]))[:end] for key in (there, here))
            yield (
                UNUSABLE if self.same_data else USABLE,
                f"it was made on other data ({differing[0]} is {before}, here it is {now})",
            )
        if preset not in ("test", budget):
            yield USABLE, f"it was tuned with the {preset} budget, here it is {budget}"
