"""Model cards (Mitchell et al., 2019): what was trained on what, how good it is, and what it is not for."""

from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring.calibration import Calibration, calibrate
from hpo_lib.thesis.evidence import Evidence
from hpo_lib.views.model_card import render_card
from hpo_lib.views.model_style import warning_text


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
    notes = ["The validation split chose weights and hyperparameters, so its scores are optimistic."]
    row = benchmark.tuned_row(study) if benchmark else None
    if benchmark and row:
        forecasts["test, raw"] = row.test
        rolling = calibrate(row.test, row.validation, benchmark.dataset.known_target, Calibration("rolling"))
        forecasts["test, rolling calibration"] = rolling
    else:
        notes.append("There is no benchmark of this configuration, so nothing is known of the test split.")
    result, provenance = study.result, study.provenance
    return render_card(
        model=study.model,
        title=evidence.title(study.dataset),
        warning=warning_text([study.source], is_test=study.is_test),
        params=result["best_params"],
        origin={
            "Study": f"{study.run.study_name}, {result['n_completed']} complete trials",
            "Trial": f"{study.chosen.number}, chosen by the policy {result['selection']['policy']}: "
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
