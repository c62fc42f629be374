"""The small tables of docs/accuracy.md, one per series, from the published benchmarks.

python -m measurements.accuracy_tables          # print them
python -m measurements.accuracy_tables --write  # put them into the page
"""

import re

import pandas as pd

from hpo_lib.data.spec import development_datasets, load_spec
from hpo_lib.families.models import family_names
from hpo_lib.figures.style import model_name
from hpo_lib.paths import BENCHMARK_DIR, PROJECT_ROOT
from hpo_lib.scoring.metrics import readable_unit
from measurements.arguments import parsed

PAGE = PROJECT_ROOT / "docs" / "accuracy.md"
BASELINES = "NAIVE_24H", "NAIVE_168H", "RESIDUAL_LINEAR", "LIGHTGBM_Q", "LIGHTGBM_LINEAR_Q"
ROWS = (
    *((name, "own") for name in BASELINES),
    *((model, params) for model in family_names() for params in ("default", "best")),
    ("MIXTURE", "own"),
)
PARAMS = {"own": "", "default": ", defaults", "best": ", tuned"}


def markdown(dataset: str) -> str:
    """MAE with its 95 % interval, raw and calibrated coverage, calibrated interval score; the
    lowest ones are bold. A model has no row of its own as tuned if that is its defaults.
    """
    file = BENCHMARK_DIR / dataset / "laptop-standard-refit" / "table.csv"
    by_params = pd.read_csv(file).sort_values("params")  # "best" before "default"
    different = by_params.drop_duplicates(["model", "calibration", "mae"], keep="last")
    found = different.set_index(["model", "params", "calibration"])
    kept = [row for row in ROWS if (*row, "none") in found.index]
    best_mae = min(found.loc[(*row, "none"), "mae"] for row in kept)
    best_score = min(found.loc[(*row, "rolling"), "winkler"] for row in kept)
    days, (unit, factor) = found["days"].max(), readable_unit(load_spec(dataset).unit, best_mae)
    lines = [
        f"| {days} test days | MAE [95 %], {unit} | PICP, % | calibrated | calibrated interval "
        f"score, {unit} |",
        "|---|---|---|---|---|",
    ]
    for model, params in kept:
        raw, rolling = found.loc[(model, params, "none")], found.loc[(model, params, "rolling")]
        mae = bold(number(factor * raw["mae"]), raw["mae"] == best_mae)
        span = f"[{number(factor * raw['mae_low'])}, {number(factor * raw['mae_high'])}]"
        score = bold(number(factor * rolling["winkler"]), rolling["winkler"] == best_score)
        coverage = f"{raw['picp']:.1f} | {rolling['picp']:.1f}"
        lines.append(
            f"| {model_name(model)}{PARAMS[params]} | {mae} {span} | {coverage} | {score} |"
        )
    return "\n".join(lines)


def number(value: float) -> str:
    """Four significant digits."""
    return f"{value:#.4g}".rstrip(".")


def bold(text: str, is_best: bool) -> str:
    return f"**{text}**" if is_best else text


def with_tables(page: str) -> str:
    """The page with each table between its marks made again."""

    def made(match: re.Match[str]) -> str:
        return f"{match[1]}\n\n{markdown(match[2])}\n\n{match[3]}"

    return re.sub(r"(<!-- table of (\w+) -->).*?(<!-- end -->)", made, page, flags=re.DOTALL)


def main() -> None:
    if parsed(__doc__, ("--write", False, "put them into the page")).write:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(markdown(dataset) for dataset in development_datasets()))


if __name__ == "__main__":
    main()
