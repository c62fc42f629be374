"""Model cards (Mitchell et al., 2019): what was trained on what, how good it is, and what it is not
for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.style import model_name, number, warning_text, with_interval
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring import metrics
from hpo_lib.scoring.calibration import Calibration, calibrate
from hpo_lib.scoring.coverage import reliability
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts
from hpo_lib.scoring.uncertainty import bootstrap_intervals


def render_card(
    *,
    model: str,
    title: str,
    warning: str,
    params: Mapping[str, float],
    origin: Mapping[str, object],
    data: Mapping[str, Any],
    forecasts: Mapping[str, QuantileForecasts],
    notes: Sequence[str],
    files: Sequence[str],
    code: Mapping[str, Any],
) -> str:
    """A model card as markdown.

    Args: model: family. title: of the dataset. warning: see `warning_text`. params:
        hyperparameters. origin: where they come from and how the model was trained, by name. data:
        provenance of the data. forecasts: forecasts to score, by name, for example ``validation,
        chosen``; first those of the model itself. notes: sentences below the scores. files: names
        of the records behind the card. code: provenance of the code.
    """
    own = next(iter(forecasts.values()))
    unit = data["unit"]
    parts = [
        f"# Model card: {model_name(model)} on {title}",
        f"**{warning}.** No number below says anything about how good this can be."
        if warning
        else "",
        "## Configuration",
        _lines(origin),
        _table(
            ("hyperparameter", "value"),
            [(key, value_in_words(value)) for key, value in sorted(params.items())],
        ),
        "## Data",
        _lines(
            {
                "Source": f"{data['source']}, {data['path']}",
                "Fingerprint": f"sha256 {data['sha256']}",
                "Span": f"{data['first_hour']} to {data['last_hour']}, hourly, "
                f"{data['hours_filled']} hours filled, {data.get('hours_missing', 0)} missing in "
                "longer gaps",
                "Training": f"up to {data['train_end']}",
                "Validation": f"after it, up to {data['val_end']}",
                **({"Splits": data["split_note"]} if data.get("split_note") else {}),
                "Unit": unit,
                "Covariates": f"{len(data['past_covariates'])} known up to the origin, "
                f"{len(data['future_covariates'])} known in advance",
            }
        ),
        "## Scores",
        f"Every daily origin, 24 hours ahead. MAE, Winkler score and pinball loss in {unit}; "
        "brackets are 95 % "
        "intervals of a bootstrap of blocks of 7 days.",
        _table(
            ("forecasts", "days", "MAE", "PICP in %", "Winkler", "pinball"),
            [_scores(label, forecasts) for label, forecasts in forecasts.items()],
        ),
        *notes,
        "## Calibration",
        "How often actuals are at or below each quantile, and the coverage of the 80 % interval "
        "over the hours ahead.",
        _table(
            (
                "forecasts",
                "at 0.1",
                "at 0.5",
                "at 0.9",
                "PICP farthest from 80",
                "PICP nearest to 80",
            ),
            [_calibration(label, forecasts) for label, forecasts in forecasts.items()],
        ),
        "## Intended use",
        f"Hourly forecasts of {title} for the next {own.actual.shape[1]} hours with an interval "
        "that should hold 80 % of them, once a day, from the 168 hours before. For planning and "
        "for comparison with "
        "other methods, together with the rolling calibration (`docs/methodology.md`).",
        "## Limits",
        _bullets(
            [
                "Made for one network: levels and habits of another are not learnt.",
                "Origins are at the hour of the daily forecasts; other hours were trained on, "
                "but are not scored here.",
                "The raw interval drifts with the season; do not rely on its 80 % without "
                "calibration.",
                "Of the weather it uses measurements up to the origin, no forecast.",
                "It does not know changes of the network, of tariffs or of habits after its "
                "training; retrain "
                "(`docs/retraining.md`).",
                *(
                    ["Trained with the test budget, which only shows that everything works."]
                    if "TEST BUDGET" in warning
                    else []
                ),
            ]
        ),
        "## Provenance",
        _lines(
            {
                "Records": ", ".join(files),
                "Code": f"hpo_lib {code['hpo_lib']}, commit {code.get('git_commit')}",
                "Packages": ", ".join(f"{key} {value}" for key, value in code["packages"].items()),
                "Device": code["device"],
            }
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _scores(label: str, f: QuantileForecasts) -> tuple[str, ...]:
    intervals = bootstrap_intervals(f)
    chosen = (intervals[key] for key in ("mae", "picp", "winkler"))
    scores = (with_interval(score.value, score.low, score.high) for score in chosen)
    return label, str(len(f.origins)), *scores, number(metrics.pinball(f))


def _calibration(label: str, f: QuantileForecasts) -> tuple[str, ...]:
    observed = reliability(f)["observed"]
    by_hour = np.array(metrics.by_step(f)["picp"])
    off = np.abs(by_hour - NOMINAL_COVERAGE)
    ends = (f"{by_hour[hour]:.1f} % at +{hour + 1} h" for hour in (off.argmax(), off.argmin()))
    return label, *(f"{share:.3f}" for share in observed), *ends


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows])


def _lines(found: Mapping[str, object]) -> str:
    return _bullets([f"{key}: {text}" for key, text in found.items()])


def _bullets(texts: Sequence[str]) -> str:
    return "\n".join(f"* {text}" for text in texts)


def card(evidence: Evidence, study: StoredStudy) -> str:
    """The card of the configuration that a study chose, as markdown.

    Raises:
        InputError: the stored predictions cannot be read.
    """
    benchmark = evidence.benchmark(study.dataset)
    forecasts = {"validation, this configuration": study.predictions(study.chosen.number)}
    default = study.default
    if default.state == "complete" and default.number != study.chosen.number:
        forecasts["validation, untuned defaults"] = study.predictions(default.number)
    notes = [
        "The validation split chose weights and hyperparameters, so its scores are optimistic."
    ]
    row = benchmark.tuned_row(study) if benchmark else None
    if benchmark and row:
        forecasts["test, raw"] = row.test
        rolling = calibrate(
            row.test, row.validation, benchmark.dataset.known_target, Calibration("rolling")
        )
        forecasts["test, rolling calibration"] = rolling
    else:
        notes.append(
            "There is no benchmark of this configuration, so nothing is known of the test split."
        )
    result, provenance = study.result, study.provenance
    return render_card(
        model=study.model,
        title=evidence.title(study.dataset),
        warning=warning_text([study.source], is_test=study.is_test),
        params=result["best_params"],
        origin={
            "Study": f"{study.run.study_name}, {result['n_completed']} complete trials",
            "Trial": f"{study.chosen.number}, chosen by the policy "
            f"{result['selection']['policy']}: "
            f"{result['selection']['reason']}",
            "Budget": provenance["preset"],
            "Seed": provenance["seed"],
        },
        data=study.data,
        forecasts=forecasts,
        notes=notes,
        files=[file.name for file in study.files],
        code=provenance,
    )
