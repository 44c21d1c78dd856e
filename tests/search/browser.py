"""A headless browser for tests of pages: what a page looks like to it, at a width and in a colour scheme."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium here; `make test` installs it where it can")

# A window is at least 500 wide, so the page is shown in a frame of the width asked for.
WRAPPER = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe><pre id="answer"></pre><script>
window.addEventListener("load", () => {{
  const page = document.getElementById("frame").contentDocument, root = page.documentElement;
  const visible = [...page.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().height > 30);
  const letters = visible.flatMap(s => [...s.querySelectorAll("text")].map(t => t.getBoundingClientRect()));
  const frames = visible.map(s => s.getBoundingClientRect());
  const outside = visible.flatMap(s => {{
    const f = s.getBoundingClientRect();
    return [...s.querySelectorAll("text")].filter(t => {{
      const b = t.getBoundingClientRect();
      return b.left < f.left - 1 || b.right > f.right + 1 || b.top < f.top - 1 || b.bottom > f.bottom + 1;
    }}).map(t => t.textContent);
  }});
  document.getElementById("answer").textContent = JSON.stringify({{
    title: page.title, width: root.clientWidth, needed: root.scrollWidth, charts: visible.length, outside: outside,
    sections: [...page.querySelectorAll("section[id]")].filter(s => s.querySelector("svg")).map(s => s.id),
    marks: page.querySelectorAll("svg .mark, svg rect, svg .line").length,
    least: Math.min(...letters.map(r => r.height)), scripts: page.querySelectorAll("script").length, text: page.body.innerText,
    background: page.defaultView.getComputedStyle(page.body).backgroundColor,
    links: [...page.querySelectorAll("[src], link[href], image")].map(e => e.getAttribute("src") || e.getAttribute("href")),
  }});
}});
</script></body>"""


def look(page: str, folder: Path, width: int = 1280, dark: bool = False) -> dict:
    """What a browser makes of an HTML text: figures of the page, and `console`, the lines that it logged."""
    file = folder / "wrapper.html"
    file.write_text(WRAPPER.format(width=width, page=html.escape(page)), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage"]
    flags += ["--hide-scrollbars", "--window-size=1400,1000", f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--v=0"]
    flags += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom", file.as_uri()]
    done = subprocess.run([str(BROWSER), *flags], capture_output=True, encoding="utf-8", timeout=120, check=True)
    answer = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert answer, done.stderr[-2000:]
    return json.loads(html.unescape(answer[1])) | {"console": [line for line in done.stderr.splitlines() if "CONSOLE" in line]}
