"""Drawings as inline SVG: small pure functions, each from values to markup.

Every drawing is `WIDTH` units wide and scales with the page; its colours are the page's own (see `style`), so that it
reads in light, in dark and in print. Each has a title and a description for those who do not see it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.learning.reasons.report.markup import Child, Markup, element
from penstock.learning.reasons.report.scales import Scale, date_ticks, moment, padded, short

WIDTH = 360.0
LINE = 16.0
_LETTER = 6.9
"""The usual width of a letter; a little more than most are."""


def drawing(title: str, told: str, height: float, *children: Child) -> Markup:
    """A whole drawing, with what it shows in words."""
    return element(
        "svg",
        element("title", title),
        element("desc", told),
        *children,
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_label=f"{title}. {told}",
    )


def text(x: float, y: float, said: str, *, anchor: str = "start", class_: str | None = None) -> Markup:
    """A line of text whose foot stands at ``y``."""
    return element("text", said, x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def box(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    """A filled rectangle."""
    return element("rect", x=x, y=y, width=max(0.0, width), height=max(0.0, height), rx=1.5, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """A line through points."""
    steps = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
    return element("path", d=steps, class_=class_)


def dot(x: float, y: float, class_: str, radius: float = 4.5) -> Markup:
    """A point."""
    return element("circle", cx=x, cy=y, r=radius, class_=class_)


def wrapped(said: str, width: float, most: int = 2) -> list[str]:
    """A label in lines that fit a width, ``most`` of them; what does not fit is cut off with an ellipsis."""
    letters = max(4, int(width / _LETTER))
    told = " ".join(said.split())
    return textwrap.wrap(told, letters, max_lines=most, placeholder="\N{HORIZONTAL ELLIPSIS}") or [""]


def written(x: float, y: float, lines: Sequence[str], **how: str) -> list[Markup]:
    """Lines of text, the first with its foot at ``y``."""
    return [text(x, y + number * LINE, said, **how) for number, said in enumerate(lines)]


# ---------------------------------------------------------------- axes


def across(scale: Scale, top: float, bottom: float, *, most: int = 5, unit: str = "") -> list[Markup]:
    """An axis from left to right: fine lines from top to bottom, and below them the values that have room."""
    values = scale.ticks(most)
    lines = [line(scale(value), top, scale(value), bottom, "grid") for value in values]
    named = _with_room(
        [(scale(value), short(value) + unit) for value in sorted(values, key=lambda v: (v != 0, -abs(v)))]
    )
    return lines + [text(x, bottom + LINE, said, anchor="middle", class_="soft") for x, said in named]


def _with_room(labels: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Of texts around places those that do not run into an earlier one."""
    kept: list[tuple[float, str]] = []
    for x, said in labels:
        if all(abs(x - other) > _LETTER * (len(said) + len(there)) / 2 + 4 for other, there in kept):
            kept.append((x, said))
    return kept


def upwards(scale: Scale, left: float, right: float, *, most: int = 5, unit: str = "") -> list[Markup]:
    """An axis from the foot up: fine lines from left to right, the values before them."""
    return [
        part
        for value in scale.ticks(most)
        for part in (
            line(left, scale(value), right, scale(value), "grid"),
            text(left - 6, scale(value) + 4, short(value) + unit, anchor="end", class_="soft"),
        )
    ]


# ---------------------------------------------------------------- bars, dots, columns


@dataclass(frozen=True)
class Bar:
    """A bar: its label, its length, and its value as text."""

    label: str
    value: float
    said: str
    class_: str = "own"


def bars(title: str, told: str, rows: Sequence[Bar]) -> Markup:
    """Bars from left to right, each under its label; the longest fills the width that its value leaves."""
    most = max([row.value for row in rows], default=0.0) or 1.0
    room = WIDTH - 16 - _LETTER * max((len(row.said) for row in rows), default=0)
    drawn: list[Child] = []
    y = 4.0
    for row in rows:
        lines = wrapped(row.label, WIDTH)
        foot = y + LINE * len(lines)
        length = max(1.5, room * row.value / most)
        drawn += [*written(0, y + 11, lines), box(0, foot, length, 11, row.class_)]
        drawn.append(text(length + 6, foot + 10, row.said, class_="soft"))
        y = foot + 22
    return drawing(title, told, y, drawn)


@dataclass(frozen=True)
class Dot:
    """A point on a line of its own, with what it lies between where that is known."""

    label: str
    value: float
    said: str
    low: float | None = None
    high: float | None = None
    class_: str = "own"


def dots(
    title: str, told: str, rows: Sequence[Dot], *, bend: float | None = None, reach: Sequence[float] = ()
) -> Markup:
    """Points side by side on one scale, one line a row; a bar through a point is its interval.

    The scale holds all that is drawn, and the values of ``reach``.
    """
    left, right, height = 138.0, WIDTH - 56, 26.0
    ends = [v for row in rows for v in (row.value, row.low, row.high) if v is not None] + list(reach)
    scale = Scale(*padded(ends), left, right, bend)
    foot = 6 + height * len(rows)
    drawn: list[Child] = [across(scale, 6, foot, most=4)]
    for number, row in enumerate(rows):
        y = 6 + height * (number + 0.5)
        label = wrapped(row.label, left - 10, 1)
        drawn += [written(0, y + 4, label), text(WIDTH, y + 4, row.said, anchor="end", class_="soft")]
        if row.low is not None and row.high is not None:
            drawn.append(line(scale(row.low), y, scale(row.high), y, f"span {row.class_}"))
        drawn.append(dot(scale(row.value), y, row.class_))
    return drawing(title, told, foot + LINE + 6, drawn)


def columns(title: str, told: str, values: Sequence[float], names: Sequence[str], *, unit: str = "") -> Markup:
    """Columns side by side, each over its name; names that do not fit are left out, the first is always there."""
    left, foot, top = 44.0, 170.0, 10.0
    scale = Scale(0, max([*values, 1e-9]) * 1.05, foot, top)
    wide = (WIDTH - left) / max(1, len(values))
    skip = max(1, -(-int(_LETTER * max(map(len, names), default=1) + 8) // max(1, int(wide))))
    drawn = [
        box(left + wide * (i + 0.15), scale(value), wide * 0.7, foot - scale(value), "own")
        for i, value in enumerate(values)
    ]
    named = [
        text(left + wide * (i + 0.5), foot + LINE, name, anchor="middle", class_="soft")
        for i, name in enumerate(names)
        if i % skip == 0
    ]
    return drawing(title, told, foot + LINE + 8, upwards(scale, left, WIDTH, unit=unit), drawn, named)


# ---------------------------------------------------------------- lines in a square


@dataclass(frozen=True)
class Frame:
    """A square to draw in: its two scales, and what they measure."""

    x: Scale
    y: Scale
    names: tuple[str, str]
    foot: float

    @classmethod
    def of(
        cls,
        x: tuple[float, float],
        y: tuple[float, float],
        names: tuple[str, str],
        bends: tuple[float | None, float | None] = (None, None),
        height: float = 250.0,
    ) -> Frame:
        """A frame from the least and the largest value of either axis."""
        across_, up = Scale(*x, 48, WIDTH - 14, bends[0]), Scale(*y, height, 26, bends[1])
        return cls(across_, up, names, height)

    def axes(self) -> list[Child]:
        """Both axes with their names."""
        return [
            across(self.x, self.y.end, self.foot),
            upwards(self.y, self.x.start, self.x.end),
            text(0, 12, self.names[1], class_="soft"),
            text(self.x.end, self.foot + 2 * LINE + 2, self.names[0], anchor="end", class_="soft"),
        ]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point."""
        return self.x(x), self.y(y)

    def through(self, points: Sequence[tuple[float, float]], class_: str) -> Markup:
        """A line through points."""
        return path([self.at(*point) for point in points], class_)

    def marks(self, points: Sequence[tuple[float, float]], class_: str, radius: float = 4.5) -> list[Markup]:
        """Points."""
        return [dot(*self.at(*point), class_, radius) for point in points]

    @property
    def height(self) -> float:
        """How much the frame takes with all that is written around it."""
        return self.foot + 2 * LINE + 8


def legend(rows: Sequence[tuple[str, str]], y: float, x: float = 48.0) -> list[Markup]:
    """Marks with their names, one after the other from left to right."""
    drawn = []
    for class_, name in rows:
        drawn += [dot(x + 5, y - 4, class_), text(x + 14, y, name, class_="soft")]
        x += 26 + _LETTER * len(name)
    return drawn


# ---------------------------------------------------------------- time


@dataclass(frozen=True)
class Lane:
    """Instants (microseconds) of one kind, and their name."""

    name: str
    instants: Sequence[int]
    class_: str


_MARKS = 80


def lanes(title: str, told: str, rows: Sequence[Lane]) -> Markup:
    """Instants on one scale of time, a line for each kind; of very many, evenly chosen ones."""
    every = [t for row in rows for t in row.instants]
    low, high = min(every), max(every)
    scale = Scale(low, high, 84, WIDTH - 12)
    foot = 6 + 30.0 * len(rows)
    drawn: list[Child] = []
    for at, said in date_ticks(low, high):
        middle = min(max(scale(at), 84 + _LETTER * len(said) / 2 - 20), WIDTH - _LETTER * len(said) / 2)
        drawn += [
            line(scale(at), 6, scale(at), foot, "grid"),
            text(middle, foot + LINE, said, anchor="middle", class_="soft"),
        ]
    for number, row in enumerate(rows):
        y = 6 + 30.0 * (number + 0.5)
        chosen = sorted(row.instants)[:: max(1, -(-len(row.instants) // _MARKS))]
        drawn += [text(0, y + 4, row.name), *(box(scale(t) - 2, y - 9, 4, 18, row.class_) for t in chosen)]
    return drawing(title, told, foot + LINE + 6, drawn)


def day(instant: int) -> str:
    """The date of an instant."""
    return moment(instant).date().isoformat()
