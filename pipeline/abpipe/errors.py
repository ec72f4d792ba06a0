"""Everything that can go wrong and that a user can act on. Facts are attributes, too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class AbpipeError(Exception):
    """Base of all errors that end in a message and exit code 1."""

    def __reduce__(self) -> tuple[Any, ...]:  # it may happen on another machine
        return (_again, (type(self), self.args, vars(self)))


def _again(kind: type[AbpipeError], arguments: tuple[Any, ...], facts: dict[str, Any]) -> Any:
    err = kind.__new__(kind, *arguments)
    vars(err).update(facts)
    return err


class BrokenSource(AbpipeError):
    """A source cannot be read to its end."""

    def __init__(self, source: str, why: str, offset: int, member: str | None = None) -> None:
        self.source, self.why, self.offset, self.member = source, why, offset, member
        place = f"byte {offset:,}" + (f", in {member}" if member else "")
        super().__init__(
            f"{source}: {why} (readable up to {place}). Nothing of it was stored. "
            "Fetch the file again, or keep what was readable: `--keep-partial`"
        )


class UnknownSource(AbpipeError):
    """A source is nothing that abpipe can read."""

    def __init__(self, source: str, found: str) -> None:
        self.source, self.found = source, found
        super().__init__(
            f"{source}: {found}. Expected ImageNet-AB (XML files in a folder, tar or zip), "
            "COCO-AB (JSON), page records (JSON, also in a folder, tar or zip), all compressed or "
            "not, or a folder of pictures"
        )


class SeveralContents(AbpipeError):
    """A source holds what belongs in more than one dataset, and one was named."""

    def __init__(self, source: str, contents: Iterable[str], dataset: str) -> None:
        self.source, self.contents, self.dataset = source, tuple(contents), dataset
        super().__init__(
            f"{source} holds {' and '.join(self.contents)}, each a dataset of its own, so not all "
            f"of it is {dataset}. Leave out `--dataset`, or put them into folders of their own"
        )


class NoPages(AbpipeError):
    """Annotation records whose pages are not among the sources."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(
            f"{source} holds annotation records and no page. Name the pages with it: "
            f"`abpipe ingest PAGES {source}`"
        )


class NoKey(AbpipeError):
    """The key of the pseudonyms can neither be read nor made."""

    def __init__(self, path: object, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(
            f"{path}: no key for pseudonyms: {why}. Name another file: `--pseudonym-key FILE`. "
            "Without one, ids can only be kept as they are: `--keep-ids`"
        )


class OtherIds(AbpipeError):
    """A dataset would mix ids that cannot be told to be the same person's."""

    def __init__(self, dataset: str, has: str | None, given: str | None) -> None:
        self.dataset, self.has, self.given = dataset, has, given

        def told(key: str | None) -> str:
            return f"pseudonyms of the key {key}" if key else "ids as they are"

        super().__init__(
            f"{dataset} holds {told(has)}, and this would add {told(given)}: nobody could be told "
            "to be the same. Use the same key (`--pseudonym-key FILE`) and options, or another "
            "`--dataset`"
        )


class LostKey(AbpipeError):
    """People were forgotten with another key than the one at hand."""

    def __init__(self, dataset: str, key: str) -> None:
        self.dataset, self.key = dataset, key
        super().__init__(
            f"{dataset}: people were forgotten with the key {key}, and only that key tells who is "
            "to stay out. Name its file: `--pseudonym-key FILE`"
        )


class MissingSource(AbpipeError):
    """A path or a glob that names nothing."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        super().__init__(f"{pattern} does not exist. Check the path, or quote a glob")


class NeedsPlugin(AbpipeError):
    """A URL that nothing installed can read."""

    def __init__(self, url: str, scheme: str, why: str) -> None:
        self.url, self.scheme, self.why = url, scheme, why
        super().__init__(
            f"{url}: nothing that is installed reads {scheme}://: {why}. For s3 and http: "
            "`pip install 'abpipe[remote]'`; for gs: `pip install 'abpipe[gs]'`; for hf: "
            "`pip install 'abpipe[hf]'`; for others, fsspec's plug-in, as adlfs for az"
        )


class Refused(AbpipeError):
    """The other side does not let a URL be read or written."""

    def __init__(self, url: str, why: str) -> None:
        self.url, self.why = url, why
        super().__init__(
            f"{url}: access is refused: {why}. Give the credentials that its tools take, "
            "as AWS_PROFILE; for a public bucket, FSSPEC_S3_ANON=true"
        )


class Unreachable(AbpipeError):
    """The other side does not answer for a URL, or not as it should."""

    def __init__(self, url: str, why: str) -> None:
        self.url, self.why = url, why
        super().__init__(f"{url} cannot be reached: {why}. Check the URL and the network")


class LostConnection(AbpipeError):
    """A URL that could be read in part, and then no more."""

    def __init__(self, url: str, offset: int, size: int | None, why: str) -> None:
        self.url, self.offset, self.size, self.why = url, offset, size, why
        of = f" of {size:,}" if size is not None else ""
        super().__init__(
            f"{url}: the connection was lost at byte {offset:,}{of}, and could not be had again: "
            f"{why}. Nothing of it was stored. Try again when the network is back"
        )


class ChangedMeanwhile(AbpipeError):
    """A URL holds something else than when its reading began."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(
            f"{url} changed while it was read. Nothing of it was stored. Read it again"
        )


class NeedsParts(AbpipeError):
    """A zip archive on a server that sends whole files only."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(
            f"{url}: the server sends whole files only, and a zip is read from its end. "
            "Download it first, or pack it as a tar"
        )


class NoCluster(AbpipeError):
    """There is no cluster at an address."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(
            f"{address}: no cluster: {why}. Expected dask://HOST:PORT "
            "(`pip install 'abpipe[cluster]'`) or mpi:// (`pip install 'abpipe[mpi]'`)"
        )


class LostCluster(AbpipeError):
    """A cluster ended, or lost a task again and again, before the work was done."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(
            f"{address}: the cluster was lost: {why or 'it has ended'}. What was not committed was "
            "not stored. Run it again: what is in the store already is left alone"
        )


class NotShared(AbpipeError):
    """A machine of a cluster does not see the store's folder."""

    def __init__(self, store: object) -> None:
        self.store = store
        super().__init__(
            f"{store}: a machine of the cluster does not see this store. Its folder must be on a "
            "file system that all machines share, at the same path: `--store`"
        )


class LostRace(AbpipeError):
    """Another process has committed to a store behind a URL meanwhile."""

    def __init__(self, store: object) -> None:
        self.store = store
        super().__init__(
            f"{store}: another process has written to this store meanwhile. "
            "Nothing of it was stored. Run it again"
        )


class NotWritable(AbpipeError):
    """A store where no file can be replaced on condition."""

    def __init__(self, store: object, scheme: str) -> None:
        self.store, self.scheme = store, scheme
        super().__init__(
            f"{store}: stores are read from {scheme}://, and written in folders, on S3 (s3://) and "
            "on Google's storage (gs://) only. Write it in a folder, and copy that"
        )


class BrokenStore(AbpipeError):
    """A folder that should be a store cannot be read as one."""

    def __init__(self, store: object, why: str) -> None:
        self.store, self.why = store, why
        super().__init__(f"{store}: {why}. See what else is wrong: `abpipe check -s {store}`")


class WrongFormat(AbpipeError):
    """A store was written by a version of abpipe that lays stores out differently."""

    def __init__(self, store: object, found: object, expected: int) -> None:
        self.store, self.found, self.expected = store, found, expected
        super().__init__(
            f"{store}: the store has format {found}, this abpipe reads {expected}. "
            "Use the abpipe that wrote it (`written_by` in manifest.json), or ingest the sources "
            "again into a new store"
        )


class NoStore(AbpipeError):
    """There is no store in a folder."""

    def __init__(self, store: object) -> None:
        self.store = store
        super().__init__(f"{store} holds no store. Make one: `abpipe ingest SOURCE -s {store}`")


class SourceChanged(AbpipeError):
    """A source of that name is in the store already, with other content or options."""

    def __init__(self, source: str, what: str) -> None:
        self.source, self.what = source, what
        super().__init__(
            f"{source} is in the store already, with other {what}. Replace it: `--replace`. "
            "If it is another source, rename the file or folder"
        )


class NothingReadable(AbpipeError):
    """A source without a single good record."""

    def __init__(self, source: str, rejected: int, example: str) -> None:
        self.source, self.rejected, self.example = source, rejected, example
        super().__init__(
            f"{source}: no record could be read ({rejected:,} rejected; the first: {example}). "
            "Nothing of it was stored"
        )


class OtherClasses(AbpipeError):
    """An annotation file whose categories are not COCO's."""

    def __init__(self, source: str, strange: int) -> None:
        self.source, self.strange = source, strange
        super().__init__(
            f"{source}: {strange:,} of its categories are not among COCO's 80, by id and name: "
            "objects would get wrong classes. Nothing of it was stored. "
            "Only annotation files with COCO's own categories are read"
        )


class TooManyRejects(AbpipeError):
    """More rejects than the user allows."""

    def __init__(self, source: str, rejects: int, allowed: int, example: str) -> None:
        self.source, self.rejects, self.allowed, self.example = source, rejects, allowed, example
        super().__init__(
            f"{source}: {rejects:,} rejects, {allowed:,} allowed by --max-rejects "
            f"(the first: {example}). Nothing of it was stored"
        )


class WrongTool(AbpipeError):
    """A dataset would mix the records of two annotation tools."""

    def __init__(self, dataset: str, tool: str, source: str) -> None:
        self.dataset, self.tool, self.source = dataset, tool, source
        super().__init__(
            f"{source}: the dataset {dataset} holds records of the {tool} tool only. "
            "Choose another: `--dataset NAME`"
        )


class WhichDataset(AbpipeError):
    """A source that joins a dataset, and it is unclear which."""

    def __init__(self, source: str, datasets: Iterable[str]) -> None:
        self.source, self.datasets = source, tuple(datasets)
        first = "none: ingest its records first, or name a published one, imagenet-ab or coco-ab"
        held = ", ".join(self.datasets) or first
        super().__init__(
            f"{source}: pictures join a dataset of the store, which holds {held}. "
            "Say which: `--dataset NAME`"
        )


class BadName(AbpipeError):
    """A dataset's name that would not work in paths and queries."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name!r} is no name for a dataset: up to 40 of a-z, 0-9 and -, a letter first, "
            "as in my-pages"
        )


class Storage(AbpipeError):
    """The store's disk or folder does not take what is to be written."""

    def __init__(self, store: object, why: str) -> None:
        self.store, self.why = store, why
        super().__init__(
            f"{store}: cannot write: {why}. Nothing of it was stored. "
            "Free space or allow writing, or choose another folder: `--store STORE`"
        )


class Unconfirmed(AbpipeError):
    """A commit was made, and the disk does not say that it will be there after a power failure."""

    def __init__(self, store: object, why: str) -> None:
        self.store, self.why = store, why
        super().__init__(
            f"{store}: all was written, but the disk does not confirm it: {why}. "
            f"Look after the disk, then see what is there: `abpipe check -s {store}`"
        )


class LostWorker(AbpipeError):
    """A process that did part of the work is gone: killed by somebody, or for its memory."""

    def __init__(self) -> None:
        super().__init__(
            "a worker process has ended, as if killed (by the system, if memory ran out). Nothing "
            "of its source was stored. Run it again, with fewer processes: `--jobs 1`"
        )


class NotFound(AbpipeError):
    """A source or an annotator that the store does not hold."""

    def __init__(self, what: str, name: str, known: str) -> None:
        self.what, self.name, self.known = what, name, known
        super().__init__(f"the store holds no {what} {name!r}. {known}")


class BadQuery(AbpipeError):
    """DuckDB refuses a query."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the query failed: {why}\nSee the tables: `abpipe sql 'SHOW TABLES'`")


class NeedsFile(AbpipeError):
    """A format that cannot go to a terminal or a pipe."""

    def __init__(self, form: str) -> None:
        self.form = form
        super().__init__(f"{form} needs a file to be written to: `-o answer.{form}`")


class UnknownKind(AbpipeError):
    """A kind of archive was asked for that the generator cannot make."""

    def __init__(self, kind: str, kinds: Iterable[str]) -> None:
        self.kind, self.kinds = kind, tuple(kinds)
        super().__init__(f"{kind!r} is no kind of archive. Choose one of: {', '.join(self.kinds)}")


class UnknownMotion(AbpipeError):
    """A motion model was asked for that the generator does not have."""

    def __init__(self, motion: str, models: Iterable[str]) -> None:
        self.motion, self.models = motion, tuple(models)
        super().__init__(f"{motion!r} is no motion model. Choose one of: {', '.join(self.models)}")


class BadCount(AbpipeError):
    """An archive of no pictures, or of more than there are, was asked for."""

    def __init__(self, count: int, most: int) -> None:
        self.count, self.most = count, most
        super().__init__(f"cannot make {count} pictures. Expected 1 to {most:,}, e.g. `-n 1000`")


class InTheWay(AbpipeError):
    """The folder holds something that is not of the same kind's making."""

    def __init__(self, path: object) -> None:
        self.path = path
        super().__init__(f"{path} is in the way and would be lost. Choose another folder")


class NeedsFormat(AbpipeError):
    """A file for what is only to be looked at."""

    def __init__(self, output: str) -> None:
        self.output = output
        super().__init__(
            f"a table shows the first rows only: choose a format for {output}, as in `--format csv`"
        )


class BadOutput(AbpipeError):
    """An answer's file cannot be written."""

    def __init__(self, output: str, why: str) -> None:
        self.output, self.why = output, why
        super().__init__(f"{output} cannot be written: {why}. Choose another place: `-o FILE`")


class NoOutput(AbpipeError):
    """Standard output takes no more."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"standard output cannot be written: {why}. Send it somewhere else")


class SameName(AbpipeError):
    """Two sources of one call would have the same name in a dataset."""

    def __init__(self, name: str, dataset: str) -> None:
        self.name, self.dataset = name, dataset
        super().__init__(
            f"two sources are called {name}, and {dataset} can hold one of that name. "
            "Rename one of the files or folders, or ingest it with another `--dataset`"
        )


class SeveralDatasets(AbpipeError):
    """A source's name stands in more than one dataset."""

    def __init__(self, name: str, datasets: Iterable[str]) -> None:
        self.name, self.datasets = name, tuple(datasets)
        super().__init__(
            f"{name} is in several datasets: {', '.join(self.datasets)}. Name one: `--dataset NAME`"
        )


class NotDerived(AbpipeError):
    """A table was to be derived that is not made by a query."""

    def __init__(self, table: str, tables: Iterable[str]) -> None:
        self.table, self.tables = table, tuple(tables)
        super().__init__(f"{table} is no derived table. Choose among: {', '.join(self.tables)}")


class TooLittleMemory(AbpipeError):
    """A query of a derived table cannot do with the memory it may use."""

    def __init__(self, table: str, memory_mb: int) -> None:
        self.table, self.memory_mb = table, memory_mb
        super().__init__(
            f"{table} cannot be derived in {memory_mb:,} MiB. Nothing was stored. "
            "Allow more, or run fewer queries at once: `--memory`, `--jobs`"
        )


class NeedsDataset(AbpipeError):
    """A store holds several datasets, and one is to be named."""

    def __init__(self, datasets: Iterable[str]) -> None:
        self.datasets = tuple(datasets)
        super().__init__(f"the store holds {', '.join(self.datasets)}. Name one: `--dataset NAME`")


class NeedsInstances(AbpipeError):
    """The published COCO targets were asked for, and COCO's own annotations are not there."""

    def __init__(self, dataset: str, missing: int, total: int) -> None:
        self.dataset, self.missing, self.total = dataset, missing, total
        super().__init__(
            "the published loader looks at the classes in each picture's own COCO annotations, "
            f"which {missing:,} of {total:,} pictures of {dataset} lack. Ingest them first: "
            f"`abpipe ingest instances_train2014.json --dataset {dataset}`, or leave pictures out: "
            '--where "image_id IN (SELECT image_id FROM images WHERE width > 0)"'
        )


class NothingChosen(AbpipeError):
    """An export without a single picture."""

    def __init__(self, dataset: str, where: str | None) -> None:
        self.dataset, self.where = dataset, where
        reason = f"meets the condition {where}" if where else "is there"
        super().__init__(f"{dataset}: no picture {reason}. Nothing was written")


class BadSplit(AbpipeError):
    """Shares of a split that do not make up a whole."""

    def __init__(self, split: str) -> None:
        self.split = split
        super().__init__(
            f"{split!r} is no split: expected names with shares that add up to 1, "
            "as in train=0.9,val=0.1"
        )


class BadGrid(AbpipeError):
    """Dwell maps of no cell, or of more than a picture has pixels for."""

    def __init__(self, grid: int, largest: int) -> None:
        self.grid, self.largest = grid, largest
        super().__init__(
            f"a dwell map has 1 to {largest} rows and columns, and not {grid:,}: pictures have "
            "hardly more pixels. 14 or 32 will do for training: `--heatmap 32`"
        )


class UnknownForm(AbpipeError):
    """A form of export that there is not."""

    def __init__(self, form: str, forms: Iterable[str]) -> None:
        self.form, self.forms = form, tuple(forms)
        super().__init__(f"{form!r} is no form of export. Choose one of: {', '.join(self.forms)}")


class NeedsExtra(AbpipeError):
    """Something is to be written whose library is not installed."""

    def __init__(self, what: str, library: str, extra: str | None = None) -> None:
        self.what, self.library, self.extra = what, library, extra or what
        super().__init__(
            f"{what} needs the library {library}, which is not installed. "
            f"Install it: `pip install 'abpipe[{self.extra}]'`"
        )


class HoldsNoPictures(AbpipeError):
    """A form of export that pictures have no place in."""

    def __init__(self, form: str, forms: Iterable[str]) -> None:
        self.form, self.forms = form, tuple(forms)
        super().__init__(
            f"{form} holds no pictures. Leave out `--images`, or choose one of: "
            f"{', '.join(self.forms)}"
        )


class NoPictures(AbpipeError):
    """A folder that has none of an export's pictures."""

    def __init__(self, folder: object, pictures: int) -> None:
        self.folder, self.pictures = folder, pictures
        super().__init__(
            f"{folder} holds none of the {pictures:,} pictures. Files are found by their names, "
            "as in n01440764_105.JPEG: check the folder"
        )


class UnreadablePicture(AbpipeError):
    """A picture's file that an export should hold, and that cannot be read."""

    def __init__(self, picture: object, why: str) -> None:
        self.picture, self.why = picture, why
        super().__init__(
            f"{picture} cannot be read: {why}. What was exported before is as it was. "
            "Mend the file or remove it: a picture may be missing"
        )


class PartInTheWay(AbpipeError):
    """A part of a split whose name means something else to those who read the form."""

    def __init__(self, form: str, part: str) -> None:
        self.form, self.part = form, part
        super().__init__(
            f"{form} takes the part {part!r} of a split for all parts. Give it another name"
        )


class CannotExport(AbpipeError):
    """The disk or folder does not take an export."""

    def __init__(self, out: object, why: str) -> None:
        self.out, self.why = out, why
        super().__init__(
            f"{out} cannot be written: {why}. What was there before is as it was. "
            "Free space or allow writing, or choose another folder"
        )


class NoTargets(AbpipeError):
    """A folder that should hold exported targets does not."""

    def __init__(self, folder: object, why: str) -> None:
        self.folder, self.why = folder, why
        super().__init__(f"{folder}: {why}. Make targets: `abpipe export {folder}`")


class WrongTargets(AbpipeError):
    """Targets were written by a version of abpipe that lays them out differently."""

    def __init__(self, folder: object, found: object, expected: int) -> None:
        self.folder, self.found, self.expected = folder, found, expected
        super().__init__(
            f"{folder}: the targets have format {found}, this abpipe reads {expected}. "
            "Export them again, or use the abpipe that wrote them (`written_by` in targets.json)"
        )


class BrokenTargets(AbpipeError):
    """Targets are not what their targets.json says."""

    def __init__(self, folder: object, file: str, why: str) -> None:
        self.folder, self.file, self.why = folder, file, why
        super().__init__(f"{folder}: {file} {why}. Copy the folder anew, or export it again")


class UnknownNames(AbpipeError):
    """Names of pictures that are not among the targets."""

    def __init__(self, unknown: int, total: int, examples: Iterable[str]) -> None:
        self.unknown, self.total, self.examples = unknown, total, tuple(examples)
        super().__init__(
            f"{unknown:,} of {total:,} names are not among the targets, as "
            f"{', '.join(self.examples)}. Export all pictures, or ask for -1 there: "
            "`rows(names, missing=-1)`"
        )


class UnmatchedPictures(AbpipeError):
    """Pictures that should train, and have no targets."""

    def __init__(
        self,
        folder: object,
        lost: int,
        total: int,
        examples: Iterable[str],
        known: Iterable[str],
    ) -> None:
        self.folder, self.lost, self.total = folder, lost, total
        self.examples, self.known = tuple(examples), tuple(known)
        advice = (
            "Are they another set's? Name the pictures that were exported"
            if lost == total > 1
            else 'Leave such pictures out, unmatched="drop", or train on them without targets, '
            'unmatched="keep"; if it should have them, export it again'
        )
        super().__init__(
            f"{lost:,} of {total:,} pictures have no targets in {folder}, as "
            f"{', '.join(self.examples)}; it has those of {', '.join(self.known)} and so on. "
            f"{advice}"
        )


class NamelessPictures(AbpipeError):
    """A dataset of pictures that says nothing about what each is called."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(
            f"{kind}: nothing tells what its pictures are called. Give their names, a list in the "
            'same order: `ids=[...]`; of a Hugging Face dataset the column, `ids="file_name"`; '
            "or map a stream of WebDataset's over `WithByproducts`"
        )


class TransformedPictures(AbpipeError):
    """A dataset transforms its pictures by itself, so targets cannot follow."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(
            f"{kind} transforms its pictures, and targets could not follow. Make it without "
            "transforms, and give what cuts to `see=`, what follows to `transform=`"
        )


class NoFeatures(AbpipeError):
    """A model has no layer of the kind that a head needs."""

    def __init__(self, model: str, why: str) -> None:
        self.model, self.why = model, why
        super().__init__(
            f"{model}: {why}. Name the classifier, `luab(model, at=...)`; or, for a model that "
            "returns features, say how many, `luab(model, classes=..., features=...)`"
        )


class NoNetwork(AbpipeError):
    """A network that cannot be made by its name."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(
            f"{name!r} makes no network: {why}. Choose small, or MODULE:FUNCTION, as in "
            "torchvision.models:resnet50"
        )


class EmptyFolder(AbpipeError):
    """A folder of pictures that holds none."""

    def __init__(self, folder: object) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} holds no pictures, nor do the folders in it. Files are known by their "
            "extensions, as in n01440764_105.JPEG: check the folder"
        )


class NeedsLibrary(AbpipeError):
    """Training needs a library that is not installed."""

    def __init__(self, library: str) -> None:
        self.library = library
        super().__init__(
            f"training needs {library}, which is not installed. "
            "Install it: `pip install 'abpipe[torch]'`"
        )


class EarlierRun(AbpipeError):
    """The folder of a run holds one already."""

    def __init__(self, folder: object) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} holds a run already. Continue it, `--resume`, or choose another folder"
        )


class OtherRun(AbpipeError):
    """A run to be continued that was begun with other settings."""

    def __init__(self, checkpoint: object, was: Iterable[str], now: Iterable[str]) -> None:
        self.checkpoint, self.was, self.now = checkpoint, tuple(was), tuple(now)
        super().__init__(
            f"{checkpoint} was begun with {', '.join(self.was)}, not {', '.join(self.now)}. "
            "Continue it with the same, or choose another folder"
        )


class UnknownLayer(AbpipeError):
    """Something was to be drawn that there is not."""

    def __init__(self, layer: str, layers: Iterable[str]) -> None:
        self.layer, self.layers = layer, tuple(layers)
        super().__init__(f"{layer!r} is nothing to draw. Choose among: {','.join(self.layers)}")


class UnknownEnding(AbpipeError):
    """A picture was to be written to a file of a kind that there is not."""

    def __init__(self, output: str, endings: Iterable[str]) -> None:
        self.output, self.endings = output, tuple(endings)
        super().__init__(
            f"{output}: its name says no kind of picture. End it in one of: "
            f"{', '.join(self.endings)}"
        )


class NoSize(AbpipeError):
    """A picture is to be drawn whose size nothing tells."""

    def __init__(self, image_id: str, dataset: str) -> None:
        self.image_id, self.dataset = image_id, dataset
        super().__init__(
            f"{image_id}: nothing tells how large this picture is, and so where anything is on it. "
            f"Ingest its file: `abpipe ingest FOLDER --dataset {dataset}`"
        )


class NoPage(AbpipeError):
    """A page is to be drawn of a picture that shared none."""

    def __init__(self, image_id: str) -> None:
        self.image_id = image_id
        super().__init__(
            f"{image_id}: no page of several pictures is known that it was shown on. "
            "Leave out `--page`"
        )


class NoPicture(AbpipeError):
    """A folder that does not have a picture."""

    def __init__(self, folder: object, image_id: str) -> None:
        self.folder, self.image_id = folder, image_id
        super().__init__(
            f"{folder} holds no picture of {image_id}. Files are found by their names, as in "
            "n01440764_105.JPEG: check the folder, or leave out `--images` for a plain frame"
        )


class BadPicture(AbpipeError):
    """A picture's file cannot be read."""

    def __init__(self, path: object, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(
            f"{path} cannot be read as a picture: {why}. Put a good copy there, or leave out "
            "`--images` for a plain frame"
        )


class OtherShape(AbpipeError):
    """A picture's file has another shape than the store says."""

    def __init__(
        self, path: object, found: tuple[int, int], expected: tuple[int, int], dataset: str
    ) -> None:
        self.path, self.found, self.expected, self.dataset = path, found, expected, dataset
        super().__init__(
            f"{path} is {found[0]} x {found[1]} px and the store says {expected[0]} x "
            f"{expected[1]}: places would be wrong. Have the store look at the files: "
            f"`abpipe ingest FOLDER --dataset {dataset}`"
        )


class MissingPart(AbpipeError):
    """Targets lack what training needs."""

    def __init__(self, folder: object, why: str, option: str) -> None:
        self.folder, self.why, self.option = folder, why, option
        super().__init__(
            f"{folder}: targets to train on, but {why}. Export them anew: `abpipe export "
            f"{folder} {option}`"
        )
