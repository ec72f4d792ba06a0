from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from abpipe.experiment import Settings, predict
from abpipe.experiment.machine import prepared

from .conftest import made


def test_predictions_are_in_the_order_of_the_data(train: Any, test: Any) -> None:
    model = made()
    found = predict(model, test, Settings(batch_size=7))
    assert found.label.tolist() == [target["class_index"] for _, target in test]
    assert found.where is not None and found.where.shape == (30, 3, 3)
    picture, target = test[11]
    with torch.no_grad():
        label = torch.tensor([target["class_index"]])
        output = model(prepared(picture[None], torch.device("cpu")), label)
    assert output.logits.argmax() == found.predicted[11]
    assert np.allclose(found.where[11], output.where[0], atol=1e-5)
    apart = np.hypot(*(output.points[0].numpy() - target["click_xy"]))
    assert np.allclose(found.click_distance[11], apart, atol=1e-6, equal_nan=True)
    assert np.array_equal(found.target["click_xy"][11], target["click_xy"], equal_nan=True)
    part = predict(model, test, at=range(3, 30, 9))
    assert part.predicted.tolist() == found.predicted[3::9].tolist()
