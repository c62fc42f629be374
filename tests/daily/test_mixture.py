"""The mixture that is served: mornings are the benchmark's, and what happens to damaged members."""

import shutil

import numpy as np
import pandas as pd
import pytest

from hpo_lib.baselines.contract import baselines
from hpo_lib.benchmark.tables import load_benchmark
from hpo_lib.benchmark.train import Plan, run_benchmark
from hpo_lib.daily import versions, watch
from hpo_lib.daily.versions import in_use as version_in_use
from hpo_lib.families.models import family_names
from hpo_lib.paths import ModelPaths
from hpo_lib.records.read_write import read_json, write_json
from hpo_lib.settings import Settings
from tests.daily.conftest import Utility, quantiles

DAYS = 15
"""Of the test split, which has 15."""
MEMBERS = ("NHITS_Q", "LIGHTGBM_LINEAR_Q", "RESIDUAL_LINEAR")


@pytest.fixture(scope="module", autouse=True)
def few_members(tmp_path_factory):
    """One family and two baselines, in the library's own order."""
    with pytest.MonkeyPatch.context() as patch:
        families = [name for name in family_names() if name in MEMBERS]
        members = {name: model for name, model in baselines().items() if name in MEMBERS}
        for module in ("hpo_lib.daily.retrain", "hpo_lib.benchmark.train"):
            patch.setattr(f"{module}.baselines", lambda: members)
        patch.setattr("hpo_lib.daily.retrain.family_names", lambda: families)
        yield


@pytest.fixture(scope="module")
def retrained(tmp_path_factory, tiny_dataset):
    """The utility with a mixture that was made when the test split was not there yet."""
    utility = Utility(tmp_path_factory.mktemp("mixture"), tiny_dataset.target)
    utility.write(utility.whole.loc[:"2019-05-24 23:00"])
    utility.run("retrain --mixture --test --runs-dir", utility.folder / "runs")
    utility.write(utility.whole)
    return utility


@pytest.fixture
def utility(retrained, tmp_path):
    """A copy, whose files may be changed."""
    copy = Utility.__new__(Utility)
    shutil.copytree(retrained.folder, tmp_path / "copy")
    copy.folder = tmp_path / "copy"
    copy.toml = tmp_path / "copy/utility.toml"
    copy.csv = copy.folder / "utility.csv"
    copy.whole = retrained.whole
    copy.models = ModelPaths(copy.folder / "models", "MIXTURE", "utility")
    return copy


def member(utility, name):
    return ModelPaths(utility.models.version(1), name, "utility")


def test_when_mornings_are_replayed_then_each_is_the_mixture_of_the_benchmark(utility, tmp_path):
    plan = Plan(
        utility.dataset(),
        Settings.create("NHITS_Q", "utility", preset="test", runs_dir=tmp_path / "runs"),
        ("NHITS_Q",),
        params="default",
        seeds=1,
        refit=True,
        out=tmp_path,
    )
    run_benchmark(plan, say=lambda _: None)
    benchmark = load_benchmark(plan.paths, plan.dataset.spec)
    row = benchmark.rows[-1]
    assert tuple(row.weights.columns.get_level_values("model")) == MEMBERS
    expected = benchmark.calibrated[row, "rolling"]
    assert len(expected.origins) == DAYS
    assert row.weights.iloc[-1].nunique() == len(MEMBERS)
    for i in (1, DAYS - 1):
        table = utility.forecast("--at", str(expected.origins[i] + pd.Timedelta(hours=1)))
        assert np.array_equal(quantiles(table), expected.values[i])


def test_when_a_morning_is_forecast_then_members_and_weights_are_told_and_cards_name_them(utility):
    shown = utility.run("forecast --out", utility.folder / "out.csv").out
    assert "MIXTURE v001 (TEST BUDGET): 2019-06-09 00:00 UTC" in shown
    line = next(line for line in shown.splitlines() if "is made of" in line)
    shares = dict(part.rstrip(".").split() for part in line.partition(" made of ")[2].split(", "))
    assert set(shares) == set(MEMBERS)
    assert sum(map(float, shares.values())) == pytest.approx(1, abs=0.016)
    card = utility.models.card(1).read_text(encoding="utf-8")
    for name in MEMBERS:
        assert f"* {name}: " in card
    assert "weights on days up to 2019-05-24 23:00:00+00:00 and has seen days of these" in card


def test_when_a_members_file_is_truncated_then_it_is_named_and_the_others_share_its_weight(utility):
    whole = quantiles(utility.forecast())
    file = member(utility, "LIGHTGBM_LINEAR_Q").trained(1, "refitted")
    file.write_bytes(file.read_bytes()[:1000])
    out = utility.folder / "out.csv"
    shown = utility.run("forecast --out", out, code=1).out
    assert f"Passed over the member {file}: it or its record was changed" in shown
    assert "; the other members share its weight." in shown
    line = next(line for line in shown.splitlines() if "is made of" in line)
    assert "LIGHTGBM_LINEAR_Q" not in line
    without = quantiles(pd.read_csv(out))
    assert not np.array_equal(without, whole)
    # As if it had never been there.
    record = utility.models.training(1).record
    facts = read_json(record, "a card")
    write_json(record, {**facts, "members": {"NHITS_Q": 1, "RESIDUAL_LINEAR": 1}})
    assert np.array_equal(quantiles(utility.forecast()), without)
    utility.run("watch --model MIXTURE")
    write_json(record, {**facts, "members": {"NHITS_Q": 1}})
    assert "is made of NHITS_Q 1.00." in utility.run("forecast --out", out).out
    write_json(record, {**facts, "members": {"LIGHTGBM_LINEAR_Q": 1}})
    assert "none of its members can be read" in utility.run("forecast", code=2).err


def test_when_a_member_was_trained_on_other_days_then_it_is_named_and_does_not_count(utility):
    record = member(utility, "NHITS_Q").training(1).record
    facts = read_json(record, "a card")
    facts["key"]["data"]["train_end"] = "2019-05-10 23:00:00+00:00"
    write_json(record, facts)
    said = utility.run("forecast --out", utility.folder / "out.csv", code=1)
    assert "NHITS_Q_utility/v001: was trained on other days or data; " in said.out


def test_when_the_mixture_is_watched_then_beside_its_members_and_who_was_not_trusted_is_told(
    utility, monkeypatch
):
    shown = utility.run("watch").out
    assert "MIXTURE v001 (TEST BUDGET): 15 days since its training" in shown
    assert "Raw pinball loss of these days: MIXTURE " in shown
    assert ", NHITS_Q " in shown
    assert "not been trusted" not in shown
    monkeypatch.setattr(watch, "SEASON_DAYS", 10)
    monkeypatch.setattr(watch, "TRUSTED", 0.999)
    shown = utility.run("watch").out
    assert "RESIDUAL_LINEAR has not been trusted for a season: its weight was never above" in shown


def test_when_a_mixture_is_retrained_then_members_are_kept_and_a_worse_one_is_not_put_in_use(
    utility, monkeypatch
):
    words = "retrain --mixture --test --runs-dir", utility.folder / "runs"
    stopped = versions.MixtureVersion.forecasts
    monkeypatch.setattr(versions.MixtureVersion, "forecasts", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        utility.run(*words)
    assert version_in_use(utility.models).number == 1
    monkeypatch.setattr(versions.MixtureVersion, "forecasts", stopped)
    shown = utility.run(*words, code=None)
    for name in MEMBERS:
        assert f"{name} v001 (TEST BUDGET) was already trained in this way" in shown.out
    assert (shown.code, version_in_use(utility.models).number) in ((0, 2), (1, 1))
    assert ("is worse than v001" in shown.err) == (shown.code == 1)
    utility.run(*words, "--replace")
    assert version_in_use(utility.models).number > 1
