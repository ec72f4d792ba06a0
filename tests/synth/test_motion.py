from __future__ import annotations

from dataclasses import replace

import numpy as np

from abpipe.synth.motion import (
    COCO,
    HANDS,
    IMAGENET,
    PROGRAMS,
    Hands,
    Motion,
    Moves,
    Stroke,
    moves,
)

STROKES = [Stroke(i, 1000, 800, 10, 100, 200, 120, 324, 243, 0) for i in range(400)]


def trace(motion: Motion, strokes: list[Stroke] = STROKES) -> Moves:
    return moves(np.random.default_rng(1), motion, strokes)


def test_a_stroke_begins_at_its_start_and_ends_near_its_end() -> None:
    found = trace(IMAGENET)
    cuts = found.offsets(len(STROKES))
    first, last = np.array(cuts[:-1]), np.array(cuts[1:]) - 1
    assert (found.t_ms[first] == 1000).all() and (found.t_ms <= 1800).all()
    assert (found.x[first] == 10).all() and (found.y[first] == 100).all()
    assert np.median(np.abs(found.x[last] - 200)) <= 3


def test_paths_are_curved_and_overshoot() -> None:
    found = trace(IMAGENET)
    assert np.ptp(found.y) > 40
    assert (found.x > 205).any()
    straight = trace(replace(IMAGENET, curve=0, overshoots=0, tremor_px=0))
    assert straight.y.min() >= 100 and straight.y.max() <= 120
    assert straight.x.max() <= 200


def test_hands_rest() -> None:
    gaps = np.diff(trace(replace(IMAGENET, moving_ms=200)).t_ms)
    assert np.quantile(gaps, 0.98) > 150


def test_only_imagenet_is_throttled() -> None:
    slow, quick = (np.diff(trace(motion).t_ms) for motion in (IMAGENET, COCO))
    assert 30 <= np.median(slow) <= 35
    assert 16 <= np.median(quick) <= 18


def test_nothing_is_logged_off_the_picture() -> None:
    found = trace(IMAGENET, [Stroke(0, 0, 500, 10, 10, 400, 10, 324, 243, 0)])
    assert len(found.x) > 3 and found.x.max() <= 324


def test_no_strokes_are_no_moves() -> None:
    assert trace(IMAGENET, []).offsets(2) == [0, 0, 0]


def test_each_model_moves_in_its_own_way() -> None:
    found = {name: trace(replace(IMAGENET, **hand)) for name, hand in HANDS.items()}
    assert len({moves.t_ms.tobytes() for moves in found.values()}) == len(HANDS)
    turned = {name: np.ptp(moves.y) for name, moves in found.items()}
    assert turned["hasty"] < turned["aimed"] < turned["winding"]


def test_programs_draw_straight_lines_or_jump() -> None:
    straight, jump = (trace(replace(IMAGENET, **PROGRAMS[name])) for name in PROGRAMS)
    offset = np.abs(straight.y - (100 + (straight.x - 10) / 190 * 20))
    assert offset.max() <= 1
    assert np.median(np.bincount(jump.record)) == 2 and np.diff(jump.t_ms).max() < 40


def test_hands_and_programs_keep_to_their_records() -> None:
    hands = Hands()
    for i, stroke in enumerate(STROKES):
        hands.of(("honest", "straight", "random", "teleport")[i % 4]).append(stroke)
    found = hands.moves(np.random.default_rng(1), IMAGENET, "aimed")
    assert (np.diff(found.record) >= 0).all() and len(set(found.record.tolist())) == len(STROKES)
    assert np.bincount(found.record)[3::4].max() == 2
