"""Rows of the benchmark's table: what was measured, the ratio, its spread, and whether it reaches
the bar.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measured:
    """Interleaved runs of the reference and of ours; run i of both was measured side by side.

    Attributes:
        reference: [R] values of the reference; empty if the row has no reference.
        ours: [R] values.
        unit: of both.
        higher_is_better: True for rates, False for durations.
        condition: False if a further condition of the bar fails; the note names it.
        note: what a reader must know beside the number.
        details: for the JSON only.
    """

    reference: tuple[float, ...]
    ours: tuple[float, ...]
    unit: str
    higher_is_better: bool = False
    condition: bool = True
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_pairs(cls, pairs: Sequence[tuple[float, float]], unit: str, **more: Any) -> "Measured":
        """From [R] pairs of the reference and of ours."""
        theirs, ours = zip(*pairs, strict=True)
        return cls(theirs, ours, unit, **more)

    @property
    def ratios(self) -> tuple[float, ...]:
        """[R] how many times better ours is, run by run; our values if there is no reference."""
        if not self.reference:
            return self.ours
        pairs = zip(self.reference, self.ours, strict=True)
        return tuple(
            ours / theirs if self.higher_is_better else theirs / ours for theirs, ours in pairs
        )


@dataclass(frozen=True)
class Bar:
    """What a row has to reach: a minimum ratio or, for costs, a maximum."""

    value: float
    at_least: bool = True

    def met(self, ratio: float) -> bool:
        return ratio >= self.value if self.at_least else ratio <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.value:g}"


def row(work: str, measured: Measured | Exception, bar: Bar) -> dict[str, Any]:
    """One row for the table and the JSON; what raised has no number and misses its bar."""
    found = {"work": work, "bar": str(bar), "met": False}
    if isinstance(measured, Exception):
        return {**found, "error": f"{type(measured).__name__}: {measured}"}
    ratios = measured.ratios
    ratio = statistics.median(ratios)
    return {
        **found,
        "reference": statistics.median(measured.reference) if measured.reference else None,
        "ours": statistics.median(measured.ours),
        "unit": measured.unit,
        "ratio": ratio,
        "spread": [min(ratios), max(ratios)],
        "runs": {"reference": list(measured.reference), "ours": list(measured.ours)},
        "met": bar.met(ratio) and measured.condition,
        "note": measured.note,
        "details": measured.details,
    }


HEADER = (
    f"{'work':46} {'reference':>10} {'ours':>10} {'unit':9} {'ratio':>8} {'spread':>17} "
    f"{'bar':>8}  met"
)


def line(found: dict[str, Any]) -> str:
    """A row as text."""
    bar, met = found["bar"], "yes" if found["met"] else "NO"
    if "error" in found:
        return f"{found['work']:46} failed: {found['error']} (bar {bar})"
    theirs = "-" if found["reference"] is None else f"{found['reference']:.4g}"
    low, high = found["spread"]
    text = (
        f"{found['work']:46} {theirs:>10} {found['ours']:10.4g} {found['unit']:9} "
        f"{found['ratio']:8.3g} "
        f"{f'{low:.3g} to {high:.3g}':>17} {bar:>8}  {met}"
    )
    return f"{text}\n    {found['note']}" if found["note"] else text
