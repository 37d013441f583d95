"""The chart: for each contender a bar for its deploy and one for its rollback, in seconds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT = 860, 220, 150
TOP, ROW, BAR = 56, 52, 16
DEPLOY, ROLLBACK, REST = "#1f6feb", "#e3742f", "0.3"  # REST: opacity of what follows all-new


@dataclass(frozen=True)
class Bar:
    """Seconds until all traffic had moved, and until the command ended, both ways."""

    title: str
    deploy: tuple[float, float]
    rollback: tuple[float, float]
    failed: int


def render(bars: Sequence[Bar]) -> str:
    """The whole SVG. It brings its own background, so that it reads on any page."""
    longest = max((max(*bar.deploy, *bar.rollback) for bar in bars), default=1.0)
    scale = (WIDTH - LEFT - RIGHT) / longest
    height = TOP + ROW * len(bars) + 30
    body = [line for row, bar in enumerate(bars) for line in _row(bar, TOP + row * ROW, scale)]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            'font-family="sans-serif" font-size="13">',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            _text(LEFT, 22, "Seconds until all traffic had moved; paler: until the command ended"),
            f'<rect x="{LEFT}" y="32" width="12" height="12" fill="{DEPLOY}"/>',
            _text(LEFT + 18, 43, "deploy"),
            f'<rect x="{LEFT + 80}" y="32" width="12" height="12" fill="{ROLLBACK}"/>',
            _text(LEFT + 98, 43, "rollback"),
            *_grid(longest, scale, height),
            *body,
            "</svg>\n",
        )
    )


def _row(bar: Bar, y: float, scale: float) -> list[str]:
    lines = [_text(LEFT - 10, y + 22, bar.title, "end")]
    if bar.failed:
        failed = f"{bar.failed} requests failed"
        lines.append(_text(LEFT - 10, y + 38, failed, "end", "#b42318"))
    for place, ((switched, ended), colour) in enumerate(
        ((bar.deploy, DEPLOY), (bar.rollback, ROLLBACK))
    ):
        top = y + 4 + place * (BAR + 4)
        longest = max(switched, ended)
        lines += [
            f'<rect x="{LEFT}" y="{top:.1f}" width="{longest * scale:.1f}" height="{BAR}" '
            f'fill="{colour}" opacity="{REST}"/>',
            f'<rect x="{LEFT}" y="{top:.1f}" width="{switched * scale:.1f}" height="{BAR}" '
            f'fill="{colour}"/>',
            _text(LEFT + longest * scale + 6, top + 13, f"{switched:.1f} s ({ended:.1f} s)"),
        ]
    return lines


def _grid(longest: float, scale: float, height: int) -> list[str]:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000) if longest / step <= 8)
    lines = []
    for number in range(int(longest // step) + 1):
        x = LEFT + number * step * scale
        lines += [
            f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - 26}" stroke="#d0d7de"/>',
            _text(x, height - 10, f"{number * step}", "middle", "#57606a"),
        ]
    return lines


def _text(x: float, y: float, words: str, anchor: str = "start", fill: str = "#1f2328") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'
    )
