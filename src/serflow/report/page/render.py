"""From what a page shows to its HTML: templates that escape all data, one file without anything from the network."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from serflow.files import check_digest

_HEADING = re.compile(r"h[1-6]")
_LOWER, _LOWEST = 2, 6
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("serflow.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["markdown"] = markdown
    found.filters["data"] = data
    return found


def asset(name: str) -> str:
    """Return the style sheet or the script of all pages."""
    return resources.files("serflow.report.page").joinpath("assets", name).read_text(encoding="utf-8")


def render(template: str, content: Mapping[str, Any]) -> str:
    """Return a page; the browser is told to run no script but ours, and to ask no network for anything."""
    script = asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shared = {"style": Markup(asset("page.css")), "script": Markup(script), "script_digest": digest}
    return _environment().get_template(template).render({**shared, **content})


def data(content: Any) -> Markup:
    """Return JSON to stand in a script element: nothing in it can end the element or begin another."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(re.sub("[<>&\u2028\u2029]", lambda found: _UNSAFE[found[0]], text))


def markdown(text: str) -> Markup:
    """Return Markdown as HTML, its headings two levels lower; HTML in it is shown as it is written."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type.startswith("heading_") and _HEADING.fullmatch(token.tag):
            token.tag = f"h{min(int(token.tag[1]) + _LOWER, _LOWEST)}"
        elif token.type == "th_open":
            token.attrSet("scope", "col")
    html = str(parser.renderer.render(tokens, parser.options, {}))
    # tables wider than a page scroll by themselves
    return Markup(
        html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")
    )


def picture(path: Path) -> str:
    """Return an SVG as an address that holds it.

    Raises
    ------
    StoreError
        If it is absent, or not what was written.
    """
    check_digest(path)
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
