"""Reads and extends a model's MEASURED.json, the record of how it was made and how well it does."""

import json
import pathlib


def read(folder: pathlib.Path) -> dict:
    """The record in `folder`; empty where there is none."""
    path = folder / "MEASURED.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def record(folder: pathlib.Path, key: str, value: object) -> None:
    """Sets one entry of the record in `folder`."""
    content = read(folder)
    content[key] = value
    path = folder / "MEASURED.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
