from __future__ import annotations

import pytest

from abpipe.parallel import Workers


def test_an_error_that_is_its_own_cause_ends_the_work() -> None:
    one, other = ValueError("lost"), OSError("no route")
    one.__cause__, other.__cause__ = other, one  # as fsspec's plug-ins raise them
    with pytest.raises(ValueError, match="lost"), Workers(1):
        raise one
