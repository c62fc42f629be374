"""Studies of the wide space: conditional dimensions, and the first trials."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from hpo_lib.data.day_ahead_weather import day_ahead_weather
from hpo_lib.data.spec import DayAheadWeatherSpec
from hpo_lib.families.models import RECIPES, STANDARD
from hpo_lib.families.search_space import is_whole
from hpo_lib.paths import RunPaths
from hpo_lib.records.read_write import write_json
from hpo_lib.records.study import StoredStudy
from hpo_lib.settings import Settings
from hpo_lib.study.first_trials import best_of_others
from tests.conftest import essentials
from tests.study.fakes import DEFAULTS, Died

Start = Callable[..., StoredStudy]


@pytest.fixture
def wide(start):
    return lambda *given, **named: start(*given, space="wide", **named)


@pytest.fixture
def shipped(family):
    """A portfolio of the fake family."""
    portfolio = {
        won_on: {**family.untuned("wide"), "width": width, "linear_weeks": 2}
        for won_on, width in (("heat, tiny", 2), ("tiny, harbour", 8))
    }
    family.portfolio = portfolio  # type: ignore[misc]
    return list(portfolio.values())


def test_when_the_wide_space_is_searched_then_each_trial_has_the_dimensions_that_it_needs(
    wide, family
):
    run = wide(trials=14)
    space = family.searched("wide")
    assert run.trials[0].params == {**DEFAULTS, **family.untuned("wide")}
    for trial, call in zip(run.trials, family.calls, strict=True):
        assert trial.params == call
        assert is_whole(call, space)
        family.check_params(call)
    assert {call["linear_part"] for call in family.calls} == {True, False}
    assert {"linear_weeks" in call for call in family.calls if not call["linear_part"]} == {False}
    on_trees = {**family.untuned("wide"), **DEFAULTS, "linear_trees": True}
    del on_trees["linear_penalty"], on_trees["linear_weeks"]
    assert family.calls[5] == on_trees
    assert dict(run.search_space) == dict(space)


def test_when_a_study_ends_then_its_record_holds_the_space_and_the_whole_recipe_of_the_chosen_trial(
    wide, start, family
):
    record = wide(trials=8).result
    assert (record["space"], record["provenance"]["recipe"]) == ("wide", STANDARD.stored())
    recipe, network = STANDARD.updated(record["best_params"])
    assert record["best_recipe"] == recipe.stored()
    assert set(network) == set(DEFAULTS)
    plan = start(trials=2, job_id="b", recipe="plain").result
    assert (plan["space"], plan["best_recipe"]) == ("plan", RECIPES["plain"].stored())


def test_when_the_recipe_is_another_then_it_is_the_first_trial(wide, family):
    wide(trials=1, recipe="plain")
    assert RECIPES["plain"].updated(family.calls[0]) == (RECIPES["plain"], DEFAULTS)
    assert "linear_weeks" not in family.calls[0]


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_when_a_wide_study_is_resumed_then_it_asks_for_what_an_uninterrupted_one_would(
    storage, wide, shipped, family, tmp_path
):
    def die(call):
        if call in (1, 8):
            raise Died

    family.before = die
    for _ in range(2):
        with pytest.raises(Died):
            wide(trials=12, storage=storage)
    portfolio, family.portfolio = family.portfolio, {}  # a study keeps the one it was begun with
    assert [t.state for t in wide(trials=12, storage=storage).trials].count("interrupted") == 2
    assert family.calls[1] == family.calls[2] == shipped[0]
    assert family.calls[8] == family.calls[9]
    in_parts = [call for i, call in enumerate(family.calls) if i not in (1, 8)]
    family.calls.clear()
    family.before = lambda call: None
    family.portfolio = portfolio
    wide(trials=12, storage=storage, runs_dir=tmp_path / "other")
    assert family.calls == in_parts


def test_when_there_is_a_portfolio_then_what_won_elsewhere_follows_the_defaults_in_its_order(
    wide, start, shipped, family, capsys
):
    wide(trials=4)
    assert family.calls[:3] == [family.untuned("wide"), shipped[0], shipped[1]]
    told = (
        "First trials: 0 untuned defaults; 1 portfolio, won on heat, tiny; 2 portfolio, won on "
        "tiny, harbour; 3 near the defaults."
    )
    assert capsys.readouterr().out.splitlines()[0] == told
    start(trials=3, job_id="plan")
    assert all(set(call) == set(DEFAULTS) for call in family.calls[-3:])


def test_when_the_portfolio_is_short_then_the_trials_before_the_samplers_are_near_the_defaults(
    wide, family
):
    """Each of the 11 dimensions keeps its default with a chance of 2/3, so about four move."""
    wide(trials=6)
    defaults, *others = family.calls
    moved = [sum(call.get(name) != value for name, value in defaults.items()) for call in others]
    assert all(1 <= number <= 8 for number in moved)
    wide(trials=6, job_id="again", seed=7)
    assert family.calls[7:] != others


def test_when_models_see_tomorrows_temperature_then_thermal_memory_is_searched(
    wide, shipped, family, tiny_dataset
):
    weather = DayAheadWeatherSpec("observed", ("temp",))
    seen = day_ahead_weather(
        weather, tiny_dataset.frame, None, tiny_dataset.training_frame, tiny_dataset.spec.target
    )
    wide(trials=12, dataset=replace(tiny_dataset, weather=seen, sha256="with weather"))
    assert family.calls[0] == {**family.untuned("wide"), "thermal": True}
    assert family.calls[1:3] == [{**shipped[0], "thermal": True}, {**shipped[1], "thermal": True}]
    assert {call["thermal"] for call in family.calls} == {True, False}
    family.calls.clear()
    wide(trials=6, job_id="without", warm_start=True)
    assert not any("thermal" in call for call in family.calls)


def test_when_a_study_is_warm_started_then_the_best_of_own_studies_on_other_series_are_tried(
    wide, start, shipped, family, tiny_dataset, capsys
):
    def other(name, source="csv"):
        spec = replace(tiny_dataset.spec, name=name)
        return replace(tiny_dataset, spec=spec, sha256=name, source=source)

    used = wide(trials=8, dataset=other("harbour"), seed=12)
    wide(trials=8, dataset=other("twin", "simulated"), seed=4)
    wide(trials=8, job_id="same", seed=5)
    start(trials=8, dataset=other("plan"), seed=6)
    capsys.readouterr()
    wide(trials=4, job_id="warm", warm_start=True)
    best = used.result["best_params"]
    assert family.calls[-4:] == [family.untuned("wide"), shipped[0], shipped[1], best]
    assert "; 3 best of FAKE_Q_harbour_a." in capsys.readouterr().out
    wide(
        trials=6, dataset=other("harbour"), job_id="later", seed=9
    )  # is no longer what the study was begun with
    run = wide(trials=5, job_id="warm", warm_start=True)
    assert run.result["provenance"]["first_trials"][3:5] == [
        "best of FAKE_Q_harbour_a",
        "near the defaults",
    ]
    assert run.trials[3].params == best


def test_when_own_studies_are_many_then_the_newest_three_complete_and_real_ones_are_tried(
    family, tiny_dataset, tmp_path
):
    def make(number, name, status="complete", preset="laptop"):
        record = essentials({**family.untuned("wide"), "lr": 1e-4 * number}) | {
            "model": "FAKE_Q",
            "dataset": name,
            "job_id": "a",
            "optimization_date": f"2026-01-0{number}",
            "space": "wide",
            "provenance": {"preset": preset, "data": {"source": "csv", "sha256": name}},
            "status": status,
        }
        write_json(RunPaths(tmp_path, "FAKE_Q", name, "a").best_params, record)

    for number, name in enumerate(("old", "port", "quay", "pier"), 1):
        make(number, name)
    make(5, "cut", status="stopped")
    make(6, "small", preset="test")

    def best(preset):
        settings = Settings.create("FAKE_Q", "tiny", runs_dir=tmp_path, preset=preset)
        return best_of_others(family, tiny_dataset, settings)

    assert [study.dataset for study in best("laptop")] == ["pier", "quay", "port"]
    assert best("test")[0].dataset == "small"
