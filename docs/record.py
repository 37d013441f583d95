"""Draws what a command said as docs/deploy.svg:

ytops up 1.1.0 | python docs/record.py 'ytops up 1.1.0'
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH = 108


def draw(command: str, said: str) -> str:
    """The picture; its fonts are the reader's own, so that it asks nobody for anything."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    console.print(Text(f"$ {command}", style="bold"))
    for line in said.rstrip().splitlines():
        text = Text(line)
        text.highlight_regex(r"✓", "green")
        text.highlight_regex(r"(?<=✓ )[\d.]+ s$", "dim")
        text.highlight_regex(r"ytops (up|rollback|status)\b( [\d.]+)?|make down", "cyan")
        console.print(text)
    svg = console.export_svg(title="ytops", theme=MONOKAI, unique_id="deploy")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    picture = Path(__file__).with_name("deploy.svg")
    picture.write_text(draw(sys.argv[1], sys.stdin.read()), encoding="utf-8")
