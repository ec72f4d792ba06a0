from __future__ import annotations

import numpy as np
import pytest

from abpipe.synth.imagenet_plan import FILES, PEOPLE, plan
from abpipe.synth.people import CHEATS, HURRY, Work, crowd, schedule


@pytest.mark.slow
def test_the_full_plan_has_the_published_workers() -> None:
    slots = plan(np.random.default_rng(0), FILES).slots
    _, sizes = np.unique(slots.worker_id, return_counts=True)
    sizes.sort()
    # published: images that were selected, 84 % of the records
    assert len(sizes) == PEOPLE
    assert sizes[-100:].sum() / sizes.sum() == pytest.approx(0.41, abs=0.05)
    assert np.median(sizes) * 0.84 == pytest.approx(199, rel=0.2)
    assert sizes[-1] * 0.84 == pytest.approx(13_628, rel=0.1) and sizes[0] < 15
    assert len(slots.picture) / FILES == pytest.approx(1.045, abs=0.01)
    assert slots.pace_ms.max() > 3_600_000


def test_shares_have_a_heavy_tail() -> None:
    share = np.sort(crowd(np.random.default_rng(0), PEOPLE).share)
    assert share[-100:].sum() == pytest.approx(0.41, abs=0.04)


@pytest.mark.parametrize("n", [1, 7, 500, 5000])
def test_no_place_of_a_task_is_given_twice(n: int) -> None:
    rng = np.random.default_rng(n)
    work = Work(pages=10, slots=48, published=240)
    found = schedule(rng, n, crowd(rng, 5), work)
    assert len(set(zip(found.task.tolist(), found.place.tolist(), strict=True))) == n
    assert found.place.min() >= 0 and found.place.max() < work.places
    assert (np.diff(found.person) >= 0).all()
    assert np.bincount(found.task).max() <= 240


def test_cheats_leave_the_others_who_they_are() -> None:
    honest, mixed = (crowd(np.random.default_rng(0), 100, share) for share in (0, 0.12))
    others = mixed.manner != b"hurried"
    assert (honest.ids == mixed.ids).all()
    assert (honest.slowness == mixed.slowness)[others].all()
    assert (honest.manner == b"honest").all()
    manners, counts = np.unique(mixed.manner, return_counts=True)
    assert dict(zip(manners.astype(str).tolist(), counts.tolist(), strict=True)) == (
        dict.fromkeys(CHEATS, 2) | {"honest": 88}
    )


def test_who_is_hurried_is_quick_for_the_crowd_not_for_themselves() -> None:
    people = crowd(np.random.default_rng(0), PEOPLE, cheats=0.12)
    hurried = people.manner == b"hurried"
    assert hurried.sum() == 34 and set(people.slowness[hurried].tolist()) == {1 / HURRY}
    assert people.slowness[~hurried].min() > 1 / HURRY
    usual = np.exp((np.log(people.slowness) * people.share)[~hurried].sum())
    assert usual == pytest.approx(1, abs=0.1)
