"""Croissant: what an export holds, for catalogues of datasets. https://docs.mlcommons.org/croissant"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

FILE = "croissant.json"

#: The forms that have it beside them, and the media types of their files.
FORMS = {
    "parquet": "application/x-parquet",
    "hf": "application/x-parquet",
    "webdataset": "application/x-tar",
}

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
} | {
    key: f"cr:{key}"
    for key in (
        *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract"),
        *("field", "fileProperty", "fileObject", "fileSet", "format", "includes", "isArray"),
        *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
        *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source"),
        *("subField", "transform"),
    )
}


def describe(folder: Path, about: dict[str, Any]) -> bytes:
    """The metadata of an export in a folder, of which `about` is targets.json."""
    dataset, kind = about["dataset"], FORMS[about["form"]]
    files = [entry for entry in about["arrays"].values() if not entry["file"].endswith(".md")]
    licence = dataset.get("licence", "")
    told = {
        "description": f"{dataset.get('title', dataset['name'])}: training targets",
        "url": dataset.get("homepage"),
        "license": "https://spdx.org/licenses/Apache-2.0.html"
        if licence.startswith("Apache-2.0")
        else licence or None,
        "citeAs": dataset.get("citation"),
    }
    whole = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": dataset["name"],
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        **{key: value for key, value in told.items() if value},
        "distribution": [_file(entry, kind) for entry in files],
    }
    if kind == FORMS["parquet"]:
        whole["distribution"].append(
            {"@type": "cr:FileSet", "@id": "all", "encodingFormat": kind, "includes": "*.parquet"}
        )
        schema = pq.read_schema(folder / files[0]["file"])
        docs = {name: field["doc"] for name, field in about.get("fields", {}).items()}
        docs |= about["arrays"].get("targets", {}).get("columns", {})
        fields = [_field(column, docs.get(column.name, "")) for column in schema]
        whole["recordSet"] = [{"@type": "cr:RecordSet", "@id": "rows", "field": fields}]
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2)


def _file(entry: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": entry["file"],
        "contentUrl": entry["file"],
        "contentSize": f"{entry['bytes']} B",
        "encodingFormat": kind,
        "sha256": entry["sha256"],
    }


def _field(column: pa.Field, doc: str) -> dict[str, Any]:
    """A column of the rows; lists of lists are arrays, and the bytes of a picture one."""
    shape, kind = [], column.type
    while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        shape.append(-1 if pa.types.is_list(kind) else kind.list_size)
        kind = kind.value_type
    source: dict[str, Any] = {"fileSet": {"@id": "all"}, "extract": {"column": column.name}}
    if pa.types.is_struct(kind):
        source["transform"] = {"jsonPath": "bytes"}
    about = {
        "@type": "cr:Field",
        "@id": f"rows/{column.name}",
        "name": column.name,
        "description": doc,
        "dataType": _type(kind),
        "source": source,
    }
    size = {"isArray": True, "arrayShape": ",".join(map(str, shape))} if shape else {}
    return about | size


def _type(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return "sc:ImageObject"
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
