"""Pictures of what the store holds: figures for notebooks, files, and pages that replay."""
