"""The leak audit of a dataset: its feature file, and models that are trained on it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.day_ahead_weather import MARKS
from hpo_lib.data.features import rebuilt_features
from hpo_lib.errors import InputError, choices
from hpo_lib.families.models import RECIPES
from hpo_lib.leaks.columns import Finding, audit_columns
from hpo_lib.leaks.models import audit_model, model_names

NO_MODEL = "none"


def audit(
    dataset: Dataset,
    models: Sequence[str] = (),
    recipe: str = "standard",
    *,
    raw: Path | None = None,
    weather: Path | None = None,
    school_holidays: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[Finding]:
    """Findings on each column and on each model, in this order.

    Args:
        dataset: its spec says how ``raw`` is read.
        models: families and baselines by name, or ``none``; empty: all.
        recipe: of the families.
        raw: CSV of the meter. Columns are then compared with features rebuilt from raw data that
            ends with training, with validation and with the feature file.
        weather: as for `hpo prepare`, with ``raw``.
        school_holidays: likewise.
        say: is called with a line before each training.
    """
    allowed = (*model_names(), NO_MODEL)
    for model in models:
        if model not in allowed:
            raise InputError(f"model is {model!r}; {choices(model, allowed)}")
    if recipe not in RECIPES:
        raise InputError(f"recipe is {recipe!r}; {choices(recipe, RECIPES)}")
    if raw is None and (weather or school_holidays):
        raise InputError(
            "weather and school holidays are compared with raw data, which is not given; give "
            "--raw RAW.csv"
        )
    splits, rebuilt = dataset.spec.splits, []
    if raw is not None:
        ends = (splits.train_end, splits.val_end, dataset.index[-1])
        rebuilt = [
            rebuilt_features(dataset.spec, end, raw, weather, school_holidays) for end in ends
        ]
    findings = audit_columns(dataset, rebuilt)
    if dataset.kind_of_weather in MARKS:
        seen = (
            f"models see {MARKS[dataset.kind_of_weather].lower()}, which no forecaster has; "
            "results carry that mark"
        )
        findings.append(Finding("weather of the day ahead", "note", seen))
    for model in models or model_names():
        if model == NO_MODEL:
            continue
        say(f"training {model} twice at a small budget ...")
        findings += audit_model(dataset, model, recipe)
    return findings


def report_lines(findings: Sequence[Finding]) -> list[str]:
    """One line per finding, leaks first; what is said of several subjects alike is said once.

    The last line counts.
    """
    subjects: dict[tuple[str, str], list[str]] = {}
    for kind in ("leak", "note", "fine"):
        for finding in findings:
            if finding.kind == kind:
                key = (kind.upper() if kind == "leak" else kind, finding.sentence)
                subjects.setdefault(key, []).append(finding.subject)
    lines = [f"{kind}: {', '.join(names)}: {said}" for (kind, said), names in subjects.items()]
    leaks, names = n_leaks(findings), {finding.subject for finding in findings}
    columns = sum(name.startswith("column ") for name in names)
    models = len(names.intersection(model_names()))
    counted = f"{columns} columns and {models} model{'' if models == 1 else 's'}"
    return [*lines, f"{leaks or 'no'} leak{'' if leaks == 1 else 's'} found in {counted}"]


def n_leaks(findings: Sequence[Finding]) -> int:
    """How many of them are leaks."""
    return sum(finding.kind == "leak" for finding in findings)
