"""Writes .npy files row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class NpyWriter:
    """Appends to a .npy file whose length is not known yet; of offsets, it is told the lengths."""

    def __init__(
        self, path: Path, dtype: str, shape: tuple[int, ...], is_offsets: bool = False
    ) -> None:
        self.dtype, self._row_shape, self._rows = np.dtype(dtype), shape, 0
        self._is_offsets, self._end = is_offsets, 0
        self._file = path.open("wb")
        self._write_header()
        if is_offsets:
            self._write(np.zeros(1, np.int64))

    def __enter__(self) -> NpyWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, values: Array) -> None:
        """Add rows, or values."""
        if self._is_offsets:
            values = self._end + np.cumsum(values)
            self._end = int(values[-1]) if len(values) else self._end
        self._write(values)

    def _write(self, values: Array) -> None:
        self._rows += len(values)
        self._file.write(np.ascontiguousarray(values, self.dtype).tobytes())

    def _write_header(self) -> None:
        # NumPy leaves room in it for any number of rows
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array, so far."""
        return (self._rows, *self._row_shape)

    def finish(self) -> None:
        """Write the header anew, with how many there are."""
        self._file.seek(0)
        self._write_header()
