"""The kernel language under its public name: ``import baco.language as bl`` gives :mod:`baco.lang.language` itself."""

from __future__ import annotations

import sys

from baco.lang import language

sys.modules[__name__] = language
