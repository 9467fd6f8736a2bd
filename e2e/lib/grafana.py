"""Draws a dashboard as Grafana lays it out: one picture, of what Prometheus' own engine answers.

It knows of Grafana what the chart's dashboard uses, and fails on anything else.
"""

import math
import time
from collections.abc import Sequence
from itertools import pairwise

from e2e.lib.panels import Json, Line, Scene, evaluated, formatted, reduced
from e2e.lib.svg import Point, Svg

WIDTH, COLUMN, ROW, GAP, HEAD = 1200, 50, 38, 8, 44
GREY, FAINT = "#6e7681", "#e4e7eb"
COLORS = {"green": "#37872d", "orange": "#e0752d", "red": "#e02f44", "blue": "#3274d9"}
PALETTE = ("#56a64b", "#f2cc0c", "#3274d9", "#ff780a", "#e02f44", "#8f3bb8", "#0fb5ae", "#b07d2b")
LETTER = 6.4
"""About how wide a letter is."""
LEGEND_WIDTH = 250


class Box:
    """A part of the picture."""

    def __init__(self, at: Point, size: Point) -> None:
        self.left, self.top = at
        self.width, self.height = size
        self.right, self.bottom = self.left + self.width, self.top + self.height

    def inside(self, *, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> "Box":
        """Return what is left of it within margins."""
        return Box((self.left + left, self.top + top), (self.width - left - right, self.height - top - bottom))


def draw(dashboard: Json, scene: Scene) -> Svg:
    """Draw all panels of a dashboard."""
    panels = dashboard["panels"]
    rows = max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in panels)
    svg = Svg(WIDTH, HEAD + rows * ROW)
    svg.rect((0, 0), (WIDTH, svg.height), "#f4f5f5")
    svg.text((GAP, 28), dashboard["title"], "title", size=18)
    shown = evaluated(panels, scene)
    for panel in panels:
        svg.open_group(f"panel-{panel['id']}")
        _panel(svg, panel, shown[panel["id"]], scene)
        svg.close_group()
    return svg


def _panel(svg: Svg, panel: Json, lines: Sequence[Line], scene: Scene) -> None:
    pos = panel["gridPos"]
    at = (pos["x"] * COLUMN + GAP / 2, HEAD + pos["y"] * ROW)
    box = Box(at, (pos["w"] * COLUMN - GAP, pos["h"] * ROW - GAP))
    svg.rect(at, (box.width, box.height), "#ffffff", FAINT)
    svg.text((box.left + 8, box.top + 20), panel["title"], "title", size=13)
    body = box.inside(left=8, top=30, right=8, bottom=8)
    if lines:
        {"stat": _stat, "table": _table, "timeseries": _graph}[panel["type"]](svg, panel, lines, body, scene)
    else:
        nothing = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        middle = (body.left + body.width / 2, body.top + body.height / 2)
        svg.text(middle, nothing, "nothing", size=14, fill=GREY, anchor="middle")


def _stat(svg: Svg, panel: Json, lines: Sequence[Line], body: Box, scene: Scene) -> None:
    settings, options = panel["fieldConfig"]["defaults"], panel["options"]
    for nth, line in enumerate(lines):
        value = reduced(line, options["reduceOptions"]["calcs"][0])
        color = _threshold_color(settings["thresholds"], value)
        share = body.width / len(lines)
        part = Box((body.left + nth * share, body.top), (share, body.height))
        if options["graphMode"] == "area":
            low = part.inside(top=part.height * 0.55)
            scale = _Scale(low, scene, 0, max(1.0, *(value for _, value in line.points)))
            svg.path(scale.area(_corners(scale, line.points, step=False)), "spark", fill=color, opacity=0.15)
        text = line.name if options["textMode"] == "name" else formatted(value, settings)
        svg.text((part.left + share / 2, part.top + 44), text, "value", size=34, fill=color, anchor="middle")


def _threshold_color(thresholds: Json, value: float) -> str:
    reached = [it["color"] for it in thresholds["steps"] if it["value"] is None or value >= it["value"]]
    return COLORS[reached[-1]]


def _table(svg: Svg, panel: Json, lines: Sequence[Line], body: Box, _scene: Scene) -> None:
    (organize,) = panel["transformations"]
    columns = sorted(organize["options"]["indexByName"], key=organize["options"]["indexByName"].get)
    for across, column in enumerate(columns):
        left = body.left + across * body.width / len(columns)
        svg.text((left, body.top + 16), organize["options"]["renameByName"][column], "header", fill="#3274d9")
        for down, line in enumerate(lines, start=1):
            y = body.top + 16 + down * 26
            svg.line((left, y - 18), (left + body.width / len(columns), y - 18), FAINT)
            svg.text((left, y), line.labels[column], "cell", size=13)


class _Scale:
    """Where times and values are in a box."""

    def __init__(self, box: Box, scene: Scene, low: float, high: float) -> None:
        self.box, self.scene, self.low, self.high = box, scene, low, high

    def point(self, at: float, value: float) -> Point:
        """Return where it is."""
        across = (at - self.scene.start) / (self.scene.end - self.scene.start)
        up = (value - self.low) / (self.high - self.low)
        return (self.box.left + across * self.box.width, self.box.bottom - up * self.box.height)

    def area(self, corners: Sequence[Point], below: Sequence[Point] | None = None) -> list[Point]:
        """Close a line downwards, to the line below it or to the bottom."""
        if below is None:
            below = [(corners[0][0], self.box.bottom), (corners[-1][0], self.box.bottom)]
        return [*corners, *reversed(below)]


def _corners(scale: _Scale, points: Sequence[tuple[float, float]], *, step: bool) -> list[Point]:
    """Return the corners of a line; a point between two with its own value is none."""
    kept = [
        it
        for nth, it in enumerate(points)
        if nth in {0, len(points) - 1} or not points[nth - 1][1] == it[1] == points[nth + 1][1]
    ]
    corners = [scale.point(*kept[0])]
    for (_, before), (at, value) in pairwise(kept):
        if step:
            corners.append(scale.point(at, before))
        corners.append(scale.point(at, value))
    return corners


def _graph(svg: Svg, panel: Json, lines: Sequence[Line], body: Box, scene: Scene) -> None:
    settings, legend = panel["fieldConfig"]["defaults"], panel["options"]["legend"]
    custom = settings["custom"]
    drawn = _stacked(lines) if "stacking" in custom else lines
    ticks = _ticks(settings, max(value for line in drawn for _, value in line.points))
    widest = max(len(formatted(it, settings)) for it in ticks) * LETTER
    room = {"right": {"right": LEGEND_WIDTH}, "bottom": {"bottom": 46}}[legend["placement"]]
    left = widest + 8 + (18 if custom["axisLabel"] else 0)
    plot = body.inside(**{"left": left, "top": 4, "bottom": 22, **room})
    scale = _Scale(plot, scene, settings["min"], settings.get("max", ticks[-1]))
    _axes(svg, settings, scale, ticks)
    below: Sequence[Point] | None = None
    for nth, line in enumerate(drawn):
        color = PALETTE[nth % len(PALETTE)]
        for piece in _pieces(line, scene.scraped_every):
            corners = _corners(scale, piece, step=custom["lineInterpolation"] == "stepAfter")
            is_line = custom["lineWidth"] > 0
            kind, opacity = ("fill" if is_line else "series"), custom["fillOpacity"] / 100
            svg.path(scale.area(corners, below), kind, fill=color, opacity=opacity)
            if len(piece) == 1:
                svg.dot(corners[0], color)  # no line leads there
            elif is_line:
                svg.path(corners, "series", stroke=color)
            below = corners if "stacking" in custom else None
    _legend(svg, panel, lines, body, plot)


def _pieces(line: Line, step: float) -> list[list[tuple[float, float]]]:
    """Cut a line where it has no values."""
    pieces = [[line.points[0]]]
    for before, point in pairwise(line.points):
        if point[0] - before[0] > 1.5 * step:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _stacked(lines: Sequence[Line]) -> list[Line]:
    """Put each line on top of those before it."""
    below: dict[float, float] = {at: 0.0 for line in lines for at, _ in line.points}
    found = []
    for line in lines:
        below |= {at: below[at] + value for at, value in line.points}
        found.append(Line(line.name, line.labels, sorted(below.items())))
    return found


def _ticks(settings: Json, highest: float) -> list[float]:
    """Return round numbers from the least to above the highest value, about five."""
    low, high = settings["min"], settings.get("max", highest * 1.05) or 1
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * it for it in (1, 2, 5, 10) if power * it >= rough)
    if settings.get("decimals") == 0:
        step = max(1, step)
    return [low + step * nth for nth in range(math.ceil((high - low) / step - 1e-9) + 1)]


def _axes(svg: Svg, settings: Json, scale: _Scale, ticks: Sequence[float]) -> None:
    plot, scene = scale.box, scale.scene
    for value in ticks:
        y = scale.point(scene.start, value)[1]
        svg.line((plot.left, y), (plot.right, y), FAINT)
        svg.text((plot.left - 6, y + 4), formatted(value, settings), "axis", size=11, fill=GREY, anchor="end")
    if settings["custom"]["axisLabel"]:
        svg.text((plot.left + 4, plot.top + 8), settings["custom"]["axisLabel"], "label", size=11, fill=GREY)
    span = scene.end - scene.start
    step = next(it for it in (1, 2, 5, 10, 15, 30, 60, 300, 900) if span / it * 70 <= plot.width)
    first = math.ceil(scene.start / step) * step
    for at in range(first, math.floor(scene.end) + 1, step):
        x = scale.point(at, scale.low)[0]
        if x < plot.right - 20:  # or it would be cut
            text = time.strftime("%H:%M:%S", time.gmtime(at))
            svg.text((x, plot.bottom + 16), text, "time", size=11, fill=GREY, anchor="middle")
    for it in settings.get("thresholds", {"steps": []})["steps"]:
        if it["value"] is not None and it["value"] <= scale.high:
            y = scale.point(scene.start, it["value"])[1]
            svg.line((plot.left, y), (plot.right, y), COLORS[it["color"]], "6 4")


def _legend(svg: Svg, panel: Json, lines: Sequence[Line], body: Box, plot: Box) -> None:
    settings, legend = panel["fieldConfig"]["defaults"], panel["options"]["legend"]
    x, y = (plot.right + 16, plot.top + 24) if legend["placement"] == "right" else (plot.left, body.bottom - 4)
    calc = legend["calcs"][0] if legend["calcs"] else None
    if calc:
        head = {"lastNotNull": "Last *", "max": "Max"}[calc]
        svg.text((body.right, plot.top + 6), head, "header", size=11, fill="#3274d9", anchor="end")
    for nth, line in enumerate(lines):
        svg.rect((x, y - 6), (14, 4), PALETTE[nth % len(PALETTE)])
        svg.text((x + 20, y), line.name, "legend")
        if calc:
            svg.text((body.right, y), formatted(reduced(line, calc), settings), "calc", anchor="end")
            y += 20
        else:
            x += 36 + len(line.name) * LETTER
