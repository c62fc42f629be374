"""Features rebuilt from raw data that ends at some hour: what anybody could have known then."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from hpo_lib.data.csv_checks import TIMESTAMP, read_cells, shown, timestamps
from hpo_lib.data.features import prepare_features
from hpo_lib.data.raw_files import raw_cells
from hpo_lib.data.spec import DatasetSpec, RawFile


def rebuilt_features(
    spec: DatasetSpec, end: pd.Timestamp, raw: Path, weather: Path | None = None, school_holidays: Path | None = None
) -> pd.DataFrame:
    """The engineered CSV that ``hpo prepare`` makes if the raw data ends at ``end``, or at the last value before it.

    Returns:
        The dataset's columns, as far as they can be made, by hour (UTC); NaN where the target has none.

    Raises:
        InputError: a file is wrong, or holds too little before ``end``, see `prepare_features`.
    """
    series = raw_cells(raw, spec)
    series = series.loc[timestamps(series[TIMESTAMP], shown(raw)) <= end]
    given = series.index[~series[spec.target].str.lower().isin(["", "nan"])]
    parts = {raw: series.loc[: given.max()].set_axis(["", "0"], axis="columns")}
    if weather is not None:
        cells, _ = read_cells(weather, "weather file")
        parts[weather] = cells.loc[cells["dt_iso"] <= f"{end:%Y-%m-%d %H:%M:%S} +0000 UTC"]
    with TemporaryDirectory() as folder:
        cut = {file: Path(folder, str(i), file.name) for i, file in enumerate(parts)}
        for file, part in parts.items():
            cut[file].parent.mkdir()
            part.to_csv(cut[file], index=False)
        out = Path(folder, spec.name).with_suffix(".csv")
        prepare_features(
            replace(spec, raw=RawFile()), cut[raw], None if weather is None else cut[weather], school_holidays, out
        )
        return pd.read_csv(out, index_col=TIMESTAMP, parse_dates=[TIMESTAMP])
