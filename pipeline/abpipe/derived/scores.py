"""How well a map tells where an object is: the scores of saliency and of weak localization.

A map p [rows, columns] sums to 1; the object is c, the share of each cell that it covers, and N
counts the cells. Definitions as in Bylinskii et al., "What do different evaluation metrics tell us
about saliency models?" (TPAMI 2019), with the object in place of the fixations:

- peak: the middle of the cell with the largest p, the first by rows if several are equal. Inside
  the object, it wins the pointing game (Zhang et al., ECCV 2016, with no tolerance).
- energy: sum(p c), the share of the map inside (Wang et al., Score-CAM, CVPRW 2020).
- nss: sum(c z) / sum(c), with z the map at mean 0 and standard deviation 1 (Peters et al. 2005).
- auc: how often a random place inside has a larger p than a random one outside, ties half: the area
  under Judd's ROC curve (Judd et al., ICCV 2009).
- cc: Pearson's correlation of p and c.
- kl: sum(q ln(EPS + q / (p + EPS))) with q = c / sum(c); 0 is best, and zeros of p cost much.
- sim: sum(min(p, q)), from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from abpipe.derived import ragged
from abpipe.derived.maps import GRID, Maps, dwell_maps, traces
from abpipe.derived.ragged import Floats, Ints

#: MATLAB's eps, which keeps kl finite in the published code.
EPS = np.float32(2.2204e-16)

_MAPS = 64  # that are made and scored at a time, in the cache


@dataclass(frozen=True)
class Scores:
    """Of n maps, float64 [n] each; NaN where a score is not defined."""

    peak_x: Floats
    peak_y: Floats
    energy: Floats
    nss: Floats
    auc: Floats
    cc: Floats
    kl: Floats
    sim: Floats


def scores(maps: Maps, cover: Maps) -> Scores:
    """The scores of n maps against the objects on their pictures.

    Both are float32 [n, rows, columns]. All are NaN where the map is, all but the peak where the
    object covers nothing, nss and cc where the map is even, auc and cc where c is.
    """
    n, rows, columns = maps.shape
    p, c = (cells.reshape(n, rows * columns) for cells in (maps, cover))
    peak = p.argmax(1)
    lost = np.isnan(p[:, 0])
    x = np.where(lost, np.nan, (peak % columns + 0.5) / columns)
    y = np.where(lost, np.nan, (peak // columns + 0.5) / rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Scores(x, y, *_scores(p, c))


def box_cover(boxes: Floats, offsets: Ints, grid: tuple[int, int] = GRID) -> Maps:
    """How much of each cell the boxes of n pictures cover: float32 [n, rows, columns].

    `boxes` [k, 4] are xmin, ymin, xmax, ymax as fractions, those of picture i from offsets[i] to
    offsets[i + 1]. A cell that several boxes cover in part counts for the one that covers most.
    """
    rows, columns = grid
    down, along = (
        _overlaps(boxes[:, 1], boxes[:, 3], rows),
        _overlaps(boxes[:, 0], boxes[:, 2], columns),
    )
    counts = np.diff(offsets)
    cover = np.zeros((len(counts), rows, columns), np.float32)
    for nth in range(int(counts.max(initial=0))):
        some = np.flatnonzero(counts > nth)
        box = offsets[some] + nth
        cover[some] = np.maximum(cover[some], down[box, :, None] * along[box, None, :])
    return cover


def map_scores(
    x: pa.Array,
    y: pa.Array,
    dwell: pa.Array,
    width: pa.Array,
    height: pa.Array,
    boxes: pa.Array,
) -> pa.Array:
    """For SQL: map_scores(x[], y[], dwell[], width, height, boxes), a struct of Scores.

    The first five are of one trace, as in dwell_maps; `boxes` are the object's, as structs (xmin,
    ymin, xmax, ymax) in the same unit. NULL where there is no map.
    """
    (xs, ys, dwells), counts, (widths, heights) = traces(x, y, dwell, width, height)
    n_boxes = ragged.lengths(boxes)
    edges = np.stack([ragged.numbers(edge) for edge in boxes.flatten().flatten()], 1)
    edges /= np.stack([widths, heights, widths, heights], 1)[ragged.owners(n_boxes)]
    move, box = ragged.offsets(counts), ragged.offsets(n_boxes)
    found = []
    for begin in range(0, len(counts), _MAPS):
        rows = slice(begin, begin + _MAPS)
        moves, few = move[begin : begin + _MAPS + 1], box[begin : begin + _MAPS + 1]
        some = slice(moves[0], moves[-1])
        maps = dwell_maps(
            xs[some], ys[some], dwells[some], moves - moves[0], widths[rows], heights[rows]
        )
        found.append(scores(maps, box_cover(edges[few[0] : few[-1]], few - few[0])))
    columns = {
        f.name: np.concatenate([getattr(one, f.name) for one in found]) for f in fields(Scores)
    }
    return pa.StructArray.from_arrays(
        [pa.array(column, from_pandas=True) for column in columns.values()],
        [*columns],
        mask=pa.array(np.isnan(columns["peak_x"])),
    )


def _overlaps(low: Floats, high: Floats, n: int) -> Maps:
    """How much of each of `n` cells lies between two places: float32 [k, n]."""
    edges = np.linspace(0, 1, n + 1)
    within = np.clip(edges, low[:, None], np.maximum(low, high)[:, None])
    shares: Maps = (np.diff(within, axis=1) * n).astype(np.float32)
    return shares


def _scores(p: Maps, c: Maps) -> Floats:
    """energy, nss, auc, cc, kl and sim of each map: float64 [6, n]."""
    size = c.sum(1, dtype=np.float64)
    energy = np.einsum("ij,ij->i", p, c, dtype=np.float64)
    mean = p.mean(1, dtype=np.float64)
    deviation = np.sqrt(
        np.maximum(np.einsum("ij,ij->i", p, p, dtype=np.float64) / p.shape[1] - mean**2, 0)
    )
    deviation[deviation < mean * 1e-5] = 0  # an even map, but for rounding
    nss = (energy / size - mean) / deviation
    even = size / p.shape[1]
    spread = np.einsum("ij,ij->i", c, c, dtype=np.float64) / p.shape[1] - even**2
    cc = (energy / p.shape[1] - mean * even) / deviation / np.sqrt(np.maximum(spread, 0))
    q = c / size[:, None].astype(np.float32)
    kl = np.einsum("ij,ij->i", q, np.log(EPS + q / (p + EPS)), dtype=np.float64)
    sim = np.minimum(p, q).sum(1, dtype=np.float64)
    found = np.stack([energy, nss, _auc(p, c), cc, kl, sim])
    found[:, (size == 0) | np.isnan(mean)] = np.nan
    found[~np.isfinite(found)] = np.nan
    return found


def _auc(p: Maps, c: Maps) -> Floats:
    """Of each map, the area under the ROC curve of its cells."""
    n, size = p.shape
    # sorted by p, with c as the tail of the same number: far quicker than argsort
    pairs = np.stack([c, p], axis=-1).view(np.uint64)[..., 0]
    pairs.sort(axis=1)
    inside, value = (pairs.view(np.float32)[:, i::2] for i in (0, 1))
    hits = np.cumsum(inside, axis=1, dtype=np.float32)
    # each cell inside beats what is outside below it, and half of itself
    won = inside * (np.arange(0.5, size, dtype=np.float32) - hits + inside / 2)
    area, total = won.sum(1, dtype=np.float64), hits[:, -1].astype(np.float64)
    # cells of equal value neither beat each other nor are beaten
    tied = np.zeros((n, size + 1), bool)
    tied[:, 1:-1] = value[:, 1:] == value[:, :-1]
    bounds = np.flatnonzero(np.diff(tied, axis=1))
    bounds[1::2] += 1
    begin, end = bounds[::2], bounds[1::2]
    row, place = begin // size, begin % size
    before = hits.flat[begin] - inside.flat[begin]
    hit = hits.flat[end - 1] - before
    even = hit * (place - before + (end - begin - hit) / 2)
    area += np.bincount(row, even - np.add.reduceat(np.append(won, 0), bounds)[::2], n)
    found: Floats = area / (total * (size - total))
    return found
