"""The little of SVG that a dashboard needs."""

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

Point = tuple[float, float]


class Svg:
    """A picture that is being drawn; y grows downwards."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self._parts: list[str] = []

    def _add(self, tag: str, text: str | None = None, **attributes: object) -> None:
        pairs = [(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None]
        named = "".join(
            f" {key}={quoteattr(f'{value:.1f}'.removesuffix('.0') if isinstance(value, float) else str(value))}"
            for key, value in pairs
        )
        self._parts.append(f"<{tag}{named}/>" if text is None else f"<{tag}{named}>{escape(text)}</{tag}>")

    def open_group(self, name: str) -> None:
        """Begin a group with that id."""
        self._parts.append(f"<g id={quoteattr(name)}>")

    def close_group(self) -> None:
        """End it."""
        self._parts.append("</g>")

    def rect(self, at: Point, size: Point, fill: str, stroke: str | None = None) -> None:
        """Draw a rectangle."""
        self._add("rect", x=at[0], y=at[1], width=size[0], height=size[1], fill=fill, stroke=stroke)

    def text(
        self, at: Point, text: str, kind: str, *, size: int = 12, fill: str = "#24292e", anchor: str | None = None
    ) -> None:
        """Write a text; `kind` says what it is for."""
        weight = 500 if kind in {"title", "value"} else None
        self._add(
            "text",
            text,
            class_=kind,
            x=at[0],
            y=at[1],
            font_size=size,
            fill=fill,
            text_anchor=anchor,
            font_weight=weight,
        )

    def line(self, start: Point, end: Point, stroke: str, dashes: str | None = None) -> None:
        """Draw a straight line."""
        self._add("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], stroke=stroke, stroke_dasharray=dashes)

    def dot(self, at: Point, fill: str) -> None:
        """Draw a point."""
        self._add("circle", cx=at[0], cy=at[1], r=3, fill=fill)

    def path(
        self, points: Sequence[Point], kind: str, *, stroke: str | None = None, fill: str = "none", opacity: float = 1
    ) -> None:
        """Draw through points, in one stroke."""
        steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        shade = None if opacity == 1 else f"{opacity:.2f}"
        width = 2 if stroke else None
        self._add(
            "polyline", class_=kind, points=steps, stroke=stroke, fill=fill, fill_opacity=shade, stroke_width=width
        )

    def __str__(self) -> str:
        size = f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif">'
        return "\n".join([head, *self._parts, "</svg>\n"])
