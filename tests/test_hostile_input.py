"""Every reader with input that was tampered with: its values as they stand, or one sentence that
names the file.

The fast tests try a few inputs of each reader, `make test-hardening` 1,500.
"""

import csv
import io
import json
import math
import re
import tomllib
from collections import namedtuple
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo_lib.data.dataset import load_dataset
from hpo_lib.data.day_ahead_weather import read_archive
from hpo_lib.data.raw_files import read_raw_series, read_school_holidays, read_weather
from hpo_lib.data.spec import load_spec
from hpo_lib.errors import HpoError
from hpo_lib.launch.slurm import read_site
from hpo_lib.paths import SITE_FILE, RunPaths
from hpo_lib.records.read_write import load_predictions
from hpo_lib.records.result import load_result
from hpo_lib.settings import PARAMETERS, Settings
from tests.conftest import SIMULATED_RUNS
from tests.data.conftest import TOML, small_frame

FEW, MANY = 12, 1500
HOURS = pd.date_range("2018-04-01 00:00Z", periods=48, freq="h")
RECORD = RunPaths(SIMULATED_RUNS, "NHITS_Q", "heat", "published")

# What a spreadsheet, another program, a broken disk or somebody's joke leaves in a file.
PLAIN = """nan inf -inf 1e300 -9999 1e400 -1 0 1e-320 1_0 0x1 1,5 \u0661 999999999999999999999
true null NaN Infinity None now today 0000-01-01 2018-04-01T05 12:00 2018-02-30 " ' , ; \ufeff
\u00e9 =1+1 # $\\frac{$ ../../x } ] [[splits]] {} [] - $(reboot) %s"""
PIECES = [
    *PLAIN.split(),
    400 * "5",
    500 * "[",
    500 * "{",
    "9999-12-31 23:00:00+00:00",
    "2018-04-01 00:00:00+02:00",
    "2018-04-01 05:30:00+00:00",
    "[a]\n",
    "a.b = 1\n",
    "\x1b[31m",
    *("", " ", "\t", "\x00", "\r", "\n", "\n\n", "\u2028"),
]
BYTES = [*(piece.encode() for piece in PIECES), b"\xff", b"\xfe\xff", bytes(64), b"PK\x03\x04"]

Edit = tuple[str, float, float, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["word", "word", "word", "put", "cut", "copy", "end", "line", "twice"]),
        st.floats(0, 1) | st.floats(0, 1).map(lambda where: where**4),  # the beginning matters most
        st.floats(0, 1),
        st.sampled_from(BYTES),
    ),
    min_size=1,
    max_size=3,
)


def edited(content, edits):
    """The content of a file after some accidents."""
    for kind, where, more, piece in edits:
        at = int(where * len(content))
        length = int(more * 30)
        if kind == "word":  # a whole cell, value or key
            before = re.split(rb"[,\n=: ]", content[:at])[-1]
            after = re.split(rb"[,\n=: ]", content[at:], maxsplit=1)[0]
            content = content[: at - len(before)] + piece + content[at + len(after) :]
        elif kind == "put":
            content = content[:at] + piece + content[at:]
        elif kind == "cut":
            content = content[:at] + content[at + length :]
        elif kind == "copy":
            to = int(more * len(content))
            content = content[:to] + content[at : at + 40] + content[to:]
        elif kind == "end":
            content = content[:at]
        else:  # a line is lost, or there twice
            lines = content.split(b"\n")
            row = int(where * (len(lines) - 1))
            lines[row : row + 1] = [] if kind == "line" else [lines[row], lines[row]]
            content = b"\n".join(lines)
    return content


def rows_of(file):
    """The rows of a CSV, by another reader than ours."""
    text = file.read_text(encoding="utf-8").lstrip("\ufeff").strip()
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey="more")
    return [{name.strip(): value for name, value in row.items()} for row in rows]


def same_cells(file, frame, time, names):
    """Every number that the file holds is in the frame, at its own time."""
    rows = rows_of(file)
    stamps = pd.to_datetime(
        [row[time].strip().removesuffix(" +0000 UTC") for row in rows], utc=True, format="ISO8601"
    )
    first = ~stamps.duplicated() & (stamps >= frame.index[0]) & (stamps <= frame.index[-1])
    for name, column in names.items():
        truth = {"": "nan", "True": "1", "False": "0"}
        held = np.array([float(truth.get(cell := row[name].strip(), cell)) for row in rows])
        known = first & ~np.isnan(held)
        np.testing.assert_array_equal(frame[column].loc[stamps[known]].to_numpy(), held[known])


def same_toml(file, spec):
    held = tomllib.loads(file.read_text(encoding="utf-8"))
    for key, value in held.items():
        if isinstance(value, str) and key != "start":
            assert getattr(spec, key) == value
        elif isinstance(value, list):
            assert list(getattr(spec, key)) == value
    assert (spec.gaps.fill, spec.gaps.max_hours) == tuple(
        held.get("gaps", {"": "none", " ": 0}).values()
    )
    assert pd.Timestamp(held["splits"]["train_end"]).tz_localize(
        None
    ) == spec.splits.train_end.tz_localize(None)


def same_json(file, result):
    held = json.loads(file.read_bytes())
    if result["schema_version"] < 2:  # without its version a record has the keys of an old one
        held = {key: held[key] for key in ("model", "dataset", "best_params")}
    assert {key: result[key] for key in held} == held


def same_predictions(file, found):
    held = pd.read_parquet(file).sort_values(["origin", "step"])
    np.testing.assert_array_equal(found.median.ravel(), held["q50"].to_numpy(dtype=float))
    np.testing.assert_array_equal(found.actual.ravel(), held["actual"].to_numpy(dtype=float))


def same_site(file, site):
    for line in map(str.strip, file.read_text(encoding="utf-8").splitlines()):
        if line and not line.startswith("#"):
            key, _, value = (part.strip() for part in line.partition("="))
            assert str(getattr(site, key.lower())) in (
                value,
                value[1:-1],
                str(int(value) if value.isdecimal() else ""),
            )


def same_holidays(file, table):
    held = [date(*map(int, row["start_date"].strip().split("-"))) for row in rows_of(file)]
    assert held == table["start_date"].dt.date.tolist()


def same_archive(file, table):
    """Every forecast whose temperature is known is there once, with its times."""

    def time(cell):
        return pd.to_datetime(cell.strip(), utc=True, format="ISO8601")

    held = []
    for row in rows_of(file):
        issued = time(row["issued"])
        valid = time(row["valid"])
        if not math.isnan(temperature := float(row["temp"].strip() or "nan")):
            held.append((issued, valid, temperature))
    assert sorted(held) == sorted(
        table[["issued", "valid", "temp"]].itertuples(index=False, name=None)
    )


Reader = namedtuple("Reader", "name valid read check")
"""A kind of file: a valid one, how it is read, and how to see that it was read as it stands."""


def _small(file):
    (file.parent / "small.toml").write_text(TOML, encoding="utf-8")
    return load_spec(file.parent / "small.toml")


def _raw(file, found):
    if (
        file.read_bytes().removeprefix(b"\xef\xbb\xbf").startswith(b",0\n")
    ):  # others are read as files of a user
        same_cells(file, found[0].to_frame("0"), "", {"0": "0"})


def _weather(file, found):
    same_cells(file, found[0], "dt_iso", {"temp": "temp", "humidity": "humidity"})


def _text(frame, **options):
    return frame.to_csv(**options).encode()


RAW = small_frame()[["water_consumption"]].set_axis(["0"], axis="columns")
HOLIDAYS = (
    b"start_date,end_date,description\n2019-02-09,2019-02-17,Winter\n2019-06-29,2019-08-11,Summer\n"
)
WEATHER = pd.DataFrame(
    {
        "dt_iso": HOURS.strftime("%Y-%m-%d %H:%M:%S +0000 UTC"),
        "temp": np.arange(48) / 4,
        "humidity": 80,
        "rain_1h": "",
    }
)
ISSUED = HOURS[:24:6].repeat(12)
LEADS = np.tile(np.arange(1, 13), 4)
ARCHIVE = pd.DataFrame(
    {"issued": ISSUED, "valid": ISSUED + pd.to_timedelta(LEADS, unit="h"), "temp": LEADS / 4}
)
READERS = [
    Reader("small.toml", TOML.encode(), load_spec, same_toml),
    Reader(
        "small.csv",
        _text(small_frame()),
        lambda file: load_dataset(_small(file)),
        lambda file, data: same_cells(
            file, data.frame, "timestamp", {name: name for name in data.frame}
        ),
    ),
    Reader(
        "raw.csv",
        _text(RAW, index_label=""),
        lambda file: read_raw_series(file, _small(file)),
        _raw,
    ),
    Reader(
        "weather.csv",
        _text(WEATHER, index=False),
        lambda file: read_weather(file, HOURS, ("temp", "humidity", "rain_1h")),
        _weather,
    ),
    Reader(
        "archive.csv",
        _text(ARCHIVE, index=False),
        lambda file: read_archive(file, ("temp",)),
        same_archive,
    ),
    Reader("holidays.csv", HOLIDAYS, read_school_holidays, same_holidays),
    Reader(RECORD.best_params.name, RECORD.best_params.read_bytes(), load_result, same_json),
    Reader(
        "trial_0000.parquet",
        RECORD.trial_predictions(0).read_bytes(),
        load_predictions,
        same_predictions,
    ),
    Reader("site.env", SITE_FILE.read_bytes(), read_site, same_site),
]


def outcome(read):
    """What was read, or the sentence of the refusal; any other error is a failure of the test."""
    try:
        return read(), None
    except HpoError as error:
        return None, str(error)


def check_reader(reader, folder, edits):
    file = folder / reader.name
    file.write_bytes(edited(reader.valid, edits))
    found, refusal = outcome(lambda: reader.read(file))
    if refusal is None:
        reader.check(file, found)
    else:
        assert file.name in refusal, "the sentence does not name the file"
        assert "\n" not in refusal
        assert len(refusal) < 2000


OFTEN = pytest.param(MANY, marks=pytest.mark.hardening)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_when_a_file_is_as_it_should_be_then_it_is_read_as_it_stands(reader, tmp_path):
    file = tmp_path / reader.name
    file.write_bytes(reader.valid)
    reader.check(file, reader.read(file))


@pytest.mark.parametrize("times", [FEW, OFTEN])
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_when_a_file_was_tampered_with_then_it_is_read_as_it_stands_or_refused_by_name(
    reader, times, tmp_path
):
    slow = [HealthCheck.too_slow]

    @settings(max_examples=times, deadline=None, suppress_health_check=slow)
    @given(edits=EDITS)
    def tamper(edits):
        check_reader(reader, tmp_path, edits)

    tamper()


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(PIECES)
    | st.sampled_from(
        ["heat", "NHITS_Q", "test", "laptop", "journal", "mae,winkler", "postgresql://u@h/d", 2**64]
    )
    | st.lists(st.integers(), max_size=2)
    | st.binary()
)
PARAMETERS_GIVEN = st.dictionaries(
    st.sampled_from([p.name for p in PARAMETERS]) | st.text(max_size=8), VALUES, max_size=4
)


def check_settings(given_parameters):
    asked = {"model": "NHITS_Q", "dataset": "heat", **given_parameters}
    found, refusal = outcome(lambda: Settings.create(**asked))
    if refusal is not None:
        assert any(name in refusal or repr(name) in refusal for name in asked)
        assert "\n" not in refusal
        return
    for name in ("model", "dataset", "seed", "warm_start", "space", "worker"):
        if name in asked and not isinstance(asked[name], str):
            assert getattr(found, name) == asked[name]
    assert 0 <= found.seed < 2**32
    assert math.isfinite(found.time_budget_hours)
    assert Settings.create(**found.parameters()) == found


@pytest.mark.parametrize("times", [FEW, OFTEN])
def test_when_parameters_are_anything_then_they_are_kept_or_one_is_named(times):
    settings(max_examples=times, deadline=None)(given(PARAMETERS_GIVEN)(check_settings))()
