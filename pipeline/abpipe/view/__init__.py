"""Pictures of what the store holds: figures for notebooks, files, and pages that replay."""

from abpipe.view.output import save, show

__all__ = ["save", "show"]
