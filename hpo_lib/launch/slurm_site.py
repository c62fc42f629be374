"""``slurm/site.env``: all settings that differ between clusters."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hpo_lib.errors import InputError, choices
from hpo_lib.launch.slurm_queue import duration

# A description says in an error sentence what was expected.
_Word = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.:,@%+=/\[\]-]*$", description="one word of letters, digits and _.:,@%+=/[]-")
]
_Size = Annotated[str, Field(pattern=r"(?i)^([0-9]+[KMGTP]?B?)?$", description="a number and a unit, such as 64G")]
_Count = Annotated[str, Field(pattern=r"^([1-9][0-9]*)?$", description="a whole number")]
_Time = Annotated[
    str,
    Field(
        pattern=r"^([0-9]+-([01]?[0-9]|2[0-3])|[0-9]+):[0-5][0-9]:[0-5][0-9]$",
        description="hours:minutes:seconds, such as 12:00:00, or 2-00:00:00 for two days",
    ),
]
_Whole = Annotated[int, Field(ge=0, description="a whole number")]


class Site(BaseModel):
    """The site's settings, as the comments of ``slurm/site.env`` explain them. Empty: Slurm uses its own default.

    SETUP is shell code, MODULES is a list, and folders may hold blanks: the job's script quotes these.
    """

    model_config = ConfigDict(frozen=True)

    partition: _Word = "a100"
    gres: _Word = "gpu:a100:1"
    cpus_per_task: _Count = "8"
    mem: _Size = "64G"
    time: _Time = "12:00:00"
    account: _Word = ""
    qos: _Word = ""
    constraint: _Word = ""
    exclude: _Word = ""
    reservation: _Word = ""
    modules: str = ""
    conda: str = ""
    conda_env: _Word = ""
    venv: str = ""
    setup: str = ""
    signal_seconds: _Whole = 600
    max_requeues: _Whole = 20


def read_site(path: Path) -> Site:
    """The site file: lines ``KEY=value``, values optionally quoted, ``#`` begins a comment line.

    Raises:
        InputError: the file is missing, or a line, key or value in it is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"byte {error.start} is not UTF-8"
        raise InputError(f"{path}: cannot be read ({why}); name a site file with --site") from None
    names = [name.upper() for name in Site.model_fields]
    given: dict[str, str] = {}
    where: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or key not in names:
            raise InputError(f"{path}: line {number} is {line!r}, expected KEY=value; {choices(key, names)}")
        if key.lower() in given:
            raise InputError(f"{path}: line {number}: {key} is given twice; keep one of the lines")
        where[key.lower()] = f"{path}: line {number}: {key}"
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        elif "#" in value:
            raise InputError(f"{where[key.lower()]} is {value!r}; a comment needs a line of its own")
        given[key.lower()] = value
    try:
        site = Site.model_validate(given)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise InputError(f"{where[name]} is {given[name]!r}, expected {Site.model_fields[name].description}") from None
    if (duration(site.time) or 0) <= site.signal_seconds:
        raise InputError(
            f"{path}: TIME={site.time} is not longer than SIGNAL_SECONDS={site.signal_seconds}, so that a job would be "
            "asked to stop as it starts; raise TIME or lower SIGNAL_SECONDS"
        )
    return site
