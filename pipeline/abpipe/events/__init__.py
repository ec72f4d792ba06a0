"""Events: records become rows of the raw tables, or rejects that say why not."""
