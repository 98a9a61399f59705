"""The document as one HTML page that needs nothing but itself.

The template, the style sheet and the scripts of this folder are joined into one file. What comes
from a model (names of layers, lines of code) is text everywhere: the template escapes it, the
scripts never parse it as HTML, and the page's own policy lets the browser run nothing but the two
scripts whose hashes it names, and fetch nothing at all.
"""

import base64
import hashlib
import json
import re
from importlib.resources import files
from typing import Any

from zeropoint.errors import FileError
from zeropoint.report.page.html.view import view

SCRIPTS = (
    "format",
    "element",
    "plot",
    "histogram",
    "scatter",
    "channels",
    "sweep",
    "split",
    "detail",
    "table",
    "map",
    "tips",
    "main",
)
"""The modules of js/, each after those that it imports from."""

IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export ", re.MULTILINE)


def render(document: dict[str, Any]) -> str:
    """The page; FileError if jinja2 is not installed."""
    jinja2 = import_jinja2()
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    early, script = _read("js/theme.js"), bundle()
    safe = jinja2.utils.markupsafe.Markup
    page: str = environment.get_template("page.html").render(
        **view(document),
        css=safe(_read("style.css")),
        early_script=safe(early),
        script=safe(script),
        data=safe(embedded({"layers": document["layers"]})),
        policy=policy(early, script),
    )
    return page


def import_jinja2() -> Any:  # the module: imported only where it is used
    """jinja2, or a FileError that says how to get it."""
    try:
        import jinja2
    except ImportError as error:
        raise FileError(
            "the report is written with jinja2, which is not installed: "
            "pip install 'zeropoint[report]'"
        ) from error
    return jinja2


def bundle() -> str:
    """All modules as one script: they share its scope, so imports and exports go."""
    texts = [_read(f"js/{name}.js") for name in SCRIPTS]
    return "".join(EXPORT.sub("", IMPORT.sub("", text)) for text in texts)


def embedded(data: object) -> str:
    """JSON that can stand in a script element: no text in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def policy(*scripts: str) -> str:
    """A Content-Security-Policy under which these scripts run and no other."""
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _read(name: str) -> str:
    return files("zeropoint.report.page.html").joinpath(name).read_text(encoding="utf-8")
