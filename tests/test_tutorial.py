"""The tutorial keeps its word: its blocks run, in order."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"


def test_every_block_of_the_tutorial_runs(tmp_path: Path) -> None:
    script = tmp_path / "tutorial.py"
    script.write_text("\n\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)))
    names = runpy.run_path(str(script))
    assert names["tuned"].best_config is not None
