"""darts' N-HiTS with rates in hours, and without pooling."""

from darts.models import NHiTSModel
from darts.models.forecasting.pl_forecasting_module import PLForecastingModule
from darts.utils.data.torch_datasets.utils import TorchTrainingSample


class HourlyRateNHiTS(NHiTSModel):
    """N-HiTS whose stacks read every input and forecast in whole hours.

    darts puts target and covariates of an hour side by side in one row, and pools and interpolates
    along that row. A pool then holds the largest of a few demands and calendar values, and the
    coarse forecasts of the first stacks are coarse in columns, not in hours. Here every stack reads
    every input, and the rates count whole hours: of S stacks, stack i forecasts one value in 2 **
    (S - 1 - i) hours.
    """

    def _create_model(self, train_sample: TorchTrainingSample) -> PLForecastingModule:
        covariates = train_sample.past_covariates
        columns = 1 + (0 if covariates is None else covariates.shape[1])
        hours = [2**stack for stack in reversed(range(self.num_stacks))]
        # darts insists on 1 last; only whole hours are read
        rates = [rate * columns for rate in hours[:-1]] + [1]
        self.n_freq_downsample = tuple((rate,) * self.num_blocks for rate in rates)
        self.pooling_kernel_sizes = ((1,) * self.num_blocks,) * self.num_stacks
        module: PLForecastingModule = super()._create_model(train_sample)
        return module
