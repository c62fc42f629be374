"""The leak audit of a dataset: its feature file, and models that are trained on it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.day_ahead_weather import MARKS
from hpo_lib.data.raw_files import rebuilt_features
from hpo_lib.errors import InputError, choices
from hpo_lib.families.models import RECIPES
from hpo_lib.leaks.columns import Finding, Kind, audit_columns
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
    for kind, names, allowed in (
        ("model", models, (*model_names(), NO_MODEL)),
        ("recipe", [recipe], tuple(RECIPES)),
    ):
        for name in names:
            if name not in allowed:
                raise InputError(f"{kind} is {name!r}; {choices(name, allowed)}")
    if raw is None and (weather or school_holidays):
        raise InputError(
            "weather and school holidays are compared with raw data, which is not given; give "
            "--raw RAW.csv"
        )
    spec, rebuilt = dataset.spec, []
    if raw is not None:
        ends = spec.splits.train_end, spec.splits.val_end, dataset.index[-1]
        rebuilt = [rebuilt_features(spec, raw, weather, school_holidays, end)[0] for end in ends]
    findings = audit_columns(dataset, rebuilt)
    if dataset.kind_of_weather in MARKS:
        seen = (
            f"models see {MARKS[dataset.kind_of_weather].lower()}, which no forecaster has; "
            "results carry that mark"
        )
        findings.append(Finding("weather of the day ahead", "note", seen))
    for model in models or model_names():
        if model != NO_MODEL:
            say(f"training {model} twice at a small budget ...")
            findings += audit_model(dataset, model, recipe)
    return findings


def report_lines(findings: Sequence[Finding]) -> list[str]:
    """One line per finding, leaks first; what is said of several subjects alike is said once.

    The last line counts.
    """
    subjects: dict[tuple[str, str], list[str]] = {}
    for finding in sorted(findings, key=lambda finding: get_args(Kind).index(finding.kind)):
        subjects.setdefault((finding.kind, finding.sentence), []).append(finding.subject)
    lines = [
        f"{kind.upper() if kind == 'leak' else kind}: {', '.join(names)}: {sentence}"
        for (kind, sentence), names in subjects.items()
    ]
    leaks, audited = n_leaks(findings), {finding.subject for finding in findings}
    columns = sum(subject.startswith("column ") for subject in audited)
    models = len(audited.intersection(model_names()))
    counted = f"{columns} columns and {models} model{'' if models == 1 else 's'}"
    return [*lines, f"{leaks or 'no'} leak{'' if leaks == 1 else 's'} found in {counted}"]


def n_leaks(findings: Sequence[Finding]) -> int:
    """How many of them are leaks."""
    return sum(finding.kind == "leak" for finding in findings)
