"""Everything that can go wrong and that a user can act on. Facts are attributes, too."""

from __future__ import annotations


class AbpipeError(Exception):
    """Base of all errors that end in a message and exit code 1."""


class BrokenSource(AbpipeError):
    """A source cannot be read to its end."""

    def __init__(self, source: str, why: str, offset: int, member: str | None = None) -> None:
        self.source, self.why, self.offset, self.member = source, why, offset, member
        place = f"byte {offset:,}" + (f", in {member}" if member else "")
        super().__init__(
            f"{source}: {why} (readable up to {place}). The store is as it was. "
            "Fetch the file again, or keep what was readable: `--keep-partial`"
        )


class UnknownSource(AbpipeError):
    """A source is nothing that abpipe can read."""

    def __init__(self, source: str, found: str) -> None:
        self.source, self.found = source, found
        super().__init__(
            f"{source}: {found}. Expected ImageNet-AB (XML files in a folder, tar or zip) "
            "or COCO-AB (JSON), compressed or not"
        )
