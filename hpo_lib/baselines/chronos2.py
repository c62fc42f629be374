"""CHRONOS2: the zero-shot foundation model Chronos-2 of `darts`, from weights on disk.

Ansari et al., 2025. Nothing is trained or chosen. The pretrained network reads the same window as
the other models (the target and the past covariates of the 168 hours up to the origin, and the
future-known columns through the horizon) and gives quantiles. Nothing is downloaded, because
compute nodes often have no network.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from hpo_lib.data.dataset import Dataset
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.errors import InputError
from hpo_lib.families.models import RECIPES, Forecaster, Model, register
from hpo_lib.scoring.forecasts import QUANTILE_LEVELS

RECIPE = replace(RECIPES["plain"], repeated_history=False)
"""The network normalises each window by itself."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def checked_folder(folder: Path) -> str:
    """The sha256 of the weights in the folder of a Chronos-2: part of a stored forecast's key."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["chronos_config"]
        known = set(config["quantiles"])
        longest = config["context_length"]
        with (folder / WEIGHTS).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder}: holds no pretrained Chronos-2 ({error}); get one with `hf download "
            f"amazon/chronos-2 --local-dir {folder}`"
        ) from None
    if not known.issuperset(QUANTILE_LEVELS) or longest < HISTORY:
        raise InputError(
            f"{folder}: holds a model of quantiles {sorted(known)} from {longest} hours, expected "
            f"one that has {QUANTILE_LEVELS} and reads {HISTORY} hours"
        )
    return digest


def zero_shot(dataset: Dataset, folder: Path) -> Forecaster:
    """The model in a `checked_folder` as a forecaster of a dataset."""
    from darts.models import Chronos2Model
    from darts.utils.likelihood_models.torch import QuantileRegression

    from hpo_lib.families.training import DartsForecaster, quiet_libraries
    from hpo_lib.families.windows import Scaling, TrainingWindows

    forecaster = DartsForecaster(
        dataset, Scaling.fit(dataset, RECIPE), RECIPE, calendar_as_past=False
    )
    one_window = dataset.training_origins()[:1]
    with quiet_libraries():
        model = Chronos2Model(
            input_chunk_length=HISTORY,
            output_chunk_length=HORIZON,
            likelihood=QuantileRegression(quantiles=list(QUANTILE_LEVELS)),
            local_dir=str(folder),
            pl_trainer_kwargs={"logger": False, "enable_checkpointing": False},
        )
        # Sets the columns; the weights do not change.
        model.fit_from_dataset(
            TrainingWindows(forecaster.source(dataset.windows(one_window)), one_window)
        )
    forecaster.module = model.model
    return forecaster


class Chronos2(Model):
    """A pretrained model, which a benchmark includes if its folder is named."""

    name = "CHRONOS2"
    title = "Chronos-2"
    kind = "pretrained"
    colour = "#F0E442"
    marker = "*"


register(Chronos2())
