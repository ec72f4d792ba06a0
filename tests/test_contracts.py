from __future__ import annotations

from abpipe.contracts import classes, contracts, dataset, raw_tables


def test_the_raw_tables_are_those_of_the_interface() -> None:
    assert raw_tables() == (
        "annotations",
        "classes",
        "events",
        "images",
        "objects",
        "pictures",
        "rejects",
    )


def test_views_come_after_what_they_read() -> None:
    order = list(contracts())
    for contract in contracts().values():
        assert all(order.index(name) < order.index(contract.name) for name in contract.reads)


def test_a_key_is_made_of_columns_that_are_never_null() -> None:
    for contract in contracts().values():
        columns = {column.name: column for column in contract.columns}
        assert all(not columns[name].null for name in contract.key if name in columns)
        assert set(contract.key) <= set(columns)


def test_enumerated_values_are_a_rule() -> None:
    (kind,) = (column for column in contracts()["events"].columns if column.name == "kind")
    assert kind.rule == (
        "kind IN ('enter', 'leave', 'move', 'click', 'add', 'drag', 'remove', 'browse')"
    )


def test_imagenet_has_a_thousand_classes_in_the_order_of_their_ids() -> None:
    found = classes("imagenet")
    ids = [row["class_id"] for row in found]
    assert (len(found), ids) == (1000, sorted(ids))
    assert found[0] == {
        "class_id": "n01440764",
        "class_index": 0,
        "category_id": None,
        "name": "tench, Tinca tinca",
    }


def test_coco_has_eighty_classes_in_the_order_of_their_numbers() -> None:
    found = classes("coco")
    numbers = [row["category_id"] for row in found]
    assert (len(found), numbers) == (80, sorted(numbers))
    assert (found[11]["name"], found[11]["category_id"]) == ("stop sign", 13)
    assert (found[79]["name"], found[79]["category_id"]) == ("toothbrush", 90)


def test_a_published_dataset_knows_its_licence_and_another_one_its_tool() -> None:
    assert "Apache-2.0" in (dataset("imagenet-ab", "imagenet").licence or "")
    assert dataset("my-own", "coco").tool == "coco"
    assert dataset("my-own", "coco").licence is None
