"""Labels beside the points they name, where they hide neither each other nor what is there already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Sides of a point that a label may be on, the best first: below, above, right, left, and the corners.
_SIDES = np.array([(0, -1), (0, 1), (1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1)], dtype=np.float64)


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[Text],
    obstacles: FloatArray,
    *,
    gap_pt: float,
    kept: Sequence[Bbox] = (),
) -> None:
    """Move each text beside its point; one for which no side is free is hidden.

    Args:
        axes: Where they are.
        points: What the texts name, in data coordinates.
        texts: Texts in data coordinates, centred.
        obstacles: Centres of what texts should not cover if they can help it, in data coordinates, (N, 2).
        gap_pt: From the middle of a point to the edge of its text, and half the size of an obstacle, in points.
        kept: Where no text may be, in pixels.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    gap = gap_pt * figure.dpi / 72
    sizes = np.array([text.get_window_extent().size for text in texts]).reshape(-1, 2)
    centres = axes.transData.transform(np.reshape(points, (-1, 2)))
    avoided = [Bbox.from_extents(*(at - gap), *(at + gap)) for at in axes.transData.transform(obstacles)]
    for text, box in zip(texts, free_boxes(centres, sizes, gap, axes.bbox, avoided, kept), strict=True):
        if box is None:
            text.set_visible(False)
        else:
            x, y = axes.transData.inverted().transform((box.p0 + box.p1) / 2)
            text.set_position((float(x), float(y)))


def free_boxes(
    centres: FloatArray,
    sizes: FloatArray,
    gap: float,
    inside: Bbox,
    obstacles: Sequence[Bbox] = (),
    kept: Sequence[Bbox] = (),
) -> list[Bbox | None]:
    """A box beside each point that overlaps no other box and lies inside; None where there is none.

    Of the sides of a point the one is taken that hides the fewest obstacles.

    Args:
        centres: The points, (N, 2).
        sizes: Widths and heights of the boxes, (N, 2).
        gap: Between a point and its box.
        inside: Where boxes may be.
        obstacles: What they should not hide.
        kept: What they may not overlap.
    """
    taken = list(kept)
    found: list[Bbox | None] = []
    for centre, size in zip(centres, sizes, strict=True):
        boxes = [_beside(centre, size, gap, side) for side in _SIDES]
        free = [box for box in boxes if _within(box, inside) and not box.count_overlaps(taken)]
        best = min(free, key=lambda box: box.count_overlaps(obstacles), default=None)
        found.append(best)
        taken += [] if best is None else [best]
    return found


def _beside(centre: FloatArray, size: FloatArray, gap: float, side: FloatArray) -> Bbox:
    middle = centre + side * (size / 2 + gap)
    return Bbox.from_extents(*(middle - size / 2), *(middle + size / 2))


def _within(box: Bbox, inside: Bbox) -> bool:
    return bool((box.p0 >= inside.p0).all() and (box.p1 <= inside.p1).all())
