"""How families train their network, a model of `darts` or one of neuralforecast in its wrapper.

Torch and darts are imported when a model is trained, not when a family is named.
"""

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.linear_baseline import covers_seasons
from hpo_lib.families.models import STANDARD, Budget, Family, Forecaster, OnCheck, Params, Recipe


class DartsFamily(Family):
    """A family whose model is trained by `hpo_lib.families.training`."""

    def fit(
        self,
        params: Params,
        dataset: Dataset,
        budget: Budget,
        *,
        seed: int,
        recipe: Recipe = STANDARD,
        on_check: OnCheck | None = None,
    ) -> Forecaster:
        from hpo_lib.families.training import BestWeights, DartsForecaster

        recipe, network = recipe.updated(params)
        self.check_params(network)
        budget = budget.times(recipe.steps_factor)
        forecaster = DartsForecaster.untrained(self, dataset, recipe)
        keeper = BestWeights(forecaster, budget, on_check)  # ends it earlier if work is limited
        forecaster.train(self, network, budget, seed, budget.steps, [keeper])
        if not keeper.checked:
            raise RuntimeError("training ended before its first check")
        forecaster.module.load_state_dict(keeper.weights)
        return forecaster

    def refit(
        self,
        params: Params,
        dataset: Dataset,
        budget: Budget,
        *,
        like: Forecaster,
        seed: int,
        recipe: Recipe = STANDARD,
    ) -> Forecaster:
        from hpo_lib.families.training import DartsForecaster

        recipe, network = recipe.updated(params)
        self.check_params(network)
        # The columns that validation judged, even if only both splits cover the years for a season.
        seasons = covers_seasons(dataset, recipe.season_years)
        both_splits = dataset.trained_through_validation()
        forecaster = DartsForecaster.untrained(self, both_splits, recipe, seasons)
        forecaster.best_step, forecaster.shares = like.best_step, like.shares
        if like.best_step:
            budget = budget.times(recipe.steps_factor)
            forecaster.train(self, network, budget, seed, like.best_step, [])
        return forecaster
