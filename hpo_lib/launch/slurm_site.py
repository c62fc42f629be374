"""``slurm/site.env``: everything in which one cluster differs from another."""

import re
from dataclasses import dataclass, fields
from pathlib import Path

from hpo_lib.errors import InputError, choices

_WORD = re.compile(r"[A-Za-z0-9_.:,@%+=/\[\]-]*")
_TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")


@dataclass(frozen=True)
class Site:
    """The site's answers, as the comments of ``slurm/site.env`` explain them. Empty: Slurm is told nothing."""

    partition: str = "a100"
    gres: str = "gpu:a100:1"
    cpus_per_task: str = "8"
    mem: str = "64G"
    time: str = "12:00:00"
    account: str = ""
    qos: str = ""
    constraint: str = ""
    exclude: str = ""
    reservation: str = ""
    modules: str = ""
    conda: str = ""
    conda_env: str = ""
    venv: str = ""
    setup: str = ""
    signal_seconds: int = 600
    max_requeues: int = 20

    @property
    def limit_hours(self) -> float:
        """The time limit of a job, in hours."""
        match = _TIME.fullmatch(self.time)
        assert match is not None, "checked when the file was read"
        days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
        return days * 24 + hours + minutes / 60 + seconds / 3600


def read_site(path: Path) -> Site:
    """The site file: lines ``KEY=value``, values optionally quoted, ``#`` begins a comment line.

    Raises:
        InputError: the file is missing, or a line, key or value in it is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a site file with --site") from None
    names = {field.name.upper(): field for field in fields(Site)}
    given: dict[str, str | int] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, equals, value = text.partition("=")
        where = f"{path}: line {number}: {key}"
        if not equals or key not in names:
            raise InputError(f"{path}: line {number} is {text!r}, expected KEY=value; {choices(key, names)}")
        if key.lower() in given:
            raise InputError(f"{where} is given twice; keep one of the lines")
        given[key.lower()] = _value(where, names[key].type is int, key, value)
    site = Site(**given)  # type: ignore[arg-type]
    if not _TIME.fullmatch(site.time):
        raise InputError(
            f"{path}: TIME is {site.time!r}, expected hours:minutes:seconds, such as 12:00:00 or 2-00:00:00"
        )
    if site.limit_hours * 3600 <= site.signal_seconds:
        raise InputError(
            f"{path}: TIME={site.time} is not longer than SIGNAL_SECONDS={site.signal_seconds}, so that a job would be "
            "asked to stop as it starts; raise TIME or lower SIGNAL_SECONDS"
        )
    return site


def _value(where: str, whole: bool, key: str, raw: str) -> str | int:
    value = raw.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    elif "#" in value:
        raise InputError(f"{where} is {value!r}; a comment needs a line of its own")
    if whole:
        if not value.isdecimal():
            raise InputError(f"{where} is {value!r}, expected a whole number")
        return int(value)
    # SETUP is shell by its purpose, MODULES is a list, and folders may hold blanks: these are quoted in the script.
    if key not in ("SETUP", "MODULES", "CONDA", "VENV") and not _WORD.fullmatch(value):
        raise InputError(f"{where} is {value!r}, expected one word of letters, digits and _ . : , @ % + = / [ ] -")
    return value
