"""Whether a job id belongs to this study: the settings that results depend on, compared by stable names and values."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from hpo_lib.errors import InputError
from hpo_lib.families.contract import Budget, Recipe
from hpo_lib.study.early_stopping import StoppingRule

_SENTENCES = {
    "of the lowest interval score and |PICP - 80| 0.3 go on at 0.125 of the steps, 0.2 go on at 0.25 of the steps, "
    "0.1 go on at 0.5 of the steps; from 4 complete trials on": {
        "rungs": [{"share": 0.125, "keep": 0.3}, {"share": 0.25, "keep": 0.2}, {"share": 0.5, "keep": 0.1}],
        "ranked_by": ["winkler", "picp_penalty"],
        "warm_up": 4,
    }
}
"""Early studies stored their rule of early stopping as a sentence."""


def rule_of(identity: Mapping[str, Any]) -> StoppingRule | None:
    """The rule of early stopping that a study was begun with; None if it stops no trial."""
    rule = _rule(identity)
    return StoppingRule.from_values(rule) if isinstance(rule, dict) else None


def check_identity(begun_with: Mapping[str, Any], now: Mapping[str, Any], job_id: str) -> None:
    """Raise InputError unless the settings that results depend on are those that the study was begun with.

    A field of budget or recipe that a study does not hold counts as that field's default, which is therefore the value
    that studies had before there was the field. Of early stopping only whether there is any is compared: a study goes
    on with its own rule, see `rule_of`. Studies without a ``space`` searched that
    of the plan.
    """
    before, now = _values(begun_with), _values(now)
    for key in {**now, **before}:
        if before.get(key) != now.get(key):
            raise InputError(
                f"job_id {job_id!r} belongs to a study with {key} {before.get(key)!r}, now it is {now.get(key)!r}; "
                f"results of different settings are not mixed: choose another job_id, or go back to that {key}"
            )


def _values(identity: Mapping[str, Any]) -> dict[str, Any]:
    rule = _rule(identity)
    values = {"space": "plan", **identity, "early_stopping": "on" if isinstance(rule, dict) else rule}
    for part, kind in (("budget", Budget), ("recipe", Recipe)):
        defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
        given = {**defaults, **values.pop(part)}
        values |= {f"{part}.{name}": value for name, value in given.items()}
    return values


def _rule(identity: Mapping[str, Any]) -> Any:
    """The values of the rule, ``off``, or a sentence that says another rule."""
    rule = identity.get("early_stopping", "off")
    return _SENTENCES.get(rule, rule) if isinstance(rule, str) else rule
