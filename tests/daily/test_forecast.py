"""Tomorrow's forecast: equal to the benchmark's, blind for what comes, and plain words where
something is missing.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo_lib.daily.day_ahead import forecast_day
from hpo_lib.errors import InputError
from hpo_lib.paths import ModelPaths
from hpo_lib.records.read_write import read_json, write_json, write_predictions
from hpo_lib.records.trainings import checksum
from hpo_lib.scoring.calibration import calibrate
from tests.conftest import refusal
from tests.daily.conftest import quantiles

LAST_DAY = "2019-06-08T00:00"


def day(utility, **given):
    folders = {"data_dir": str(utility.folder), "models_dir": str(utility.models.models_dir)}
    return forecast_day(str(utility.toml), **folders, **given)


def test_when_mornings_are_replayed_then_each_is_the_benchmarks_forecast_of_that_origin(
    in_use, trained, tmp_path
):
    fitted, refitted = trained
    dataset = in_use.dataset()
    # What a benchmark stores, and what its table is made of.
    validation = write_predictions(tmp_path / "validation.parquet", fitted.validation)
    test = write_predictions(
        tmp_path / "test.parquet", refitted.forecasts(dataset, dataset.test_origins)
    )
    expected = calibrate(test, validation, dataset.scales)
    assert len(expected.origins) == 15
    assert not np.array_equal(expected.values, test.values)
    for i, origin in enumerate(expected.origins):
        found = day(in_use, at=str(origin + pd.Timedelta(hours=1))).forecasts
        assert np.array_equal(found.values[0], expected.values[i])
        assert np.array_equal(found.actual[0], expected.actual[i])


def test_when_later_values_change_or_are_not_there_yet_then_the_forecast_is_the_same(in_use):
    expected = in_use.forecast("--at", LAST_DAY)
    later = in_use.whole.index >= LAST_DAY
    assert later.sum() == 24
    changed = in_use.whole.copy()
    # School holidays alone are known in advance from the data; all else after the origin must not
    # count.
    changed.loc[later, changed.columns != "is_school_holiday"] = 1.0
    changed.loc[later, "water_consumption"] = np.arange(24) + 100.0
    in_use.write(changed)
    assert np.array_equal(quantiles(in_use.forecast("--at", LAST_DAY)), quantiles(expected))
    in_use.write(in_use.whole[~later])
    table = in_use.forecast()
    assert np.array_equal(quantiles(table), quantiles(expected))
    assert list(table.columns) == ["time_utc", "time_local", "q10", "q50", "q90", "unit", "model"]
    assert {*table["model"]} == {"NHITS_Q v001 (TEST BUDGET)"}
    assert table.iloc[0, :2].tolist() == ["2019-06-08T00:00:00+00:00", "2019-06-08T02:00:00+02:00"]
    assert table.iloc[23, 0] == "2019-06-08T23:00:00+00:00"
    assert (np.diff(quantiles(table)) >= 0).all()
    assert (in_use.folder / "out.png").stat().st_size > 10_000


def test_when_the_day_was_part_of_the_training_then_the_model_before_its_refit_forecasts_it(
    in_use, trained
):
    dataset = in_use.dataset()
    found = day(in_use, at="2019-05-24T00:00")
    own = trained[0].forecasts(dataset, dataset.index.get_indexer(found.forecasts.origins))
    assert np.array_equal(found.forecasts.median, own.median.astype(np.float32))
    assert "so this is a forecast of the model before its refit" in " ".join(found.notes)


def test_when_school_holidays_are_not_known_then_they_stay_and_a_list_replaces_them(in_use):
    on_holiday = in_use.whole.assign(
        is_school_holiday=(in_use.whole.index >= "2019-06-03").astype(int)
    )
    in_use.write(on_holiday)
    stays = day(in_use)
    sentence = "is_school_holiday of the day ahead is not in the data and stays 1"
    assert sentence in " ".join(stays.notes)
    listed = in_use.folder / "holidays.csv"
    known = day(in_use, at=LAST_DAY)
    for last, same in (("2019-06-30", True), ("2019-06-07", False)):
        listed.write_text(
            f"start_date,end_date,description\n2019-06-03,{last},x\n", encoding="utf-8"
        )
        found = day(in_use, school_holidays=str(listed))
        assert "is_school_holiday" not in " ".join(found.notes)
        assert np.array_equal(found.forecasts.values, stays.forecasts.values) == same
    again = day(in_use, at=LAST_DAY, school_holidays=str(listed))
    assert np.array_equal(again.forecasts.values, known.forecasts.values), "the data go first"
    refused = in_use.run("forecast --out", in_use.csv, code=2)
    assert f"{in_use.csv}: is there already and is no forecast" in refused.err


def test_when_the_calendar_of_the_file_is_not_that_of_the_time_then_it_is_read_and_never_invented(
    in_use,
):
    in_use.write(in_use.whole.assign(is_weekend=1 - in_use.whole["is_weekend"]))
    assert day(in_use, at=LAST_DAY)
    sentence = "column 'is_weekend' of the day ahead is not there and cannot be computed"
    with pytest.raises(InputError, match=sentence):
        day(in_use)


def test_when_the_data_is_old_then_a_note_says_so_unless_a_day_was_asked_for(in_use):
    now = pd.Timestamp("2019-06-12 07:00Z")
    assert "ends at 2019-06-08 23:00 UTC, 3 days ago" in " ".join(day(in_use, now=now).notes)
    fresh = day(in_use, now=pd.Timestamp("2019-06-09 07:00Z"))
    asked = day(in_use, now=now, at="2019-06-09T00:00")
    assert "ends at" not in " ".join([*fresh.notes, *asked.notes])


def test_when_the_day_begins_at_another_hour_then_a_note_says_so_and_it_is_calibrated_by_that_hour(
    in_use,
):
    found = day(in_use, at="2019-06-08T07:00")
    assert "learnt from days that begin at 00:00 UTC, this one at 07:00" in " ".join(found.notes)
    assert f"{found.begin}" == "2019-06-08 07:00:00+00:00"
    assert np.isfinite(found.forecasts.actual).sum() == 17


def test_when_hours_are_missing_or_a_time_is_wrong_then_one_sentence_says_so(in_use):
    file = str(in_use.csv)
    for at in ("tomorrow", "08.06.2019", "2019-06-08T00:30"):
        with refusal(f"at is {at!r}, expected a full hour in UTC such as '2020-05-07T00:00'"):
            day(in_use, at=at)
    with refusal(
        f"{file}: holds 2019-03-02 00:00 to 2019-06-08 23:00 UTC, so not the hours before "
        "2019-06-10 00:00; add them, or forecast another day with --at"
    ):
        day(in_use, at="2019-06-10T02:00+02:00")
    with refusal(
        f"{file}: a forecast needs the 168 hours before it, and only 144 hours are there; add "
        "them, or take a later day"
    ):
        day(in_use, at="2019-03-08T00:00")
    hours = in_use.whole.index
    in_use.write(in_use.whole[(hours < "2019-06-01 05:00") | (hours >= "2019-06-01 15:00")])
    with refusal(
        f"{file}: a forecast needs the 168 hours before it, and 10 of them are missing, from "
        "2019-06-01 05:00 to 2019-06-01 14:00 UTC; add them, or take a later day"
    ):
        day(in_use, at=LAST_DAY)
    after = day(in_use, at="2019-06-09T00:00")
    assert "Only 20 days before it calibrate the interval, not 28." in after.notes
    assert len(after.figure().axes) == 1  # there is no forecast of the day before


def test_when_the_model_does_not_fit_the_data_then_one_sentence_says_so(in_use):
    record = in_use.models.training(1).record
    facts = read_json(record, "a card")
    provenance = {"data": {"source": "simulated"}}
    key = {**facts["key"], "version": 99}
    for change, sentence in (
        ({"provenance": provenance}, "on data from simulated, here"),
        ({"key": key}, "by version 99 of the models, this code has"),
    ):
        write_json(record, {**facts, **change})
        said = in_use.run("forecast", code=2)
        assert f"TEST BUDGET): was trained {sentence}" in said.err
    write_json(record, facts)
    in_use.toml.write_text(in_use.toml.read_text("utf-8").replace("m3/h", "l/s"), encoding="utf-8")
    said = in_use.run("forecast --at 2019-05-20T00:00", code=2)
    assert "its unit is 'm3/h', here it is 'l/s'" in said.err


def test_when_a_stored_model_holds_code_then_it_is_refused_and_not_run(in_use):
    import torch

    from hpo_lib.families.stored_model import ALLOWED

    class Hostile:
        def __reduce__(self):
            return Path.touch, (in_use.folder / "ran",)

    file = in_use.models.trained(1, "refitted")
    with torch.serialization.safe_globals(ALLOWED):
        stored = torch.load(file, weights_only=True)
    torch.save({**stored, "network": Hostile()}, file)
    record = in_use.models.training(1).record
    facts = read_json(record, "a card")
    write_json(record, {**facts, "sha256": {**facts["sha256"], "refitted": checksum(file, facts)}})
    sentence = (
        "cannot be read (it is no stored model, or holds more than numbers and text); restore"
    )
    assert f"{file}: {sentence}" in in_use.run("forecast", code=2).err
    assert not (in_use.folder / "ran").exists()


@pytest.mark.parametrize("damaged", ["current", "card", "key", "model", "weights"])
def test_when_a_model_in_use_is_damaged_then_it_is_named_and_the_other_forecasts(in_use, damaged):
    alone = quantiles(in_use.forecast())
    other = ModelPaths(in_use.models.models_dir, "TFT_Q", "utility")
    shutil.copytree(in_use.models.folder, other.folder)
    files = {"current": other.current, "card": other.training(1).record}
    file = files.get(damaged, other.trained(1, "fitted"))
    if damaged == "key":
        facts = read_json(files["card"], "a card")
        del facts["key"]["recipe"]["near_hours"]
        write_json(file := files["card"], facts)
    elif damaged == "weights":  # a whole file
        import torch

        from hpo_lib.families.stored_model import ALLOWED

        with torch.serialization.safe_globals(ALLOWED):
            stored = torch.load(file, weights_only=True)
        vars(stored["parts"]["scaling"]).update(mean={})
        torch.save(stored, file)
    else:
        file.write_bytes(b"PK no more")
    in_use.run("forecast --model NHITS_Q --out", in_use.folder / "days")
    written = sorted(file.name for file in (in_use.folder / "days").iterdir())
    assert written == ["2019-06-09T00.csv", "2019-06-09T00.png"]
    out = in_use.folder / "beside.csv"
    said = in_use.run("forecast --out", out.with_suffix(".png"), code=2)
    assert "name the table, such as x.csv" in said.err
    shown = in_use.run("forecast --out", out, code=1).out
    assert f"note: Passed over {other.folder}" in shown
    assert file.name in shown or damaged == "key"
    assert "NHITS_Q v001 (TEST BUDGET): 2019-06-09 00:00 UTC" in shown
    assert np.array_equal(quantiles(pd.read_csv(out)), alone)
    shown = in_use.run("watch", code=1).out
    assert f"Passed over {other.folder}" in shown
    assert "NHITS_Q v001 (TEST BUDGET): 15 days since its training" in shown
    told = json.loads(in_use.run("watch --json", code=1).out)
    (one,) = told["models"]
    assert (one["version"], one["days_since"]) == ("NHITS_Q v001 (TEST BUDGET)", 15)
    assert f"a retraining is due: {one['due'][0]}" in shown
    assert f"Passed over {other.folder}" in told["notes"][0]
    told = json.loads(in_use.run("forecast --json --out", out, code=1).out)
    assert (told["model"], told["unit"]) == ("NHITS_Q v001 (TEST BUDGET)", "m3/h")
    assert np.array_equal(quantiles(pd.DataFrame(told["hours"])), alone)
    for command in ("forecast", "watch"):
        named = file.name if command == "forecast" and damaged != "key" else str(other.folder)
        assert named in in_use.run(command, "--model", "TFT_Q", code=2).err
    shutil.copytree(other.folder, in_use.models.folder, dirs_exist_ok=True)
    error = in_use.run("forecast", code=2).err
    assert str(other.folder) in error, "of two damaged models both are named"
    assert str(in_use.models.folder) in error


def test_when_why_is_asked_for_then_steps_lead_from_an_average_day_to_the_forecast(in_use):
    table = in_use.forecast("--at", "2019-05-28T00:00", "--why")
    assert (in_use.folder / "out.why.png").is_file()
    (axes,) = day(in_use, at="2019-05-28T00:00").reasons().axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:4] == ["model", "level", "last day", "weeks before"]
    last = axes.patches[-1]
    assert last.get_x() + last.get_width() == pytest.approx(table["q50"].mean(), rel=1e-5)


def test_when_no_model_is_in_use_then_the_command_that_makes_one_is_named(utility):
    models = utility.models.models_dir
    for model, which in (("", "model"), ("TFT_Q", "model TFT_Q")):
        sentence = f"no {which} of utility is in use; put one in use with `hpo retrain`"
        with refusal(f"{models}: {sentence}"):
            day(utility, model=model)


# Weather of the day ahead


def test_when_a_model_sees_tomorrows_weather_then_the_newest_forecast_serves_or_one_is_asked_for(
    utility, tiny_dataset
):
    columns = ["temp", "water_lag_24h"]
    text = utility.toml.read_text("utf-8").replace('["water_lag_24h"]', json.dumps(columns))
    table = '\n[day_ahead_weather]\nkind = "forecast"\ncolumns = ["temp"]\ncsv = "weather.csv"\n'
    utility.toml.write_text(text + table, encoding="utf-8")
    utility.write(utility.whole.assign(temp=tiny_dataset.frame["temp"]))
    issued = pd.date_range("2019-03-01 18:00Z", "2019-06-08 18:00Z")
    rows = [(i, i + pd.Timedelta(hours=h), 8.0 + h % 24) for i in issued for h in range(1, 37)]
    archive = pd.DataFrame(rows, columns=["issued", "valid", "temp"])
    archive.to_csv(utility.folder / "weather.csv", index=False)
    assert utility.dataset().kind_of_weather == "forecast"
    utility.put_in_use(*utility.train())
    tomorrow = day(utility).forecasts
    assert np.isnan(tomorrow.actual).all()
    warmer = archive.assign(temp=archive["temp"] + 9.0 * (archive["issued"] == issued[-1]))
    warmer.to_csv(utility.folder / "weather.csv", index=False)
    assert not np.array_equal(day(utility).forecasts.values, tomorrow.values)
    archive[archive["issued"] < issued[-1]].to_csv(utility.folder / "weather.csv", index=False)
    sentence = (
        r"utility\.toml: the weather of the day after 2019-06-08 23:00 UTC was not known by then"
    )
    with pytest.raises(InputError, match=sentence):
        day(utility)
