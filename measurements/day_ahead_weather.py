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

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd

from hpo_lib.baselines.contract import baseline_names, get_baseline
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.day_ahead_weather import warnings_of
from hpo_lib.data.spec import DatasetSpec, DayAheadWeatherSpec, load_spec
from hpo_lib.families.models import Forecaster, family_names, get_family
from hpo_lib.figures.style import model_colour, model_marker, model_name
from hpo_lib.scoring import metrics
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
    if model in baseline_names():
        return get_baseline(model).fit(dataset, seed=SEED)
    family = get_family(model)
    return family.fit(family.defaults, dataset, family.budgets[preset], seed=SEED)


def record(
    spec: DatasetSpec, models: Sequence[str], given: dict[str, object], preset: str, table: Path
) -> None:
    """Add the rows that the table lacks."""
    known = set()
    if table.exists():
        with table.open(encoding="utf-8", newline="") as stream:
            known = {
                (row["dataset"], row["model"], row["kind"], row["factor"])
                for row in csv.DictReader(stream)
            }
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
    """MAE in percent of the same model's without weather: a row per dataset and model, a column per
    kind and factor.
    """
    rows = pd.read_csv(table)
    rows["what"] = rows["kind"] + rows["factor"].map(
        lambda factor: f" {factor:g}" if factor else ""
    )
    wide = rows.pivot_table(index=["dataset", "model"], columns="what", values="mae", sort=False)
    return wide.div(wide["none"], axis=0).sub(1).mul(100)


def draw(table: Path, out: Path) -> None:
    """MAE against the error of the temperature forecast 24 h ahead, relative to no weather, a panel
    per dataset.
    """
    rows = pd.read_csv(table)
    names = list(dict.fromkeys(rows["dataset"]))
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.2 * len(names), 3.4), sharey=True, squeeze=False
    )
    for panel, name in zip(axes[0], names, strict=True):
        of_dataset = rows[rows["dataset"] == name]
        for model in dict.fromkeys(of_dataset["model"]):
            own = of_dataset[of_dataset["model"] == model]
            base = float(own.loc[own["kind"] == "none", "mae"].iloc[0])
            seen = own[own["kind"] != "none"].sort_values("factor")
            panel.plot(
                seen["factor"] * ERRORS["temp"][1],
                100 * (seen["mae"] / base - 1),
                label=model_name(model),
                color=model_colour(model),
                marker=model_marker(model),
                ms=4,
                lw=1,
            )
        panel.axhline(0, color="#000000", lw=0.8, ls="--")
        source = str(of_dataset["source"].iloc[0])
        panel.set_title(", ".join([name, *warnings_of(source)]), fontsize=10, loc="left")
    axes[0][0].set_ylabel("test MAE against no weather, %", fontsize=9)
    axes[0][-1].legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.supxlabel(
        "error of the temperature forecast 24 h ahead, K (0: observed, an upper bound)", fontsize=9
    )
    figure.tight_layout()
    figure.savefig(out, dpi=130)


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="*", help="names or TOML files")
    parser.add_argument("--models", nargs="+", default=[*baseline_names(), *family_names()])
    parser.add_argument("--preset", default="laptop")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--data-dir", type=Path)
    where.add_argument(
        "--simulated", action="store_true", help="the simulated twins of the datasets"
    )
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--figure", action="store_true", help="draw the table")
    arguments = parser.parse_args(given)
    for name in arguments.datasets:
        folder = {"data_dir": arguments.data_dir, "simulated": arguments.simulated}
        record(load_spec(name), arguments.models, folder, arguments.preset, arguments.table)
    if arguments.figure:
        matplotlib.use("Agg")
        draw(arguments.table, FIGURE)
        print(changes(arguments.table).round(1).to_string())


if __name__ == "__main__":
    main()
