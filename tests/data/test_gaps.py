"""Gaps that are longer than the rule fills: hours that no forecast window may touch. Hours are rows
of the frame.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.data.features import CALENDAR_COLUMNS, calendar_columns
from hpo_lib.data.gaps import hourly_frame
from hpo_lib.data.raw_files import prepare_features
from hpo_lib.data.spec import load_spec
from hpo_lib.families.feature_table import level_floor
from hpo_lib.families.models import STANDARD
from hpo_lib.families.windows import Scaling
from hpo_lib.figures.series import banner, data_summary
from hpo_lib.records.provenance import data_provenance
from hpo_lib.scoring.evaluation import evaluate, seasonal_naive

TARGET = "water_consumption"
GAP = range(1500, 1504)
"""Four hours of validation, which is hours 1464 to 1823; the rule fills three."""


@pytest.fixture
def gappy(small):
    small.set_cell(GAP[0] + 2, TARGET, "", GAP[-1] + 2)
    return small


def test_when_a_gap_is_too_long_to_fill_then_origins_whose_window_touches_it_are_left_out(gappy):
    dataset = gappy.load()
    # Every day from 1463 on, but the gap is touched from 1487 (forecasts 1488 to 1511) to 1655
    # (reads 1488 to 1655).
    assert dataset.validation_origins.tolist() == [1463, *range(1679, 1800, 24)]
    assert dataset.origins_left_out() == {"train": 0, "validation": 8, "test": 0}
    assert (len(dataset.missing), dataset.n_filled) == (4, 0)
    assert np.flatnonzero(dataset.is_missing).tolist() == list(GAP)
    assert dataset.validation_origins is dataset.validation_origins, "computed once"
    gappy.edit_toml("max_hours = 3", "max_hours = 4")
    after = gappy.load()
    assert (after.n_filled, len(after.missing), len(after.validation_origins)) == (4, 0, 15)
    assert after.sha256 != dataset.sha256, "the same file under another rule is other data"
    refitted = dataset.trained_through_validation().training_origins()
    assert sorted(set(range(167, 1800)) - set(refitted)) == list(range(1476, 1671))


@pytest.mark.parametrize(
    "gap, origin, complete",
    [
        ((1516, 1519), 1687, True),
        ((1517, 1520), 1687, False),  # reads 1520 to 1687
        ((1712, 1715), 1687, True),
        ((1711, 1714), 1687, False),  # forecasts 1688 to 1711
    ],
)
def test_when_the_last_week_is_just_complete_then_a_forecast_starts_there(
    small, gap, origin, complete
):
    small.edit_toml(
        "2018-05-31 23:00", "2018-06-01 07:00"
    )  # daily origins at 7:00, hour 1687 one of them
    small.set_cell(gap[0] + 2, TARGET, "", gap[1] + 2)
    assert (origin in small.load().validation_origins) == complete


def test_when_rows_are_missing_for_days_then_the_frame_is_complete_and_only_their_target_is_made_up(
    small,
):
    whole = small.load()
    small.drop(500 + 2, 571 + 2)  # three days of training
    dataset = small.load()
    assert not dataset.frame.isna().any(axis=None)
    assert dataset.index.equals(whole.index)
    assert np.flatnonzero(dataset.is_missing).tolist() == list(range(500, 572))
    others = ~dataset.is_missing
    pd.testing.assert_frame_equal(dataset.frame[others], whole.frame[others])
    calendar = ["hour", "day_of_week", "is_weekend"]
    pd.testing.assert_frame_equal(dataset.frame[calendar], whole.frame[calendar])
    assert (dataset.frame["temp"].iloc[500:572] == whole.frame["temp"].iloc[499]).all()
    assert (
        dataset.frame[TARGET].iloc[500:572].to_numpy()
        == whole.frame[TARGET].iloc[332:404].to_numpy()
    ).all()


def test_when_hours_are_missing_then_no_scale_counts_what_stands_in_for_them(small):
    small.set_cell(500 + 2, TARGET, "", 571 + 2)
    dataset = small.load()
    absurd = dataset.frame.copy()
    absurd.loc[dataset.is_missing, TARGET] = 1e9

    def scales(d):
        networks = Scaling.fit(d, STANDARD)
        return [
            level_floor(d),
            evaluate(seasonal_naive(d, d.validation_origins, 24), d.scales),
            np.nanquantile(d.training_target, [1 / 3, 2 / 3]).tolist(),
            d.training_frame.mean().to_dict(),
            networks.level,
            networks.std,
            networks.linear.weights.tolist(),
        ]

    assert scales(dataset) == scales(replace(dataset, frame=absurd))
    assert len(dataset.training_frame) == 1464 - 72


def test_when_hours_are_missing_then_banner_table_and_record_say_how_many_origins_that_costs(gappy):
    dataset = gappy.load()
    assert banner(dataset).endswith(
        "; 4 hours are in longer gaps, which leaves out daily origins (0 in train, 8 in "
        "validation, 0 in test)"
    )
    table = data_summary(dataset)
    assert table["daily origins"].tolist() == [54, 7, 14]
    assert table["left out by gaps"].tolist() == [0, 8, 0]
    record = data_provenance(dataset)
    assert (record["hours_missing"], record["origins_left_out"]["validation"]) == (4, 8)


def test_when_a_raw_series_has_a_long_gap_then_the_prepared_csv_is_empty_there_and_loads(small):
    raw = small.folder / "raw.csv"
    features = small.csv
    series = pd.read_csv(small.csv, index_col="timestamp")[TARGET].rename("0")
    series.iloc[20:30] = np.nan  # the features begin at hour 24, within this gap
    series.iloc[600:700] = np.nan
    series.iloc[900:902] = np.nan
    series.rename_axis("").to_csv(raw)
    small.edit_toml('"temp", "water_lag_1h"', '"temp", "water_lag_24h"')
    report = prepare_features(load_spec(small.toml), raw, None, None, features).splitlines()
    assert report[0] == f"wrote {features}: 2130 hours, 2018-04-02 06:00 to 2018-06-29 23:00 UTC"
    assert report[1:3] == [
        "filled 2 missing hours by the gap rule of the dataset",
        "left 100 hours empty, in gaps of over 3 h: no forecast window touches them",
    ]
    table = pd.read_csv(features)
    assert table.columns[table.isna().any()].tolist() == [TARGET]
    assert np.flatnonzero(small.load().is_missing).tolist() == list(range(570, 670))
    series.iloc[-9:] = np.nan  # the hours of today that have no value yet
    series.rename_axis("").to_csv(raw)
    report = prepare_features(load_spec(small.toml), raw, None, None, features).splitlines()
    assert report[0].endswith(" to 2018-06-29 14:00 UTC")
    before = "2018-04-02 06:00:00+00:00 to 2018-06-29 23:00:00+00:00"
    assert report[-1] == f"note: before it held {before}"
    features.write_text("a,b\n1,2\n", encoding="utf-8")
    assert (
        report[:-1]
        == prepare_features(load_spec(small.toml), raw, None, None, features).splitlines()
    )


def test_when_the_hour_of_a_day_with_a_clock_change_is_missing_then_it_is_the_local_one():
    spec = replace(load_spec("heat"), start=None)
    index = pd.date_range("2019-03-30 00:00Z", periods=72, freq="h", name="timestamp")
    calendar = calendar_columns(index, spec, None)
    table = calendar.assign(**{spec.target: 1.0 + np.arange(72) % 24}).drop(
        pd.Timestamp("2019-03-31 05:00Z")
    )
    frame, n_filled, missing = hourly_frame(table.reset_index().astype(str), spec)
    assert frame["hour"].iloc[29] == 7  # the day before it was 6
    assert (frame[list(CALENDAR_COLUMNS)] == calendar).all(axis=None)
    assert (n_filled, len(missing)) == (1, 0)
