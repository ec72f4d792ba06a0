from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_an_installed_wheel_works_from_any_folder(tmp_path: Path) -> None:
    """Schemas and SQL travel in it. Its dependencies are installed anew, in a clean environment.

    It is made of the source distribution, so that nothing is missing in that either.
    """
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    assert len(list(tmp_path.glob("*.tar.gz"))) == 1
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip: list[str | Path] = [
        scripts / "pip",
        "install",
        "--quiet",
        "-c",
        ROOT / "constraints.txt",
        wheel,
    ]
    subprocess.run(pip, check=True, capture_output=True)
    sample = ROOT / "data" / "imagenet" / "imagenet_ab.tar.gz"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run: list[str | Path] = [scripts / "abpipe", "ingest", sample]
    subprocess.run(run, cwd=elsewhere, check=True, capture_output=True)
    ask: list[str | Path] = [
        scripts / "abpipe",
        "sql",
        "SELECT count(*) AS n FROM timeline",
        "--format",
        "csv",
    ]
    asked = subprocess.run(ask, cwd=elsewhere, check=True, capture_output=True, text=True)
    assert int(asked.stdout.split()[1]) > 1000
