"""Imported first: says what to install where a library is missing."""

from importlib.util import find_spec

from abpipe.errors import NeedsLibrary

for _library in ("torch", "scipy", "matplotlib"):
    if find_spec(_library) is None:
        raise NeedsLibrary(_library)
