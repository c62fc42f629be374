"""Families whose network is a model of `darts`, its own or one of neuralforecast in its wrapper.

Torch and darts are imported when a model is trained, not when a family is named.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from hpo_lib.data.dataset import Dataset
from hpo_lib.families.linear_baseline import covers_seasons
from hpo_lib.families.models import STANDARD, Budget, Family, Forecaster, OnCheck, Params, Recipe

if TYPE_CHECKING:
    from darts.models.forecasting.torch_forecasting_model import TorchForecastingModel


class DartsFamily(Family):
    """A family whose model is a `darts` torch model."""

    calendar_as_past: ClassVar[bool]
    """Whether the model has no future input of its own, see `WindowSource`."""

    @abstractmethod
    def darts_model(
        self, network: dict[str, Any], common: dict[str, Any]
    ) -> "TorchForecastingModel":
        """The untrained model; ``common`` holds the arguments that all families share.

        ``network`` holds the hyperparameters without those of the optimiser.
        """

    def create_model(self, params: Params, common: dict[str, Any]) -> "TorchForecastingModel":
        """The untrained model, from all hyperparameters."""
        optimiser = "lr", "weight_decay"
        network = {name: value for name, value in params.items() if name not in optimiser}
        return self.darts_model(network, common)

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
        from hpo_lib.families.training import BestWeights, DartsForecaster, train
        from hpo_lib.families.windows import Scaling

        recipe, network = recipe.updated(params)
        self.check_params(network)
        budget = budget.times(recipe.steps_factor)
        forecaster = DartsForecaster(
            dataset, Scaling.fit(dataset, recipe), recipe, self.calendar_as_past
        )
        keeper = BestWeights(forecaster, budget, on_check)  # ends it earlier if work is limited
        train(forecaster, self.create_model, network, budget, seed, budget.steps, [keeper])
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
        from hpo_lib.families.training import DartsForecaster, train
        from hpo_lib.families.windows import Scaling

        recipe, network = recipe.updated(params)
        self.check_params(network)
        whole = dataset.trained_through_validation()
        # The columns that validation judged, even if only both splits cover the years for a season.
        scaling = Scaling.fit(whole, recipe, seasons=covers_seasons(dataset, recipe.season_years))
        forecaster = DartsForecaster(whole, scaling, recipe, self.calendar_as_past)
        forecaster.best_step, forecaster.shares = like.best_step, like.shares
        if like.best_step:
            budget = budget.times(recipe.steps_factor)
            train(forecaster, self.create_model, network, budget, seed, like.best_step, [])
        return forecaster
