"""Which hyperparameters a final training uses, and where they come from: found, checked, never silently taken."""

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
        notes: sentences that the user should read: what an old file lacks, which files were passed over and why.
    """

    params: Params
    source: str
    notes: tuple[str, ...] = ()

    @property
    def tuned(self) -> bool:
        """Whether they come from a study."""
        return self.source != "defaults"


def default_parameters(family: Family) -> FoundParameters:
    """The untuned defaults."""
    return FoundParameters(dict(family.defaults), "defaults")


def parameters_from_file(family: Family, dataset: Dataset, file: Path, *, preset: str, recipe: str) -> FoundParameters:
    """Parameters of one best_params JSON that the user names.

    Raises:
        InputError: the file is broken, of another model or dataset, of other data, or its parameters are not those of
            the family. A study that is not complete or had another budget or recipe, and what an old file cannot say,
            become notes.
    """
    found = load_result(file)
    problem = _foreign(found, family, dataset) or _incomplete(found, family, "best_params")
    if problem:
        raise InputError(f"{file}: {problem}; give a best_params file of {family.name} on {dataset.spec.name}")
    if found["schema_version"] == 1:
        return FoundParameters(dict(found["best_params"]), str(file), (_lacks(file),))
    problems = (_unfinished(found), _other_recipe(found, recipe), _other_preset(found, preset))
    notes = [f"{file} is used, but {problem}." for problem in problems if problem]
    return FoundParameters(dict(found["best_params"]), str(file), tuple(notes))


def best_parameters(family: Family, dataset: Dataset, runs_dir: Path, *, preset: str, recipe: str) -> FoundParameters:
    """The parameters that studies found, in this order.

    1. The newest complete study of this model, this dataset, these very data (fingerprint and splits) and this recipe.
    2. The newest file of an older schema for this model and dataset, with a note on what it lacks.
    3. The untuned defaults, with a note.

    Every file that is passed over is named in a note, with the reason. A study of another budget is used, with a note;
    one of the ``test`` preset, which only shows that everything works, is used by a benchmark of that preset alone.

    Args:
        family: the model family.
        dataset: the loaded dataset.
        runs_dir: folder of the records.
        preset: name of the budget that the parameters are wanted for.
        recipe: name of the recipe that they are wanted for.
    """
    usable: dict[bool, list[tuple[str, Path, dict[str, Any]]]] = {True: [], False: []}
    notes: list[str] = []
    for file in best_params_files(runs_dir, family.name, dataset.spec.name):
        try:
            found = load_result(file)
        except InputError as error:
            notes.append(f"Passed over {error}.")
            continue
        is_old = found["schema_version"] == 1
        problem = _foreign(found, family, dataset) or _incomplete(found, family, "best_params")
        if problem is None and not is_old:
            problem = _unfinished(found) or _other_recipe(found, recipe)
            if problem is None and preset != "test" and _provenance(found).get("preset") == "test":
                problem = "its study has the test preset, which only shows that everything works"
        if problem:
            notes.append(f"Passed over {file}: {problem}.")
        else:
            usable[is_old].append((str(found["optimization_date"] or ""), file, found))
    for is_old in (False, True):
        if usable[is_old]:
            _, file, found = max(usable[is_old], key=lambda item: (item[0], item[1].name))
            other = None if is_old else _other_preset(found, preset)
            notes += [_lacks(file)] if is_old else [f"{file} is used, but {other}."] if other else []
            return FoundParameters(dict(found["best_params"]), str(file), tuple(notes))
    notes.append(
        f"No usable study of {family.name} on {dataset.spec.name} was found in {runs_dir}: there are only the untuned "
        "defaults; make one with `hpo run`."
    )
    return FoundParameters(dict(family.defaults), "defaults", tuple(notes))


def _foreign(found: dict[str, Any], family: Family, dataset: Dataset) -> str | None:
    for key, expected in (("model", family.name), ("dataset", dataset.spec.name)):
        if found[key] != expected:
            return f"{key} is {found[key]!r}, expected {expected!r}"
    if found["schema_version"] == 1:
        return None
    data = _provenance(found).get("data")
    data = data if isinstance(data, dict) else {}
    own = {
        "sha256": dataset.sha256,
        "train_end": str(dataset.spec.splits.train_end),
        "val_end": str(dataset.spec.splits.val_end),
    }
    for key, expected in own.items():
        if data.get(key) != expected:
            return f"it was made on other data ({key} is {_short(data.get(key))}, here it is {_short(expected)})"
    return None


def _incomplete(found: dict[str, Any], family: Family, source: str) -> str | None:
    params = found["best_params"]
    if not isinstance(params, dict):
        return f"best_params is a {type(params).__name__}, expected hyperparameters by name"
    try:
        family.check_params(params, source)
    except InputError as error:
        return str(error).removeprefix(f"{source}: ")
    return None


def _unfinished(found: dict[str, Any]) -> str | None:
    return None if found["status"] == "complete" else f"its study is {found['status']}, expected a complete one"


def _other_recipe(found: dict[str, Any], recipe: str) -> str | None:
    given = _provenance(found).get("recipe")
    if given == asdict(RECIPES[recipe]):
        return None
    name = next((name for name, known in RECIPES.items() if asdict(known) == given), f"an unknown one ({given})")
    return f"the recipe of its study is {name}, here it is {recipe}"


def _other_preset(found: dict[str, Any], preset: str) -> str | None:
    given = _provenance(found).get("preset")
    return None if given == preset else f"it was tuned with the {given} budget, here it is {preset}"


def _provenance(found: dict[str, Any]) -> dict[str, Any]:
    return found["provenance"] if isinstance(found["provenance"], dict) else {}


def _lacks(file: Path) -> str:
    return (
        f"{file} is used, but it has the schema of old studies: it lacks the data's fingerprint, the split dates, the "
        "training budget, the recipe and the exact coverage, so it may have been tuned on other data or judged by a "
        "validation that cannot be trusted."
    )


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
