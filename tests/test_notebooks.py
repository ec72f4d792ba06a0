"""The notebooks run from a clean clone, hold no outputs and define nothing."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

#: How many pictures each shows.
PICTURES = {"annotators": 5, "coco": 5, "evidence": 4, "imagenet": 6, "training": 3}


def test_each_notebook_is_known_and_in_the_readme() -> None:
    assert {path.stem for path in NOTEBOOKS} == {*PICTURES}
    readme = (FOLDER.parent / "README.md").read_text("utf-8")
    assert all(f"notebooks/{path.name}" in readme for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_defines_nothing_and_holds_no_outputs(path: Path) -> None:
    book = nbformat.read(path, 4)  # type: ignore[no-untyped-call]
    nbformat.validate(book)
    for cell in book.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), "clear its outputs"
            found = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, DEFINES)]
            assert not found, "what needs a function belongs into abpipe"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_pictures(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ABPIPE_STORE", "ABPIPE_IMAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", "error::UserWarning,error::DeprecationWarning:__main__")
    before = {entry.name for entry in os.scandir(FOLDER)}
    book = nbformat.read(path, 4)  # type: ignore[no-untyped-call]
    if any("import torch" in cell.source for cell in book.cells):
        pytest.importorskip("torch", reason="torch is an extra")
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [out for cell in book.cells for out in cell.get("outputs", [])]
    assert [out.get("text") for out in outputs if out.output_type == "stream"] == []
    shown = [out for out in outputs if "image/png" in out.get("data", {})]
    assert len(shown) == PICTURES[path.stem]
    assert {entry.name for entry in os.scandir(FOLDER)} == before
