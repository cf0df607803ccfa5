"""The names of the files that every package has, for those who need no more of it."""

from __future__ import annotations

NAME = "manifest.json"
SIGNATURE = "signature.json"
