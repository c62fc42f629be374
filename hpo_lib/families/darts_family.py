"""How families train their network, a model of `darts` or one of neuralforecast in its wrapper.

Torch and darts are imported when a model is trained, not when a family is named.
"""

import numpy as np

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY
from hpo_lib.families.models import (
    STANDARD,
    Budget,
    ByName,
    Family,
    Forecaster,
    OnCheck,
    Params,
    Recipe,
)


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
        like: Forecaster | None = None,
        on_check: OnCheck | None = None,
    ) -> Forecaster:
        from hpo_lib.families.training import BestWeights, DartsForecaster, new_model
        from hpo_lib.families.windows import Scaling

        recipe, network = recipe.updated(params)
        self.check_params(network)
        budget, judged = budget.times(recipe.steps_factor), None
        if like is not None:
            dataset, judged = dataset.trained_through_validation(), like.parts()["scaling"]
        forecaster = DartsForecaster(
            dataset, Scaling.fit(dataset, recipe, judged), recipe, self.calendar_as_past
        )
        if like is None:
            keeper = BestWeights(forecaster, budget, on_check)  # ends it earlier if work is limited
            forecaster.train(new_model(self, network, budget, seed, budget.steps, keeper))
            forecaster.module.load_state_dict(keeper.weights)
            return forecaster
        forecaster.best_step = like.best_step
        forecaster.shares = like.shares
        if like.best_step:
            forecaster.train(new_model(self, network, budget, seed, like.best_step))
        return forecaster

    def restored(self, parts: ByName, params: Params, dataset: Dataset) -> Forecaster:
        from hpo_lib.families.training import DartsForecaster, untrained_module
        from hpo_lib.families.windows import TrainingWindows

        recipe = parts["recipe"]
        forecaster = DartsForecaster(dataset, parts["scaling"], recipe, self.calendar_as_past)
        forecaster.shares = parts["shares"]
        if not forecaster.keeps_nothing:
            any_window = np.array([HISTORY - 1])  # the shape of a network follows from it
            sample = TrainingWindows(forecaster.source(dataset.windows(any_window)), any_window)[0]
            forecaster.module = untrained_module(self, recipe.updated(params)[1], sample).eval()
            forecaster.module.load_state_dict(parts["network"])
        return forecaster
