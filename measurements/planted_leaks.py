"""What the leak audit finds of planted leaks on real series, and what of honest columns it takes
for one.

python -m measurements.planted_leaks --data-dir DATA TOML ...
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, filtfilt, savgol_filter

from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.spec import load_spec
from hpo_lib.leaks.columns import audit_columns
from measurements.arguments import DATA_DIR, DATASETS, parsed
from measurements.leak_prices import seasonal_parts, wavelet_parts


def planted(series: pd.Series) -> dict[str, np.ndarray | pd.Series]:
    """Columns that know later values of a series without gaps, by what they are."""
    y, noise = series.to_numpy(), np.random.default_rng(0).standard_normal(len(series))
    day = series.rolling(25, center=True, min_periods=1).mean()
    found = {
        "an hour later": series.shift(-1).ffill(),
        "a day later": series.shift(-24).ffill(),
        "a day later, with errors": series.shift(-24).ffill()
        + 0.4 * y.std() * gaussian_filter1d(noise, 6) / 0.2,
        "centred mean, 3 h": series.rolling(3, center=True, min_periods=1).mean(),
        "centred mean, 25 h": day,
        "centred mean, 169 h": series.rolling(169, center=True, min_periods=1).mean(),
        "centred mean, 25 h, with noise": day + 0.2 * y.std() * noise,
        "mean of the next day": series[::-1]
        .rolling(24, min_periods=1)
        .mean()[::-1]
        .shift(-1)
        .ffill(),
        "mean of its own day": series.groupby(np.arange(len(y)) // 24).transform("mean"),
        "Savitzky-Golay, 5 h": savgol_filter(y, 5, 2),
        "Savitzky-Golay, 25 h": savgol_filter(y, 25, 3),
        "Gaussian, 2 h": gaussian_filter1d(y, 2),
        "Gaussian, 12 h": gaussian_filter1d(y, 12),
        "Butterworth both ways, 24 h": filtfilt(*butter(3, 2 / 24), y),
        "Butterworth both ways, 168 h": filtfilt(*butter(3, 2 / 168), y),
    }
    found |= {f"seasonal part {i}": part for i, part in enumerate(seasonal_parts(y)) if i != 1}
    return found | {f"wavelet part {i}": part for i, part in enumerate(wavelet_parts(y))}


def honest(series: pd.Series) -> dict[str, np.ndarray | pd.Series]:
    """Columns that know nothing later."""
    noise = np.random.default_rng(0).standard_normal(len(series))
    return {
        "other unit": 7 - series / 1000,
        "two weeks before": series.shift(336).bfill(),
        "mean of the last day": series.rolling(24, min_periods=1).mean(),
        "mean of the last month": series.rolling(720, min_periods=1).mean(),
        "exponential mean": series.ewm(halflife=24).mean(),
        "noise": noise,
        "random walk": noise.cumsum(),
    }


def flagged(dataset: Dataset, columns: Mapping[str, np.ndarray | pd.Series]) -> set[str]:
    """Those of the columns, taken as past covariates, that the audit calls leaks."""
    frame = dataset.frame.assign(**columns)[
        [dataset.spec.target, *dataset.past, *columns, *dataset.future]
    ]
    found = audit_columns(replace(dataset, frame=frame, past=(*dataset.past, *columns)))
    subjects = {finding.subject for finding in found if finding.kind == "leak"}
    return {name for name in (*columns, *dataset.frame) if f"column {name!r}" in subjects}


def main() -> None:
    """Print a row per dataset."""
    arguments = parsed(__doc__, DATASETS, DATA_DIR)
    for name in arguments.datasets:
        dataset = load_dataset(load_spec(name), arguments.data_dir)
        series = [column for column in (dataset.spec.target, "temp") if column in dataset.frame]
        leaks, fine = (
            {
                f"{of}: {what}": part
                for of in series
                for what, part in made(dataset.frame[of]).items()
            }
            for made in (planted, honest)
        )
        found = flagged(dataset, {**leaks, **fine})
        print(
            f"{dataset.spec.name}: found {len(found & set(leaks))} of {len(leaks)} planted "
            "leaks, not"
        )
        print("   ", ", ".join(sorted(set(leaks) - found)) or "any")
        print(
            f"    false alarms in {len(fine) + len(dataset.frame.columns)} honest columns:",
            sorted(found - set(leaks)),
        )


if __name__ == "__main__":
    main()
