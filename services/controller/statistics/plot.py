"""The figures as a picture: for each maker how long a clip takes to make, and how long it is."""

from __future__ import annotations

import io
from collections.abc import Mapping

from services.controller.statistics.summary import Row

_MADE, _ANALYSED, _RANGE, _REAL = "#4c7bd9", "#9db8ee", "#1d2b4f", "#c8413f"


def draw(rows: Mapping[str, Row]) -> bytes:
    """A PNG with a bar for each row: the median of generation and, on top of it, analysis; a line up to the time that
    nine in ten stay within; a mark at the clip's own length, which is real time.

    Parameters
    ----------
    rows : by what stands beside the bar; each with a median.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.7 + 0.55 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows.values()):
        made, analysed = row.generation_median_s or 0.0, row.analysis_median_s or 0.0
        within = row.generation_p90_s or made
        axes.barh(place, made, color=_MADE, height=0.55, label=_once("made, median", place))
        axes.barh(place, analysed, left=made, color=_ANALYSED, height=0.55, label=_once("analysed, median", place))
        axes.hlines(place, made, within, color=_RANGE, lw=2, label=_once("nine in ten made within", place))
        axes.vlines(row.seconds, place - 0.4, place + 0.4, color=_REAL, lw=2, label=_once("the clip's length", place))
        factor = f"{row.real_time_factor:.1f} × real time" if row.real_time_factor else ""
        end = max(made + analysed, within, float(row.seconds))
        axes.annotate(
            f"{factor}, {row.accepted} of {row.count} good", (end, place), (6, 0), "data", "offset points", va="center"
        )
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120, format="png")
    return picture.getvalue()


def _once(label: str, place: int) -> str:
    """The legend names each thing by the first bar."""
    return label if place == 0 else f"_{label}"
