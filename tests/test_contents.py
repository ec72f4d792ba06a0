from __future__ import annotations

from importlib import import_module

import pytest

from abpipe.contents import CONTENTS, Content
from abpipe.contracts import dataset, raw_tables


@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
def test_each_content_has_its_reader_its_parser_and_its_tables(content: Content) -> None:
    assert callable(import_module(content.reader).blocks)
    assert callable(import_module(content.parser).parse)
    assert {content.proof, "rejects"} <= {*content.tables} <= {*raw_tables()}
    assert {*content.records} <= {*content.tables}
    if content.dataset:
        assert dataset(content.dataset, content.tool).tool == content.tool
