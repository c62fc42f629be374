"""Model cards (Mitchell et al., 2019): what was trained on what, how good it is, its limits."""

from collections.abc import Mapping, Sequence

from hpo_lib.data.splits import HORIZON
from hpo_lib.families.search_space import value_in_words
from hpo_lib.figures.evidence import Evidence
from hpo_lib.figures.style import (
    NETWORK_KEPT,
    model_name,
    network_kept,
    number,
    unit_text,
    warning_text,
    with_interval,
)
from hpo_lib.records.read_write import Json
from hpo_lib.records.study import StoredStudy
from hpo_lib.scoring import metrics
from hpo_lib.scoring.forecasts import NOMINAL_COVERAGE, QuantileForecasts
from hpo_lib.scoring.uncertainty import bootstrap_intervals, reliability


def render_card(
    *,
    model: str,
    title: str,
    params: Mapping[str, float],
    origin: Mapping[str, object],
    provenance: Json,
    forecasts: Mapping[str, QuantileForecasts],
    notes: Sequence[str],
    files: Sequence[str],
) -> str:
    """A model card as markdown.

    Args:
        model: family.
        title: of the dataset.
        params: hyperparameters.
        origin: where they come from and how the model was trained, with its ``Budget``.
        provenance: of data and code.
        forecasts: forecasts to score, by name, for example ``validation, chosen``; first those of
            the model itself.
        notes: sentences below the scores.
        files: names of the records behind the card.
    """
    data = provenance["data"]
    is_test = origin["Budget"] == "test"
    warning = warning_text([data["source"]], is_test=is_test)
    mark = f"**{warning}.** No number below says anything about how good this can be.\n\n"
    budget = "\n* Trained with the test budget, which only shows that everything works." * is_test
    in_lines = "\n".join
    names = [_row(name, value_in_words(value)) for name, value in sorted(params.items())]
    paragraphs = "\n\n".join(notes)
    scores = []
    calibration = []
    unit = metrics.readable_unit(data["unit"], metrics.mae(next(iter(forecasts.values()))))
    for name, in_target_unit in forecasts.items():
        f = unit.forecasts(in_target_unit)
        intervals = bootstrap_intervals(f)
        ranges = [with_interval(*intervals[key]) for key in ("mae", "picp", "winkler")]
        scores.append(_row(name, len(f.origins), *ranges, number(metrics.pinball(f))))
        observed = [f"{share:.3f}" for share in reliability(f)["observed"]]
        by_hour = metrics.picp.mean(f, "days")
        off = abs(by_hour - NOMINAL_COVERAGE)
        ends = [f"{by_hour[hour]:.1f} % at +{hour + 1} h" for hour in (off.argmax(), off.argmin())]
        calibration.append(_row(name, *observed, *ends))
    packages = [f"{name} {version}" for name, version in provenance["packages"].items()]
    return f"""# Model card: {model_name(model)} on {title}

{mark if warning else ""}## Configuration

{in_lines(f"* {name}: {text}" for name, text in origin.items())}

| hyperparameter | value |
| --- | --- |
{in_lines(names)}

## Data

* Source: {data["source"]}, {data["path"]}
* Fingerprint: sha256 {data["sha256"]}
* Span: {data["first_hour"]} to {data["last_hour"]}, hourly, {data["hours_filled"]} hours filled, \
{data.get("hours_missing", 0)} missing in longer gaps
* Training: up to {data["train_end"]}
* Validation: after it, up to {data["val_end"]}
* Unit: {unit_text(data["unit"])}
* Covariates: {len(data["past_covariates"])} known up to the origin, \
{len(data["future_covariates"])} known in advance

## Scores

Every daily origin, 24 hours ahead. MAE, Winkler score and pinball loss in {unit.name}; \
brackets are 95 % intervals of a bootstrap of blocks of 7 days.

| forecasts | days | MAE | PICP in % | Winkler | pinball |
| --- | --- | --- | --- | --- | --- |
{in_lines(scores)}

{paragraphs}

## Calibration

How often actuals are at or below each quantile, and the coverage of the 80 % interval over the \
hours ahead.

| forecasts | at 0.1 | at 0.5 | at 0.9 | PICP farthest from 80 | PICP nearest to 80 |
| --- | --- | --- | --- | --- | --- |
{in_lines(calibration)}

## Intended use

Hourly forecasts of {title} for the next {HORIZON} hours with an interval that should hold 80 % of \
them, once a day, from the 168 hours before. For planning and for comparison with other methods, \
together with the rolling calibration (`docs/methodology.md`).

## Limits

* Made for one network: levels and habits of another are not learnt.
* Origins are at the hour of the daily forecasts; other hours were trained on, but are not scored \
here.
* The raw interval drifts with the season; do not rely on its 80 % without calibration.
* Covariates that are known up to the origin only, such as measured weather, are not forecast.
* It does not know changes of the network, of tariffs or of habits after its training; retrain \
(`docs/retraining.md`).{budget}

## Provenance

* Records: {", ".join(files)}
* Code: hpo_lib {provenance["hpo_lib"]}, commit {provenance.get("git_commit")}
* Packages: {", ".join(packages)}
* Device: {provenance["device"]}
"""


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def card(evidence: Evidence, study: StoredStudy) -> str:
    """The card of the configuration that a study chose, as markdown.

    Raises InputError if the stored predictions cannot be read.
    """
    benchmark = evidence.benchmark(study.dataset)
    result = study.result
    selection = result["selection"]
    chosen = study.chosen.number
    default = study.default
    forecasts = {"validation, this configuration": study.predictions(chosen)}
    if default.complete and default.number != chosen:
        forecasts["validation, untuned defaults"] = study.predictions(default.number)
    notes = [
        "The validation split chose weights and hyperparameters, so its scores are optimistic."
    ]
    if benchmark and (row := benchmark.tuned_row(study)):
        forecasts["test, raw"] = row.test
        forecasts["test, rolling calibration"] = benchmark.calibrated[row, "rolling"]
        notes += [f"In the mixture: {one.note}." for one in benchmark.rows if one.kind == "mixture"]
    else:
        notes.append(
            "There is no benchmark of this configuration, so nothing is known of the test split."
        )
    return render_card(
        model=study.model,
        title=evidence.title(study.dataset),
        params=result["best_params"],
        origin={
            "Study": f"{study.run.study_name}, {result['n_completed']} complete trials",
            "Trial": f"{chosen}, chosen by the policy {selection['policy']}: {selection['reason']}",
            "Budget": study.provenance["preset"],
            "Seed": study.provenance["seed"],
            NETWORK_KEPT: network_kept(study.chosen.shares),
        },
        provenance=study.provenance,
        forecasts=forecasts,
        notes=notes,
        files=[file.name for file in study.files],
    )
