"""The model in use and its forecast of the day ahead."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hpo_lib.baselines.contract import baselines
from hpo_lib.benchmark.explain import coalition_values, draw_donors, players
from hpo_lib.benchmark.explanations import LINEAR
from hpo_lib.daily.versions import DAY, FITTED, MIXTURE, REFITTED, Version, each_in_use
from hpo_lib.data.dataset import Dataset, load_dataset
from hpo_lib.data.features import calendar_columns
from hpo_lib.data.raw_files import read_school_holidays
from hpo_lib.data.splits import HISTORY, HORIZON
from hpo_lib.errors import InputError
from hpo_lib.families.linear_baseline import MEDIAN
from hpo_lib.figures.explanations import fill_reasons
from hpo_lib.figures.series import forecast_rows, hours_of_days
from hpo_lib.figures.style import marked_by_source, on_screen, panels, unit_text
from hpo_lib.paths import MODELS_DIR, ModelPaths, atomic, output, write_text
from hpo_lib.scoring.calibration import ROLLING_DAYS, calibrate
from hpo_lib.scoring.forecasts import QuantileForecasts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOUR = pd.Timedelta(hours=1)
_SCHOOL = "is_school_holiday"
ROUNDING = 1e-4
"""A calendar column that differs by less from what is computed was written with fewer digits."""


@dataclass(frozen=True)
class DayAhead:
    """The calibrated forecast of one day.

    Attributes: version: what forecast it. dataset: its data; only what was known before the day
        decided the forecast. forecasts: [1, H, Q]; actuals are NaN where they are not known yet.
        notes: sentences for the user; a `Damage` on a model in use that is passed over.
    """

    version: Version
    dataset: Dataset
    forecasts: QuantileForecasts
    notes: Sequence[str]
    known: Dataset
    """What was known before the day, with the calendar of its hours."""

    @property
    def begin(self) -> pd.Timestamp:
        """Its first hour."""
        return self.forecasts.days[0]

    def table(self) -> pd.DataFrame:
        """One row per hour: time_utc and time_local as text, q10, q50, q90 in the target's unit."""
        utc = self.forecasts.hours
        times = pd.DataFrame({"time_utc": utc, "time_local": utc.tz_convert(self.dataset.spec.tz)})
        return times.map(pd.Timestamp.isoformat).join(
            self.forecasts.to_frame()[["q10", "q50", "q90"]]
        )

    def figure(self) -> "Figure":
        """This forecast, below that of the same model a day before with what came."""
        spec = self.dataset.spec
        forecasts = [self.forecasts]
        yesterday = self.forecasts.origins[0] - DAY
        if not _lack(_until(self.dataset, yesterday)):
            forecasts.insert(0, _day_after(self.version, self.dataset, yesterday, None).forecasts)
        tables = {
            f"{spec.title}, {self.version}, after {one.origins[0]:%A %Y-%m-%d %H:%M} UTC": (
                hours_of_days(one, 0, 1).tz_convert(spec.tz).tz_localize(None)
            )
            for one in forecasts
        }
        figure = forecast_rows(
            tables,
            unit=f"{spec.target_words}\n({unit_text(spec.unit)})",
            xlabel=f"local time, {spec.timezone}",
            ms=4,
        )
        return marked_by_source(figure, self.dataset.source)

    def reasons(self) -> "Figure":
        """What moves the daily mean of the median from the linear baseline's average day to it.

        The average day is its forecast where no group of information is known, see
        `hpo_lib.benchmark.explain`.
        """
        data = self.known
        origins = self.forecasts.origins
        version = self.version
        if version.paths.model == MIXTURE:
            raise InputError(
                f"{version}: has no reasons of its own; put one model in use with `hpo retrain`, "
                "and name it with --model"
            )
        donors = draw_donors(data, data.index.get_indexer(origins))
        which = FITTED if origins[0] < version.trained_until else REFITTED
        fitted = baselines()[LINEAR].fit(_until(data, origins[0])), version.model(which, data)
        linear, daily = (
            coalition_values(one, data, donors)[..., MEDIAN].mean(axis=(1, 2)) for one in fitted
        )
        with on_screen():
            figure, [[axes]] = panels(1, 1, height=2.2)
            fill_reasons(axes, daily, players(data), linear[0], unit_text(data.spec.unit))
            axes.set_title(f"{data.spec.title}, {version}, {self.begin:%Y-%m-%d %H:%M} UTC")
        return marked_by_source(figure, self.dataset.source)

    def write(self, out: str = "", *, why: bool = False) -> list[Path]:
        """Write table and figure, by default beside the model; ``why``: with that of `reasons`."""
        file = output(out, self.version.paths.forecast(f"{self.begin:%Y-%m-%dT%H}"))
        figures = {".png": self.figure}
        if why:
            figures[".why.png"] = self.reasons
        if file.suffix == ".png":
            raise InputError(
                f"{file}: is the figure beside the table; name the table, such as x.csv"
            )
        table = self.table().assign(unit=self.dataset.spec.unit, model=str(self.version))
        if file.exists() and not file.read_bytes().startswith(b"time_utc,"):
            raise InputError(f"{file}: is there already and is no forecast; name another file")
        write_text(file, table.to_csv(index=False))
        for suffix, figure in figures.items():
            with atomic(file.with_suffix(suffix)) as temporary:
                figure().savefig(temporary, dpi=120)
        return [file, *map(file.with_suffix, figures)]


def forecast_day(
    dataset: str,
    *,
    model: str = "",
    at: str = "",
    school_holidays: str = "",
    data_dir: str = "",
    simulated: bool = False,
    models_dir: str = "",
    now: pd.Timestamp | None = None,
) -> DayAhead:
    """The forecast of the 24 hours from ``at`` on; names, times and folders are text.

    Args: dataset: name or TOML of the dataset. model: the family; empty: the mixture if it is in
        use, else the only model in use. at: first hour of the forecast, UTC unless it has another
        offset; empty: the hour after the last one.
        school_holidays: file of school holidays, as for `hpo prepare`. data_dir: folder of the
        data; empty: that of the project. simulated: use the dataset's simulated twin, even if its
        CSV is there. models_dir: folder of the models; empty: that of the project. now: the
        present, for a note on old data; None: by the clock.

    Raises: InputError: the data or the models are not there, do not fit, or lack an hour that is
        needed.
    """
    data = load_dataset(dataset, data_dir, simulated=simulated)
    first, origin = data.index[[0, -1]]
    if at:
        begin = pd.to_datetime(at, format="ISO8601", utc=True, errors="coerce")
        if pd.isna(begin) or begin != begin.floor("h"):
            raise InputError(
                f"at is {at!r}, expected a full hour in UTC such as '2020-05-07T00:00'"
            )
        if not first < begin <= origin + HOUR:
            raise InputError(
                f"{data.path}: holds {first:%Y-%m-%d %H:%M} to {origin:%Y-%m-%d %H:%M} UTC, so not "
                f"the hours before {begin:%Y-%m-%d %H:%M}; add them, or forecast another day with "
                "--at"
            )
        origin = begin - HOUR
    if lack := _lack(_until(data, origin)):
        raise InputError(lack)
    holidays = read_school_holidays(Path(school_holidays)) if school_holidays else None
    folder = Path(models_dir or MODELS_DIR).expanduser()
    if not model and ModelPaths(folder, MIXTURE, data.spec.name).current.exists():
        model = MIXTURE
    days, damaged = each_in_use(
        models_dir,
        data.spec.name,
        [model] if model else [],
        lambda version: _day_after(version, data, origin, holidays),
    )
    if len(days) > 1:
        names = " and ".join(str(day.version) for day in days)
        raise InputError(
            f"{names} are in use; choose one with --model, or mix them with `hpo retrain --mixture`"
        )
    (day,), notes = days, list[str](damaged)
    age = (now or pd.Timestamp.now("UTC")) - data.index[-1]
    if not at and not data.is_simulated and age > DAY:
        notes.append(
            f"{data.path} ends at {data.index[-1]:%Y-%m-%d %H:%M} UTC, {age / DAY:.0f} days ago."
        )
    return replace(day, notes=[*notes, *day.notes])


def _until(dataset: Dataset, origin: pd.Timestamp) -> Dataset:
    return replace(dataset, frame=dataset.frame.loc[:origin])


def _lack(known: Dataset) -> str:
    """What the last week, or the weather of the day ahead, lacks for a forecast; empty: nothing."""
    gap = known.index[-HISTORY:][known.is_missing[-HISTORY:]]
    if len(gap):
        what = (
            f"{len(gap)} of them are missing, from {gap[0]:%Y-%m-%d %H:%M} to "
            f"{gap[-1]:%Y-%m-%d %H:%M} UTC"
        )
    elif len(known.frame) < HISTORY:
        what = f"only {len(known.frame)} hours are there"
    elif known.weather_is_known(np.array([len(known.frame) - 1])).all():
        return ""
    else:
        return (
            f"{known.spec.path}: the weather of the day after {known.index[-1]:%Y-%m-%d %H:%M} UTC "
            "was not known by then, and the model needs it; add the newest forecast to the archive "
            "that [day_ahead_weather] names (observed weather serves past days alone)"
        )
    return (
        f"{known.path}: a forecast needs the {HISTORY} hours before it, and {what}; add them, "
        "or take a later day"
    )


def _day_after(
    version: Version, dataset: Dataset, origin: pd.Timestamp, holidays: pd.DataFrame | None
) -> DayAhead:
    """The forecast after an origin, which reads only what was known there."""
    known = _until(dataset, origin)
    position = len(known.frame) - 1
    calendar, notes = _calendar(known, dataset, holidays)
    with_calendar = replace(known, frame=pd.concat([known.frame, calendar]))
    days = np.append(version.unseen(known, position, ROLLING_DAYS), position)
    spoken = version.forecasts(with_calendar, days, notes)
    raw = spoken.rows(slice(-1, None))
    warm_up = spoken.rows(slice(-1))
    forecasts = calibrate(raw, warm_up, known.scales).with_actual(dataset.known_target)
    if len(warm_up.origins) < ROLLING_DAYS:
        notes.append(
            f"Only {len(warm_up.origins)} days before it calibrate the interval, not "
            f"{ROLLING_DAYS}."
        )
    if origin < version.trained_until:
        notes.append(
            f"{version} was trained on days up to {version.trained_until:%Y-%m-%d %H:%M} UTC, so "
            "this is a forecast of the model before its refit, which knows the days up to "
            f"{version.chosen_until:%Y-%m-%d %H:%M} UTC."
        )
    off = int((origin - version.trained_until) / HOUR) % HORIZON
    if min(off, HORIZON - off) > version.facts["key"]["recipe"]["near_hours"]:
        notes.append(
            f"{version} learnt from days that begin at {version.trained_until + HOUR:%H:%M} UTC, "
            f"this one at {origin + HOUR:%H:%M}; end the data before such an hour, or give --at."
        )
    return DayAhead(version, dataset, forecasts, notes, with_calendar)


def _calendar(
    known: Dataset, dataset: Dataset, holidays: pd.DataFrame | None
) -> tuple[pd.DataFrame, list[str]]:
    """The future-known columns of the day ahead, and what to say about them.

    Calendar columns are computed as `hpo prepare` does, if that gives those of the last week.
    Others, and school holidays, are read from the data. School holidays that are not known there
    stay as in the last hour.
    """
    week = known.frame.iloc[-HISTORY:]
    hours = pd.date_range(week.index[0], periods=HISTORY + HORIZON, freq="h")
    calendar = dataset.frame[[*known.future]].reindex(hours[HISTORY:])
    computed = calendar_columns(hours, known.spec, holidays).astype(float)
    notes = list[str]()
    off = (computed - week).abs().max()  # NaN for the columns of one of them
    off[_SCHOOL] = np.nan if holidays is None else ROUNDING / 2  # after those of the data
    for name in known.future:
        lacks = calendar[name].isna().any()
        if off[name] == 0 or (off[name] < ROUNDING and lacks):
            calendar[name] = computed[name]
        elif lacks and name == _SCHOOL:
            calendar[name] = last = week[name].iloc[-1]
            notes.append(
                f"{_SCHOOL} of the day ahead is not in the data and stays {last:.0f}; give a list "
                "with --school-holidays."
            )
        elif lacks:
            raise InputError(
                f"{dataset.path}: column {name!r} of the day ahead is not there and cannot be "
                "computed: in the last week it is not what `hpo prepare` makes of the time; make "
                "the CSV with `hpo prepare`, or take the column out of the dataset's TOML and "
                "train again"
            )
    return calendar, notes
