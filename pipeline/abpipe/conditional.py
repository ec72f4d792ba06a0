"""Files that are replaced on condition, in the words of each file system that can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast
from urllib.parse import quote


class Replacement(NamedTuple):
    """How a file system replaces a file only if it is still the one that was read.

    `tag` is where it tells which one that is. `put` takes the file system, the path, the content
    and the tag, or None where there is to be no file yet, and gives the new tag. It raises
    FileExistsError if the condition does not hold.
    """

    tag: str
    put: Callable[[Any, str, bytes, str | None], str]


#: What S3 answers where a condition of a put does not hold (the second: two puts at a time).
_LOST = ("PreconditionFailed", "ConditionalRequestConflict")


def _on_s3(fs: Any, path: str, content: bytes, tag: str | None) -> str:
    bucket, key, _ = fs.split_path(path)
    only_if = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
    try:
        done = fs.call_s3("put_object", Bucket=bucket, Key=key, Body=content, **only_if)
    except OSError as err:
        response = getattr(err.__cause__, "response", {})
        if response.get("Error", {}).get("Code") in _LOST:
            raise FileExistsError(path) from err
        raise
    return cast("str", done["ETag"])


def _on_gs(fs: Any, path: str, content: bytes, tag: str | None) -> str:
    bucket, key, _ = fs.split_path(path)
    upload = fs.base.replace("/storage/v1/", f"/upload/storage/v1/b/{quote(bucket, safe='')}/o")
    only_if = {"ifGenerationMatch": tag or "0"}
    done = fs.call(
        "POST", upload, uploadType="media", name=key, data=content, json_out=True, **only_if
    )
    return cast("str", done["generation"])


#: By scheme.
REPLACEMENTS = {
    "s3": Replacement("ETag", _on_s3),
    "gs": Replacement("generation", _on_gs),
    "gcs": Replacement("generation", _on_gs),
}
