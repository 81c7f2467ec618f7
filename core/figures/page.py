"""A report as one HTML file: it works offline, its figures are interactive, its pictures are inside, and it prints well.

Plotly's script is inlined once; figures are JSON, drawn by a few lines of script in light or dark, and in light for print.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image
from plotly.offline import get_plotlyjs

from core.figures import theme

THUMBNAIL = 112  # pixels of the side
QUALITY = 72
ASSETS = Path(__file__).resolve().parents[2] / "assets"
HERE = Path(__file__).resolve().parent

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
"""Nothing may be loaded. Plotly compiles its shaders' code, hence 'unsafe-eval'."""


@dataclass(frozen=True)
class Face:
    """A picture with words below it: a pair is two of them."""

    image: NDArray[np.uint8]  # (H, W, 3)
    alt: str


@dataclass(frozen=True)
class Gallery:
    """Rows of faces: (faces of one card, its caption)."""

    title: str
    says: str
    cards: tuple[tuple[tuple[Face, ...], str], ...]


@dataclass(frozen=True)
class Table:
    """Words and numbers, as they are to be read."""

    title: str
    rows: pd.DataFrame
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, then figures, galleries and tables in this order."""

    title: str
    text: tuple[str, ...] = ()
    figures: tuple[go.Figure, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Report:
    """What ``to_html`` writes."""

    title: str
    lead: str
    sections: tuple[Section, ...]
    methods: tuple[str, ...]  # paragraphs
    source: str  # of the answers; see ``theme.Source``
    made: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


def to_html(report: Report) -> str:
    """The whole file as text. Everything that came from elsewhere is escaped; nothing is loaded from the network."""
    specs: list[str] = []
    body = "".join(_section(place, section, specs) for place, section in enumerate(report.sections))
    contents = "".join(f'<li><a href="#s{place}">{escape(section.title)}</a></li>' for place, section in enumerate(report.sections))
    methods = "".join(f"<p>{escape(text)}</p>" for text in report.methods)
    simulated = (
        '<p class="simulated">The answers in this report are simulated. Nobody was asked.</p>'
        if "simulated" in report.source
        else ""
    )
    script = (HERE / "report.js").read_text(encoding="utf-8")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(report.title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<style>{_style()}</style></head><body><header><h1>{escape(report.title)}</h1>"
        f'<p class="lead">{escape(report.lead)}</p>{simulated}<nav aria-label="Contents"><ol>{contents}'
        f'<li><a href="#methods">Methods</a></li></ol></nav></header><main>{body}'
        f'<section id="methods"><h2>Methods</h2>{methods}</section></main>'
        f"<footer><p>Made by Liminal on {report.made:%d %B %Y}. All faces are generated and belong to nobody; what models and "
        "people say of them proves nothing about real people.</p></footer>"
        f"<script>{get_plotlyjs()}</script>"
        f'<script type="application/json" id="figures">[{",".join(specs)}]</script>'
        f'<script type="application/json" id="dark">{_in_script(json.dumps(theme.dark_colours()))}</script>'
        f"<script>{script}</script></body></html>"
    )


def thumbnail(image: NDArray[np.uint8], side: int = THUMBNAIL) -> str:
    """uint8 (H, W, 3) -> a small WebP as a data address. Pixels are enlarged smoothly, never sharpened."""
    picture = Image.fromarray(image)
    if picture.width > side:
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _section(place: int, section: Section, specs: list[str]) -> str:
    parts = [f'<section id="s{place}"><h2>{escape(section.title)}</h2>']
    parts += [f"<p>{escape(text)}</p>" for text in section.text if text]
    for figure in section.figures:
        shown = theme.themed(figure)
        height = int(shown.layout.height or 430)
        said = theme.caption(figure)
        label = escape(figure.layout.meta["says"], quote=True)
        parts.append(
            f'<figure class="plot"><div id="f{len(specs)}" role="img" aria-label="{label}" style="height:{height}px"></div>'
            f"<figcaption>{escape(said)}</figcaption></figure>"
        )
        specs.append(_in_script(theme.to_json(shown)))
    parts += [_gallery(each) for each in section.galleries]
    parts += [_table(each) for each in section.tables]
    return "".join([*parts, "</section>"])


def _gallery(gallery: Gallery) -> str:
    cards = []
    for faces, words in gallery.cards:
        images = "".join(f'<img src="{thumbnail(face.image)}" alt="{escape(face.alt, quote=True)}">' for face in faces)
        cards.append(f"<figure><div>{images}</div><figcaption>{escape(words)}</figcaption></figure>")
    if not cards:
        cards = ["<p>There is none.</p>"]
    return f"<h3>{escape(gallery.title)}</h3><p>{escape(gallery.says)}</p><div class='gallery'>{''.join(cards)}</div>"


def _table(table: Table) -> str:
    head = "".join(f"<th scope='col'>{escape(str(name))}</th>" for name in table.rows.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>" for row in table.rows.to_numpy(object)
    )
    note = f"<p class='note'>{escape(table.note)}</p>" if table.note else ""
    return f"<h3>{escape(table.title)}</h3><div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"


def _in_script(text: str) -> str:
    """JSON that cannot end the script it stands in."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _style() -> str:
    sans, serif = (
        base64.b64encode((ASSETS / "fonts" / name).read_bytes()).decode() for name in ("instrument-sans.woff2", "newsreader.woff2")
    )
    fonts = (
        f'@font-face{{font-family:"Instrument Sans";src:url(data:font/woff2;base64,{sans}) format("woff2");font-weight:400 700}}'
        f'@font-face{{font-family:Newsreader;src:url(data:font/woff2;base64,{serif}) format("woff2");font-weight:200 800}}'
    )
    colours = {
        "paper": theme.PAPER,
        "panel": theme.PANEL,
        "line": theme.LINE,
        "ink": theme.INK,
        "soft": theme.SOFT,
        "mark": theme.BRICK,
    }
    light = ";".join(f"--{name}:{colour}" for name, colour in colours.items())
    dark = ";".join(f"--{name}:{theme.DARK[colour]}" for name, colour in colours.items())
    style = (HERE / "report.css").read_text(encoding="utf-8").replace("SANS", theme.FONT).replace("SERIF", theme.HEADINGS)
    return f"{fonts}:root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}" + style
