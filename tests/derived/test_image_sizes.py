from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageOps

Ask = Callable[..., list[tuple[Any, ...]]]

SIZES = "SELECT stored_width, stored_height, orientation, origin, frame FROM image_sizes"
XML = {"width": 500, "height": 375}


def seen(*sizes: tuple[int | None, int | None], **more: Any) -> list[dict[str, Any]]:
    """A record for each natural size."""
    return [
        {"annotation_id": n, "natural_width": w, "natural_height": h} | more
        for n, (w, h) in enumerate(sizes)
    ]


def file(width: int, height: int, orientation: int | None = None) -> dict[str, Any]:
    return {"stored_width": width, "stored_height": height, "exif_orientation": orientation}


@pytest.mark.parametrize(
    "images, annotations, pictures, expected",
    [
        pytest.param(XML, seen((500, 375)), [], (500, 375, 1, "xml", "ok"), id="both agree"),
        pytest.param(XML, seen((375, 500)), [], (500, 375, 6, "xml", "assumed"), id="turned"),
        pytest.param(XML, seen((0, 0)), [], (500, 375, 1, "xml", "assumed"), id="not loaded"),
        pytest.param(XML, seen((None, None)), [], (500, 375, 1, "xml", "assumed"), id="not said"),
        pytest.param(XML, [], [], (500, 375, 1, "xml", "assumed"), id="nobody saw it"),
        pytest.param(XML, seen((640, 480)), [], (500, 375, 1, "xml", "ok"), id="scaled"),
        pytest.param(XML, seen((640, 200)), [], (500, 375, 1, "xml", "unknown"), id="another one"),
        pytest.param(
            XML, seen((500, 375), (375, 500)), [], (500, 375, 1, "xml", "assumed"), id="a tie"
        ),
        pytest.param(
            XML,
            seen((375, 500), (500, 375), (375, 500)),
            [],
            (500, 375, 6, "xml", "assumed"),
            id="most saw it turned",
        ),
        pytest.param(
            XML,
            seen((500, 375), (640, 200)),
            [],
            (500, 375, 1, "xml", "assumed"),
            id="one saw another",
        ),
        pytest.param(
            {"width": 400, "height": 400},
            seen((400, 400)),
            [],
            (400, 400, 1, "xml", "assumed"),
            id="square: no turn shows",
        ),
        pytest.param(
            {"width": 100, "height": 99},
            seen((99, 100)),
            [],
            (100, 99, 6, "xml", "assumed"),
            id="a pixel off square: the turn shows",
        ),
        pytest.param(
            {"width": 0, "height": 0},
            seen((640, 480)),
            [],
            (640, 480, 1, "natural", "assumed"),
            id="a size of 0 is none",
        ),
        pytest.param({}, seen((640, 480)), [], (640, 480, 1, "natural", "assumed"), id="natural"),
        pytest.param({}, seen((0, 0)), [], (None, None, None, None, "unknown"), id="nothing"),
        pytest.param(
            XML, seen((375, 500)), [file(500, 375, 8)], (500, 375, 8, "picture", "ok"), id="a file"
        ),
        pytest.param(
            XML, seen((500, 375)), [file(500, 375, 3)], (500, 375, 3, "picture", "ok"), id="180°"
        ),
        pytest.param(XML, [], [file(500, 375)], (500, 375, 1, "picture", "ok"), id="no EXIF"),
        pytest.param(
            XML,
            seen((500, 375)),
            [file(250, 188)],
            (250, 188, 1, "picture", "ok"),
            id="a smaller copy",
        ),
        pytest.param(
            XML,
            seen((500, 375)),
            [file(500, 375, 6)],
            (500, 375, 1, "picture", "assumed"),
            id="browsers did not turn it",
        ),
        pytest.param(
            XML,
            seen((375, 500)),
            [file(500, 375)],
            (500, 375, 6, "picture", "assumed"),
            id="a copy that lost its EXIF",
        ),
        pytest.param(
            XML, [], [file(0, 0, 1)], (500, 375, 1, "xml", "assumed"), id="a file without a size"
        ),
    ],
)
def test_the_size_and_the_turn_of_a_picture(
    ask: Ask,
    images: dict[str, Any],
    annotations: list[dict[str, Any]],
    pictures: list[dict[str, Any]],
    expected: tuple[Any, ...],
) -> None:
    found = ask(SIZES, images=[images], annotations=annotations, pictures=pictures)
    assert found == [expected]


def test_a_size_in_a_set_of_coco_comes_from_its_instances(ask: Ask) -> None:
    records = seen((640, 480), tool="coco", image_id="9")
    images = [
        {"image_id": "9", "source": "coco_ab.json"},
        {"image_id": "9", "source": "instances.json", "width": 640, "height": 480},
    ]
    found = ask(SIZES, images=images, annotations=records)
    assert found == [(640, 480, 1, "instances", "ok")]


def test_of_several_sources_and_files_the_first_by_name_counts(ask: Ask) -> None:
    images = [
        {"source": "b", "width": 20, "height": 10},
        {"source": "a", "width": 40, "height": 30},
    ]
    assert ask(SIZES, images=images)[0][:2] == (40, 30)
    pictures = [file(5, 6) | {"path": "b.jpg"}, file(7, 8) | {"path": "a.jpg"}]
    assert ask(SIZES, images=images, pictures=pictures)[0][:2] == (7, 8)


def test_a_picture_without_a_record_has_a_size(ask: Ask) -> None:
    found = ask("SELECT image_id, stored_width FROM image_sizes", pictures=[file(7, 8)])
    assert found == [("n1_1", 7)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_point_of_the_picture_as_shown_lies_on_the_same_pixel_of_the_file(
    ask: Ask, orientation: int
) -> None:
    """Truth is what Pillow does: a picture whose pixels are all different, turned as EXIF says."""
    width, height = 5, 3
    stored = Image.new("L", (width, height))
    stored.putdata(range(width * height))
    stored.getexif()[0x0112] = orientation
    shown = ImageOps.exif_transpose(saved(stored, orientation))
    places = [(x, y) for x in range(shown.width) for y in range(shown.height)]
    natural = {"natural_width": shown.width, "natural_height": shown.height, "selected": True}
    found = ask(
        "SELECT x_px, y_px FROM clicks ORDER BY annotation_id",
        images=[{}],
        pictures=[file(width, height, orientation)],
        annotations=[natural | {"annotation_id": n} for n in range(len(places))],
        events=[
            {
                "annotation_id": n,
                "kind": "click",
                "x": (x + 0.5) / shown.width,
                "y": (y + 0.5) / shown.height,
            }
            for n, (x, y) in enumerate(places)
        ],
    )
    pixels = [stored.getpixel((int(x_px), int(y_px))) for x_px, y_px in found]
    assert pixels == [shown.getpixel(place) for place in places]


def saved(picture: Image.Image, orientation: int) -> Image.Image:
    """The picture as a file holds it, with its orientation in EXIF."""
    memory, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    picture.save(memory, "PNG", exif=exif)
    return Image.open(io.BytesIO(memory.getvalue()))


def test_an_unknown_orientation_counts_as_upright(ask: Ask) -> None:
    query = "SELECT stored_x(0.25, 0.75, NULL), stored_y(0.25, 0.75, NULL)"
    assert ask(query) == [(0.25, 0.75)]
