"""What the pages have in common: their frame and their style, for light, dark and print."""

from __future__ import annotations

import os
from collections.abc import Iterable
from html import escape

from tlclassic.storage import atomic_write

__all__ = ["tile_row", "write_html"]

_STYLE = """
:root { color-scheme: light dark; --page: #fbfbfa; --card: #fff; --ink: #1c1f24; --soft: #5b626d; --rule: #d9dce1;
  --plain: #f1f2f4; --right: #1c5fa8; --wrong: #d2570a; --count: #8b929c; --on: #fff; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --card: #1c1f24; --ink: #e9ebee; --soft: #a2a9b4;
  --rule: #363b43; --plain: #252930; --right: #6fb0f5; --wrong: #f59a55; --count: #7d8590; --on: #10131a; } }
@media print { :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --soft: #444; --rule: #bbb;
  --plain: #f1f2f4; --right: #1c5fa8; --wrong: #d2570a; --count: #8b929c; --on: #fff; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  section, tr { break-inside: avoid; } section.long { break-inside: auto; } .scroll { overflow: visible !important; }
  th, td { padding: 3px 8px !important; white-space: normal !important; }
  svg { min-width: 0 !important; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 16px 48px; max-width: 1040px; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 17px; margin: 0 0 4px; }
p { margin: 0 0 12px; color: var(--soft); max-width: 74ch; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 16px; margin-top: 16px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(146px, 1fr)); gap: 12px; margin-top: 16px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 10px 14px; }
.tile b { display: block; font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; display: block; }
.scroll { overflow-x: auto; } svg { max-width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font-family: system-ui, sans-serif; } svg text.axis { fill: var(--soft); }
svg text.on { fill: var(--on); } .plain { fill: var(--plain); } .right { fill: var(--right); }
.wrong { fill: var(--wrong); } .count { fill: var(--count); } .grid { stroke: var(--card); stroke-width: 1; }
.tick { stroke: var(--soft); } .ideal { stroke: var(--ink); stroke-opacity: 0.6; stroke-dasharray: 5 4; }
.point { fill: var(--ink); stroke: var(--card); stroke-width: 1.5; } svg.bar { display: inline-block;
  vertical-align: middle; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: right; padding: 3px 12px; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } th:first-child, td:first-child { text-align: left; white-space: normal;
  overflow-wrap: anywhere; min-width: 10em; }
@media (max-width: 480px) { th, td { padding: 3px 6px; } th:first-child, td:first-child { min-width: 7em; } }
@media (max-width: 860px) { .scores th:nth-child(5), .scores td:nth-child(5) { display: none; } }
"""


def write_html(path: str | os.PathLike[str], title: str, body: Iterable[str], *, style: str = "") -> None:
    """Write one self-contained page, whole or not at all.

    Parameters
    ----------
    path : path-like
    title : str
    body : iterable of str
        HTML; empty parts are left out.
    style : str
        CSS of this page alone.
    """
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )
    with atomic_write(path) as file:
        # The title may hold half of a surrogate pair, which UTF-8 cannot.
        file.write(page.encode("utf-8", "replace"))


def tile_row(tiles: Iterable[tuple[str, str, str]]) -> str:
    """Numbers in boxes: (number, what it is, a remark)."""
    drawn = "".join(
        f'<div class="tile"><b>{escape(number)}</b>{escape(name)}<span>{escape(remark)}</span></div>'
        for number, name, remark in tiles
    )
    return f'<div class="tiles">{drawn}</div>'
