"""The one lookup of chosen hyperparameters, for final trainings and retraining; notes say what was passed over."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpo_lib.data.dataset import Dataset
from hpo_lib.errors import InputError
from hpo_lib.families.contract import RECIPES, Family, Params
from hpo_lib.paths import best_params_files
from hpo_lib.records.result import load_result


@dataclass(frozen=True)
class FoundParameters:
    """Hyperparameters with their origin.

    Attributes:
        params: checked against the family's search space.
        source: ``defaults``, or the file that they were read from.
        notes: sentences for the user: what an old file lacks, which files were passed over and why.
    """

    params: Params
    source: str
    notes: tuple[str, ...] = ()

    @property
    def tuned(self) -> bool:
        """Whether they come from a study."""
        return self.source != "defaults"


@dataclass(frozen=True)
class Lookup:
    """What parameters are wanted for.

    Attributes:
        family: the model family.
        dataset: the loaded dataset.
        preset: name of the budget.
        recipe: name of the recipe.
        same_data: accept only studies on these very data (fingerprint and splits). Retraining sets it to False: its
            data are newer than those of the study. What differs then becomes a note.
    """

    family: Family
    dataset: Dataset
    preset: str
    recipe: str
    same_data: bool = True

    @property
    def defaults(self) -> FoundParameters:
        """The untuned defaults."""
        return FoundParameters(dict(self.family.defaults), "defaults")

    def from_file(self, file: Path) -> FoundParameters:
        """Parameters of one best_params JSON that the user names.

        Raises:
            InputError: the file is broken, of another model, of another dataset or other data (unless ``same_data`` is
                False), or its parameters do not fit the family. A study that is not complete, has another budget or
                recipe or is on simulated data, and what an old file lacks, become notes.
        """
        found = load_result(file)
        problem = self._misfit(found)
        if problem:
            name = self.dataset.spec.name
            raise InputError(f"{file}: {problem}; give a best_params file of {self.family.name} on {name}")
        return self._used(file, found, [*self._doubts(found), *self._differences(found)])

    def best(self, runs_dir: Path) -> FoundParameters:
        """The parameters that the studies in a folder found, in this order.

        1. The newest complete study of this model, dataset and recipe, and of these data if ``same_data``.
        2. The newest file of an older schema for this model and dataset, with a note on what it lacks.
        3. The untuned defaults, with a note.

        A note names every file that is passed over, with the reason. A study of another budget is used, with a note.
        A study of the ``test`` preset serves that preset alone, and one on simulated data serves simulated data alone.
        """
        usable: list[tuple[bool, str, str, Path, dict[str, Any]]] = []
        notes: list[str] = []
        for file in best_params_files(runs_dir, self.family.name, self.dataset.spec.name):
            try:
                found = load_result(file)
            except InputError as error:
                notes.append(f"Passed over {error}.")
                continue
            problem = self._other_name(found) or self._misfit(found) or next(self._doubts(found), None)
            if problem:
                notes.append(f"Passed over {file}: {problem}.")
            else:
                date = str(found["optimization_date"] or "")
                usable.append((found["schema_version"] > 1, date, file.name, file, found))
        if usable:
            *_, file, found = max(usable, key=lambda study: study[:3])
            return self._used(file, found, self._differences(found), notes)
        notes.append(
            f"No usable study of {self.family.name} on {self.dataset.spec.name} was found in {runs_dir}: there are "
            "only the untuned defaults; make one with `hpo run`."
        )
        return FoundParameters(self.defaults.params, self.defaults.source, tuple(notes))

    def _used(
        self, file: Path, found: dict[str, Any], remarks: Iterable[str], notes: Iterable[str] = ()
    ) -> FoundParameters:
        used = [f"{file} is used, but {remark}." for remark in remarks]
        return FoundParameters(dict(found["best_params"]), str(file), (*notes, *used))

    def _misfit(self, found: dict[str, Any]) -> str | None:
        """Why a file cannot be used at all."""
        if found["model"] != self.family.name:
            return f"model is {found['model']!r}, expected {self.family.name!r}"
        if self.same_data and (problem := self._other_name(found) or self._other_data(found)):
            return problem
        params = found["best_params"]
        if not isinstance(params, dict):
            return f"best_params is a {type(params).__name__}, expected hyperparameters by name"
        try:
            self.family.check_params(params, "best_params")
        except InputError as error:
            return str(error).removeprefix("best_params: ")
        return None

    def _doubts(self, found: dict[str, Any]) -> Iterator[str]:
        """Why a file is used only if the user names it."""
        if found["schema_version"] == 1:
            return
        if found["status"] != "complete":
            yield f"its study is {found['status']}, expected a complete one"
        recipe = _provenance(found).get("recipe")
        if recipe != asdict(RECIPES[self.recipe]):
            names = (name for name, known in RECIPES.items() if asdict(known) == recipe)
            given = next(names, f"an unknown one ({recipe})")
            yield f"the recipe of its study is {given}, here it is {self.recipe}"
        if self.preset != "test" and _provenance(found).get("preset") == "test":
            yield "its study has the test preset, which only shows that everything works"
        if self.dataset.source != "simulated" and _data(found).get("source") == "simulated":
            yield "its study was made on simulated data, here they are real"

    def _differences(self, found: dict[str, Any]) -> Iterator[str]:
        """What the user should know about a file that is used."""
        if found["schema_version"] == 1:
            yield (
                "it has the schema of old studies: it lacks the data's fingerprint, the split dates, the training "
                "budget, the recipe and the exact coverage, so it may have been tuned on other data or judged by a "
                "validation that cannot be trusted"
            )
            return
        preset = _provenance(found).get("preset")
        if preset not in (self.preset, "test"):
            yield f"it was tuned with the {preset} budget, here it is {self.preset}"
        if problem := self._other_name(found) or self._other_data(found):
            yield problem

    def _other_name(self, found: dict[str, Any]) -> str | None:
        name = self.dataset.spec.name
        return None if found["dataset"] == name else f"dataset is {found['dataset']!r}, expected {name!r}"

    def _other_data(self, found: dict[str, Any]) -> str | None:
        if found["schema_version"] == 1:
            return None
        splits = self.dataset.spec.splits
        own = {"sha256": self.dataset.sha256, "train_end": str(splits.train_end), "val_end": str(splits.val_end)}
        for key, expected in own.items():
            if (given := _data(found).get(key)) != expected:
                return f"it was made on other data ({key} is {_short(given)}, here it is {_short(expected)})"
        return None


def _provenance(found: dict[str, Any]) -> dict[str, Any]:
    return found["provenance"] if isinstance(found["provenance"], dict) else {}


def _data(found: dict[str, Any]) -> dict[str, Any]:
    data = _provenance(found).get("data")
    return data if isinstance(data, dict) else {}


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
