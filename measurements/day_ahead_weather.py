"""What the weather of the day ahead is worth to every model, and how the gain shrinks as forecasts
get worse.

    python -m measurements.day_ahead_weather --data-dir DATA bike_dc.toml
    python -m measurements.day_ahead_weather --simulated heat
    python -m measurements.day_ahead_weather --figure

Each model is trained once with its untuned defaults for each kind of weather: ``none``;
``observed``, an upper bound; and ``degraded`` with errors of 0.5, 1, 2 and 4 times `ERRORS`. The
scores are of the test split, which chooses nothing. A row is one training; the table keeps what it
has, so an interrupted command goes on. ``--figure`` draws the table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import seaborn as sns

from hpo_lib.baselines.contract import baselines
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.day_ahead_weather import warnings_of
from hpo_lib.data.spec import DatasetSpec, DayAheadWeatherSpec, load_spec
from hpo_lib.families.models import Forecaster, family_names, get_family
from hpo_lib.figures.style import model_colour, model_marker, model_name
from hpo_lib.scoring import metrics
from measurements.arguments import DATA_DIR, DATASETS, PRESET, parsed
from measurements.record_curves import add_rows

TABLE = Path(__file__).parent / "results" / "day_ahead_weather.csv"
FIGURE = Path(__file__).parents[1] / "docs" / "images" / "day_ahead_weather.png"
COLUMNS = ("dataset", "source", "model", "kind", "factor", "mae", "pinball", "picp", "days")

ERRORS = {"temp": (0.7, 1.6), "wind_speed": (0.6, 1.2), "humidity": (4.0, 8.0)}
"""Standard deviations of forecast errors 1 h and 24 h ahead: assumed, not measured on a weather
service.
"""

FACTORS = (1.0, 0.0, 4.0, 2.0, 0.5)
"""Of `ERRORS`; 0: observed weather. What is asked first comes first."""

SEED = 42


def kinds(spec: DatasetSpec) -> Iterator[tuple[str, float, DatasetSpec]]:
    """Kind, factor of the errors, and the dataset's description with that weather."""
    columns = tuple(name for name in ERRORS if name in spec.past_covariates)
    yield "none", 0.0, spec
    for factor in FACTORS:
        errors = {name: (factor * ERRORS[name][0], factor * ERRORS[name][1]) for name in columns}
        kind = "degraded" if factor else "observed"
        weather = DayAheadWeatherSpec(kind, columns, errors=errors)  # type: ignore[arg-type]
        yield kind, factor, replace(spec, day_ahead_weather=weather)


def trained(model: str, dataset: Dataset, preset: str) -> Forecaster:
    if baseline := baselines().get(model):
        return baseline.fit(dataset, seed=SEED)
    family = get_family(model)
    return family.fit(family.defaults, dataset, family.budgets[preset], seed=SEED)


def record(
    spec: DatasetSpec, models: Sequence[str], given: dict[str, object], preset: str, table: Path
) -> None:
    """Add the rows that the table lacks."""
    known: set[tuple[str, ...]] = set()
    if table.exists():
        keys = pd.read_csv(table, dtype=str)[["dataset", "model", "kind", "factor"]]
        known = set(keys.itertuples(index=False, name=None))
    for kind, factor, described in kinds(spec):
        left = [model for model in models if (spec.name, model, kind, f"{factor:g}") not in known]
        dataset = load_dataset(described, **given) if left else None  # type: ignore[arg-type]
        for model in left:
            assert dataset is not None
            forecasts = trained(model, dataset, preset).forecasts(dataset, dataset.test_origins)
            scores = (
                f"{getattr(metrics, name)(forecasts):.6g}" for name in ("mae", "pinball", "picp")
            )
            row = (
                spec.name,
                dataset.source,
                model,
                kind,
                f"{factor:g}",
                *scores,
                str(len(forecasts.origins)),
            )
            add_rows(table, COLUMNS, [row])
            print(*row, flush=True)


def changes(table: Path) -> pd.DataFrame:
    """The rows with ``change``: MAE in percent of the same model's without weather."""
    rows = pd.read_csv(table)
    alone = rows[rows["kind"] == "none"].set_index(["dataset", "model"])["mae"]
    compared = rows.join(alone, on=["dataset", "model"], rsuffix="_alone")
    return rows.assign(change=100 * (rows["mae"] / compared["mae_alone"] - 1))


def draw(rows: pd.DataFrame, out: Path) -> None:
    """Change of the MAE against the error of the temperature forecast, a panel per dataset."""
    seen = rows[rows["kind"] != "none"]
    named = {model: model_name(model) for model in seen["model"].unique()}
    grid = sns.relplot(
        seen.assign(error=seen["factor"] * ERRORS["temp"][1], model=seen["model"].map(named)),
        x="error",
        y="change",
        col="dataset",
        hue="model",
        style="model",
        palette={name: model_colour(model) for model, name in named.items()},
        markers={name: model_marker(model) for model, name in named.items()},
        dashes=False,
        kind="line",
        height=3.4,
    )
    grid.refline(y=0, color="#000000")
    for name, panel in grid.axes_dict.items():
        source = str(rows.loc[rows["dataset"] == name, "source"].iloc[0])
        panel.set_title(", ".join([name, *warnings_of(source)]))
    grid.set_axis_labels("", "test MAE against no weather, %")
    grid.figure.supxlabel(
        "error of the temperature forecast 24 h ahead, K (0: observed, an upper bound)", y=-0.02
    )
    grid.savefig(out, dpi=130)


def main(given: Sequence[str] | None = None) -> None:
    models = (*baselines(), *family_names())
    arguments = parsed(
        __doc__,
        DATASETS,
        PRESET,
        ("--models --model MODEL", models, "families and baselines (default: all)"),
        [DATA_DIR, ("--simulated", False, "the simulated twins of the datasets")],
        ("--table", TABLE, "CSV that is continued"),
        ("--figure", False, "draw the table"),
        given=given,
    )
    for name in arguments.datasets:
        folder = {"data_dir": arguments.data_dir, "simulated": arguments.simulated}
        record(load_spec(name), arguments.models, folder, arguments.preset, arguments.table)
    if arguments.figure:
        rows = changes(arguments.table)
        draw(rows, FIGURE)
        columns = {"index": ["dataset", "model"], "columns": ["kind", "factor"]}
        print(rows.pivot(values="change", **columns).round(1).to_string())


if __name__ == "__main__":
    main()
