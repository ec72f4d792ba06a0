from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from abpipe.view.labels import spread

places = st.lists(st.tuples(st.floats(0, 640), st.floats(0, 480)), min_size=1, max_size=12)


@given(places)
def test_labels_stay_on_the_picture(anchors: list[tuple[float, float]]) -> None:
    sizes = np.full((len(anchors), 2), (90, 18), float)
    middles = spread(np.array(anchors), sizes, (640, 480), 6)
    assert ((middles >= sizes / 2) & (middles <= np.array([640, 480]) - sizes / 2)).all()


def test_labels_at_one_place_hide_neither_it_nor_each_other() -> None:
    anchors, size = np.full((8, 2), (320, 240), float), np.array([90, 18])
    middles = spread(anchors, np.tile(size, (8, 1)).astype(float), (640, 480), 6)
    apart = np.abs(middles[:, None] - middles[None]) >= size - 1e-6
    assert (apart.any(axis=2) | np.eye(8, dtype=bool)).all()
    assert (np.abs(middles - anchors) >= size / 2 + 5).any(axis=1).all()
