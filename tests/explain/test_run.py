"""``hpo explain`` on a series whose parts are known: values, checks, files, and a second call."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo_lib.baselines.contract import baselines
from hpo_lib.benchmark import explain as run
from hpo_lib.benchmark.explain import (
    agreement,
    chosen_days,
    coalition_values,
    draw_donors,
    explain,
    families_among,
    players,
)
from hpo_lib.benchmark.explanations import (
    ALL,
    MEAN,
    NONE,
    REFITTED,
    Explanation,
    Explanations,
    shapley_values,
)
from hpo_lib.benchmark.train import make_plan
from hpo_lib.errors import InputError
from hpo_lib.paths import BenchmarkPaths
from hpo_lib.records.read_write import load_predictions, read_json
from hpo_lib.scoring import metrics
from hpo_lib.scoring.uncertainty import bootstrap_intervals
from tests.conftest import hpo, refusal
from tests.study.processes import python


def explained_by(toml, out, models, days="14", split="test", **how):
    how = {"seeds": 1, "test": True, "params": "default", "out": str(out), **how}
    return explain(make_plan(str(toml), models=families_among(models), **how), models, split, days)


@pytest.fixture(scope="module")
def out(toml, tmp_path_factory):
    """A folder in which two baselines are explained."""
    folder = tmp_path_factory.mktemp("out")
    explained_by(toml, folder, ["RESIDUAL_LINEAR", "LIGHTGBM_LINEAR_Q"])
    return folder


def days_of(one):
    return pd.to_datetime([day.removesuffix(" UTC") for day in one.facts["days"]], utc=True)


@pytest.fixture(scope="module")
def paths(out):
    return BenchmarkPaths(out, "parts", "test-standard")


@pytest.fixture(scope="module")
def explained(paths):
    return Explanations.of_folder(paths)


@pytest.fixture(scope="module")
def linear(explained):
    return explained.parts["RESIDUAL_LINEAR", "own", "42"]


def of_one(*seeds):
    return Explanations({("NHITS_Q", "best", str(42 + i)): one for i, one in enumerate(seeds)})


def test_when_everything_is_known_then_the_forecast_is_that_of_the_benchmark(
    linear, paths, toml, explained
):
    stored = load_predictions(paths.training("RESIDUAL_LINEAR", "own", 42).forecasts["test"])
    rows = stored.origins.get_indexer(days_of(linear))
    assert linear.values[-1] == pytest.approx(stored.values[rows], rel=1e-4)
    assert linear.actual == pytest.approx(stored.actual[rows])
    # The refitted baseline knows all then, too: it is the same regression.
    refitted = explained.parts[REFITTED, "own", "0"]
    assert refitted.values[-1, :, :, 1] == pytest.approx(linear.values[-1, :, :, 1], rel=1e-4)


def test_when_intervals_are_drawn_then_they_are_those_of_the_same_days_everywhere(linear):
    dataset_forecasts = metrics.QuantileForecasts(linear.values[-1], linear.actual, days_of(linear))
    expected = bootstrap_intervals(dataset_forecasts)["mae"]
    row = of_one(linear).table().query("what == 'mae' and group == 'all'").iloc[0]
    assert (row["value"], row["low"], row["high"]) == pytest.approx(
        (expected.value, expected.low, expected.high), rel=1e-12
    )


def test_when_the_parts_of_a_series_are_known_then_the_values_are_in_their_order(explained):
    """The calendar of the day (a weekend effect of 9) and the level (12) beat the daily shape."""
    assert len(explained.losses()) == 6
    for row, loss in explained.losses().items():
        worth = dict(zip(explained.facts["players"], shapley_values(loss), strict=True))
        assert min(worth, key=worth.get) in ("calendar", "level"), row
        assert worth["calendar"] < -0.5
        assert worth["last day"] > worth["calendar"] / 2


def test_when_checks_are_printed_then_they_hold(explained):
    lines = explained.report()
    table = explained.table()
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    for _, rows in table.groupby(["model", "params", "seed", "what"]):
        values = rows.set_index("group")["value"]
        groups = values.drop([NONE, ALL])
        assert groups.sum() == pytest.approx(values[ALL] - values[NONE], rel=1e-9, abs=1e-12)
    checks = pd.read_fwf(io.StringIO(lines[4]), colspecs="infer", na_values="-")
    assert list(checks)[-5:] == ["planted", "donors", "halves", "deletion", "refitted"]
    assert (checks["sum"] < 1e-9).all()
    assert (checks["planted"].dropna() == 0).all()
    assert checks["planted"].notna().sum() == len(checks) - 1
    assert (checks["donors"].dropna() < 100).all()
    assert (checks["deletion"] > 0).all()
    assert (checks["halves"].abs() <= 1).all()
    text = "\n".join(lines)
    assert "6 to 8 donors of training each; groups are hidden interventionally" in text
    assert "Kendall's tau" in text


@pytest.mark.slow
def test_when_a_run_is_killed_then_the_next_one_goes_on_and_then_nothing_is_explained_again(
    toml, tmp_path, monkeypatch
):
    values = run.coalition_values
    calls = []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return values(*arguments)

    monkeypatch.setattr(run, "coalition_values", killed)
    with pytest.raises(KeyboardInterrupt):
        explained_by(toml, tmp_path, ["RESIDUAL_LINEAR"])
    paths = BenchmarkPaths(tmp_path, "parts", "test-standard")
    assert [file.stem for file in paths.explanations()] == ["RESIDUAL_LINEAR-own-42"]
    assert not paths.table("shapley").exists()
    explained_by(toml, tmp_path, ["RESIDUAL_LINEAR"])
    # two halves of the model and its planted column; of the refitted one the killed half and both
    assert len(calls) == 6
    assert len(paths.explanations()) == 2
    before = {file: file.read_bytes() for file in sorted(tmp_path.rglob("*.*"))}
    explained_by(toml, tmp_path, ["RESIDUAL_LINEAR"])
    assert len(calls) == 6
    assert {file: file.read_bytes() for file in sorted(tmp_path.rglob("*.*"))} == before


def test_when_values_are_verified_then_an_altered_one_is_found(paths):
    file = paths.table("shapley")
    assert "figures recomputed" in hpo("verify", file).out
    text = file.read_text(encoding="utf-8")
    table = pd.read_csv(file)
    table.loc[3, "value"] += 1e-6
    table.to_csv(file, index=False)
    try:
        assert f"DRIFT  {file}: it differs" in hpo("verify", file, code=1).out
        table.iloc[1:].to_csv(file, index=False)
        hpo("verify", file, code=1)
    finally:
        file.write_text(text, encoding="utf-8")


def test_when_an_explanation_is_damaged_then_a_sentence_says_so(paths, tmp_path):
    file = tmp_path / "RESIDUAL_LINEAR-own-42.npz"
    file.write_bytes(paths.explanations()[0].read_bytes()[:2000])
    with pytest.raises(InputError, match="holds no explanation"):
        Explanation.load(file)


def test_when_seeds_differ_then_the_mean_of_a_row_is_over_all_of_them(linear):
    both = of_one(linear, linear._replace(values=linear.values + 1))
    mean = both.games("median")["NHITS_Q", "best", MEAN]
    assert mean == pytest.approx(of_one(linear).games("median")["NHITS_Q", "best", "42"] + 0.5)
    values = both.table().query("what == 'median'").set_index(["seed", "group"])["value"]
    assert values["mean", ALL] == pytest.approx(mean[-1].mean())
    assert values["43", ALL] == pytest.approx(values["42", ALL] + 1)


def test_when_days_are_chosen_then_weekdays_and_time_are_covered_alike(parts):
    days = chosen_days(parts, "test", "28")
    assert np.abs(np.bincount(parts.index[days].day_of_week) - 4).max() <= 1
    gaps = np.diff(parts.index[days]).astype("timedelta64[h]").astype(int) / 24
    assert gaps.max() <= 3 * gaps.mean()
    assert len(chosen_days(parts, "validation", "all")) == len(parts.validation_origins)
    with refusal("days is 'few', expected a number of days such as 60, or all"):
        chosen_days(parts, "test", "few")


def test_when_a_model_cannot_be_explained_then_one_sentence_says_why(toml, out):
    with pytest.raises(InputError, match="model is 'BLEND'; "):
        explained_by(toml, out, ["BLEND"])
    with refusal("a refitted model has learnt from validation; leave --refit out"):
        explained_by(toml, out, ["RESIDUAL_LINEAR"], split="validation", refit=True)


def test_when_a_folder_explains_other_days_then_it_is_refused_and_kept(toml, out, paths):
    before = {file: file.read_bytes() for file in paths.explanations()}
    with pytest.raises(InputError, match=r"explains other days .* remove .*explanations, or give"):
        explained_by(toml, out, ["RESIDUAL_LINEAR"], days="10")
    assert {file: file.read_bytes() for file in paths.explanations()} == before


def test_when_the_data_are_others_then_the_folder_is_refused(toml, out, tmp_path):
    frame = pd.read_csv(toml.with_name("parts.csv"))
    frame.iloc[100, 1] += 1
    frame.to_csv(tmp_path / "parts.csv", index=False)
    other = shutil.copy(toml, tmp_path)
    with pytest.raises(InputError, match=r"was made on other data .* give another --out"):
        explained_by(other, out, ["RESIDUAL_LINEAR"])


@pytest.fixture(scope="module")
def planted(parts):
    """Values of a model that has learnt from a column of noise, by day."""
    forecaster = baselines()["LIGHTGBM_Q"].fit(parts, seed=1, quick=True)
    donors = draw_donors(parts, chosen_days(parts, "test", "28"))
    values = coalition_values(forecaster, parts, donors, players(parts))
    origins = parts.index[donors[:, 0, 0]]
    actual = metrics.QuantileForecasts.of_model(values[-1], origins).with_actual(parts.target)
    facts = {"players": list(players(parts)), "days": list(origins)}
    return Explanation(facts, values, actual.actual)


def test_when_a_model_has_learnt_from_noise_then_the_interval_of_its_value_is_over_zero(planted):
    rows = of_one(planted).table()
    row = rows.query("what == 'mae' and group == 'weather so far'").iloc[0]
    assert row["low"] <= 0 <= row["high"]
    assert (
        abs(row["value"]) < 0.02 * rows.query("what == 'mae' and group == 'none'")["value"].iloc[0]
    )


def test_when_two_columns_are_copies_then_their_groups_share_alike(parts):
    copy = replace(
        parts, frame=parts.frame.assign(copied=parts.frame["a"]), past=(*parts.past, "copied")
    )
    forecaster = baselines()["RESIDUAL_LINEAR"].fit(copy)
    donors = draw_donors(copy, copy.test_origins[:4])
    groups = {"level": (), "one": ["a"], "other": ["copied"]}
    _, one, other = shapley_values(coalition_values(forecaster, copy, donors, groups)[..., 1])
    assert np.abs(one).max() > 0
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_when_claims_are_compared_then_each_meets_each_group_on_days_of_validation(parts):
    forecaster = baselines()["RESIDUAL_LINEAR"].fit(parts)
    days = np.arange(len(parts.validation_origins))
    claims = pd.DataFrame({"level": days % 5.0, "calendar": days % 7.0})
    table = agreement(forecaster, parts, claims)
    assert ("level", "calendar") in table.index
    known = table.dropna()
    assert len(known)
    assert (known.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    follows = agreement(forecaster, parts, pd.DataFrame({"size": days}))
    assert follows.dropna().shape == (len(players(parts)), 3)
    assert ("all", "all") in table.index


@pytest.mark.slow
def test_when_the_notebook_runs_then_it_prints_the_checks_and_shows_every_figure(
    toml, out, tmp_path, root
):
    record = tmp_path / "out.ipynb"
    given = f"-p dataset {toml} -p models RESIDUAL_LINEAR -p params default -p days 14 -p seeds 1"
    command = (
        f"-m papermill notebooks/explanations.ipynb {record} {given} -p test True -p out {out}"
    )
    run = python(root, *command.split())
    assert run.returncode == 0, run.stderr
    shown = str([cell.get("outputs") for cell in read_json(record, "a notebook")["cells"]])
    assert "Kendall's tau of the order of groups" in shown
    assert shown.count("'image/png'") == 4
