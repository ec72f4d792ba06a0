"""The command line: parse, call one function, show one result."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from abpipe import __version__

app = typer.Typer(
    name="abpipe",
    help="Annotation byproducts (mouse traces, clicks, hovers, icon drags) as tables.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    """How `abpipe sql` answers."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


class Form(StrEnum):
    """What `abpipe export` writes."""

    memmap = "memmap"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    webdataset = "webdataset"
    hf = "hf"
    coco = "coco"
    tfrecord = "tfrecord"


class Reading(StrEnum):
    """How `abpipe export` reads clicks."""

    final = "final"
    published = "published"


class Method(StrEnum):
    """What `abpipe train` compares."""

    baseline = "baseline"
    luab = "luab"
    random = "random"
    dwell = "dwell"


class Precision(StrEnum):
    """What `abpipe train` computes in."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class Optimizer(StrEnum):
    """What `abpipe train` takes its steps with."""

    adamw = "adamw"
    sgd = "sgd"


class Kind(StrEnum):
    """What `abpipe synth` makes."""

    imagenet = "imagenet"
    coco = "coco"
    pages = "pages"


class Motion(StrEnum):
    """How hands move in what `abpipe synth` makes."""

    aimed = "aimed"
    hasty = "hasty"
    winding = "winding"
    drifting = "drifting"
    darting = "darting"


StoreDir = Annotated[
    str, typer.Option("-s", "--store", envvar="ABPIPE_STORE", help="Folder or URL of the store")
]
Dataset = Annotated[str | None, typer.Option("--dataset", help="Name of the dataset")]
Jobs = Annotated[
    int | None, typer.Option("-j", "--jobs", min=1, help="How much at once (default: all cores)")
]
ClusterAt = Annotated[
    str | None, typer.Option("--cluster", help="Work there: dask://HOST:PORT, or mpi://")
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Say only errors, and for whom it waits")
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show where an error came from")]
PseudonymKey = Annotated[
    Path | None,
    typer.Option("--pseudonym-key", help="Key of the pseudonyms (default: one of your own)"),
]
Images = Annotated[Path | None, typer.Option(help="Folder of the pictures, to put them in, too")]
OUTPUT = typer.Option("-o", "--output", help="File to write")
Where = Annotated[str | None, typer.Option(help="SQL condition on pictures and records")]
Annotator = Annotated[str | None, typer.Option(help="An annotator's id, or its pseudonym")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON")]

STORE = "abstore"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"abpipe {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version")
    ] = False,
) -> None:
    """Annotation byproducts (mouse traces, clicks, hovers, icon drags) as tables."""


@app.command()
def ingest(
    sources: Annotated[list[str], typer.Argument(help="Archives, folders, files, URLs or globs")],
    store: StoreDir = STORE,
    dataset: Dataset = None,
    jobs: Jobs = None,
    cluster: ClusterAt = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Read the first files or records only")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a source that has changed")
    ] = False,
    keep_partial: Annotated[
        bool, typer.Option("--keep-partial", help="Keep what is readable of a broken source")
    ] = False,
    max_rejects: Annotated[
        int | None, typer.Option(min=0, help="Fail if more cannot be read")
    ] = None,
    keep_ids: Annotated[
        bool, typer.Option("--keep-ids", help="Keep the ids of people in page records")
    ] = False,
    pseudonymize: Annotated[
        bool, typer.Option("--pseudonymize", help="Hide ids in the published archives, too")
    ] = False,
    pseudonym_key: PseudonymKey = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Add sources to a store: `abpipe ingest imagenet_ab_v1_0.tar.gz`."""
    from abpipe.events.ingest import ingest as run
    from abpipe.process import spare_pandas
    from abpipe.progress import weighed

    if keep_ids and pseudonymize:
        raise typer.BadParameter("choose between --keep-ids and --pseudonymize")

    spare_pandas()
    with weighed(quiet or json) as progress:
        done = run(
            *sources,
            store=store,
            dataset=dataset,
            jobs=jobs,
            cluster=cluster,
            limit=limit,
            replace=replace,
            keep_partial=keep_partial,
            max_rejects=max_rejects,
            keep_ids=keep_ids,
            pseudonymize=pseudonymize,
            pseudonym_key=pseudonym_key,
            progress=progress,
        )
    if json or not quiet:
        from abpipe import render

        render.as_json(done) if json else render.ledgers(done, pseudonym_key)


@app.command()
def derive(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables, with what they read (default: all)")
    ] = None,
    store: StoreDir = STORE,
    dataset: Dataset = None,
    jobs: Jobs = None,
    cluster: ClusterAt = None,
    memory: Annotated[
        int | None, typer.Option(min=64, help="MiB for all queries (default: 1024 each)")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how tables come about, and make none")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make tables of answers: `abpipe derive`, or `abpipe derive clicks` with what it reads."""
    from abpipe import render
    from abpipe.process import spare_pandas
    from abpipe.progress import stepped

    spare_pandas()
    if explain:
        from abpipe.derived.explain import explain as describe

        found = describe(*(tables or ()), store=store)
        render.as_json(found) if json else render.explanations(found)
        return
    from abpipe.derived.derive import derive as run

    with stepped(quiet or json) as progress:
        done = run(
            *(tables or ()),
            store=store,
            dataset=dataset,
            jobs=jobs,
            cluster=cluster,
            memory_mb=memory,
            progress=progress,
        )
    if json or not quiet:
        render.as_json(done) if json else render.derived(done)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="Folder to write")],
    form: Annotated[Form, typer.Option("--format", help="What to write")] = Form.memmap,
    store: StoreDir = STORE,
    dataset: Dataset = None,
    reading: Annotated[
        Reading, typer.Option(help="Clicks as they ended, or as the published loaders read them")
    ] = Reading.final,
    where: Where = None,
    split: Annotated[
        str | None, typer.Option(help="Parts by a hash of the image id: train=0.9,val=0.1")
    ] = None,
    heatmap: Annotated[
        int | None,
        typer.Option(min=1, max=512, help="Dwell maps, too, of so many rows and columns"),
    ] = None,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Coarsen times")] = False,
    images: Images = None,
    cluster: ClusterAt = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write training targets: `abpipe export targets`."""
    from abpipe import render
    from abpipe.process import spare_pandas
    from abpipe.progress import stepped
    from abpipe.targets.export import export as run
    from abpipe.targets.split import parse

    if form is not Form.hf:  # its library cannot do without
        spare_pandas()
    with stepped(quiet or json) as progress:
        done = run(
            out,
            form=form.value,
            store=store,
            dataset=dataset,
            reading=reading.value,
            where=where,
            split=parse(split) if split else None,
            heatmap=heatmap,
            anonymous=anonymous,
            images=images,
            cluster=cluster,
            progress=progress,
        )
    if json or not quiet:
        render.as_json(done) if json else render.exported(done)


@app.command()
def show(
    image_id: Annotated[
        str | None, typer.Argument(help="A picture: its id, or a file's name; not with --sample")
    ] = None,
    store: StoreDir = STORE,
    dataset: Dataset = None,
    images: Images = None,
    output: Annotated[Path | None, OUTPUT] = None,
    annotator: Annotator = None,
    page: Annotated[
        bool, typer.Option("--page", help="The whole page that the picture was shown on")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, max=400, help="A sheet of so many pictures")
    ] = None,
    where: Where = None,
    layers: Annotated[
        str | None, typer.Option(help="What to draw: trace,clicks,hull,boxes,truth,dwell")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.01, help="Of a replay; 1 is real time")] = 1,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw what annotators did: `abpipe show n02086910_104 --images FOLDER -o replay.html`.

    The file's ending says what it is: .png, .jpg, .webp, .svg, .pdf, .gif (a replay) or .html (a
    page to play it). Without -o, it is a PNG in this folder, called as the picture.
    """
    from abpipe.process import spare_pandas
    from abpipe.view import save

    if (image_id is None) == (sample is None):
        raise typer.BadParameter("name a picture, or a --sample of so many")
    if where if sample is None else (page or annotator):
        raise typer.BadParameter("--where is for a --sample, --page and --annotator for a picture")
    spare_pandas()
    done = save(
        output,
        image_id,
        speed,
        store=store,
        dataset=dataset,
        images=images,
        annotator=annotator,
        page=page,
        sample=sample,
        where=where,
        layers=layers,
    )
    if not quiet:
        typer.echo(done)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="SQL; else it is asked for, or read")] = None,
    store: StoreDir = STORE,
    form: Annotated[Format, typer.Option("--format", help="How to answer")] = Format.table,
    output: Annotated[Path | None, OUTPUT] = None,
    dataset: Dataset = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Query a store: `abpipe sql "SELECT count(*) FROM images"`."""
    from abpipe.query import answer, converse

    if query is None and sys.stdin.isatty():
        converse(store, dataset)
    else:
        answer(query or sys.stdin.read(), store, form.value, output, dataset)


@app.command()
def info(
    store: StoreDir = STORE,
    dataset: Dataset = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what is in a store: sources, rows, ledgers, coverage, sizes."""
    from abpipe import render
    from abpipe.summary import summarize

    found = summarize(store, dataset)
    if json:
        render.as_json(found)
    else:
        render.summary(found)


@app.command()
def check(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Sources to look through instead of a store")
    ] = None,
    store: StoreDir = STORE,
    dataset: Dataset = None,
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Verify a store, or sources without ingesting them; exit 1 if there is an error."""
    from abpipe import render
    from abpipe.audit import check as run
    from abpipe.process import spare_pandas
    from abpipe.progress import watched, weighed

    spare_pandas()
    with (weighed if sources else watched)(quiet or json) as progress:
        found = run(*(sources or ()), store=store, dataset=dataset, jobs=jobs, progress=progress)
    if json:
        render.as_json(found)
    elif not quiet:
        render.findings(found)
    raise typer.Exit(any(finding.level == "error" for finding in found))


@app.command()
def forget(
    annotator: Annotator = None,
    source: Annotated[str | None, typer.Option(help="A source's name")] = None,
    store: StoreDir = STORE,
    dataset: Dataset = None,
    pseudonym_key: PseudonymKey = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Remove every trace of an annotator or a source from a store."""
    from abpipe import render
    from abpipe.progress import watched
    from abpipe.removal import forget as run

    if (annotator is None) == (source is None):
        raise typer.BadParameter("name one of --annotator and --source")
    with watched(quiet or json) as progress:
        done = run(
            store,
            annotator=annotator,
            source=source,
            dataset=dataset,
            pseudonym_key=pseudonym_key,
            progress=progress,
        )
    if json:
        render.as_json(done)
    elif not quiet:
        render.forgotten(done)


@app.command()
def report(
    output: Annotated[Path, OUTPUT] = Path("report.html"),
    store: StoreDir = STORE,
    dataset: Dataset = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write one page about a store: what there is, what is wrong, who did the work."""
    from abpipe import render
    from abpipe.process import spare_pandas
    from abpipe.progress import watched
    from abpipe.view.report import report as run

    spare_pandas()
    with watched(quiet or json) as progress:
        done = run(output, store, dataset, progress)
    if json or not quiet:
        render.as_json(done) if json else render.reported(done)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write to")],
    kind: Annotated[Kind, typer.Option(help="Which archive")] = Kind.imagenet,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Pictures")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes")] = 0,
    defects: Annotated[bool, typer.Option("--defects", help="Plant every known defect")] = False,
    pictures: Annotated[bool, typer.Option("--pictures", help="Draw the pictures, too")] = False,
    cheats: Annotated[
        float, typer.Option(min=0, max=1, help="Share of annotators who do not do the work")
    ] = 0,
    motion: Annotated[Motion, typer.Option(help="How hands move")] = Motion.aimed,
    jobs: Jobs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make an archive in the exact raw format, with the truth beside it."""
    from abpipe.progress import counted
    from abpipe.synth import synth as run

    with counted(f"synth {kind.value}", count, quiet) as progress:
        made = run(
            out,
            kind=kind.value,
            count=count,
            seed=seed,
            defects=defects,
            pictures=pictures,
            cheats=cheats,
            motion=motion.value,
            jobs=jobs,
            progress=progress,
        )
    if not quiet:
        typer.echo(made.archive)


@app.command()
def train(
    targets: Annotated[Path, typer.Argument(help="Folder of targets, as exported")],
    images: Annotated[Path, typer.Option(help="Folder of the pictures")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the run")] = Path("runs"),
    methods: Annotated[
        list[Method] | None, typer.Option("--method", help="One or more (default: the first three)")
    ] = None,
    net: Annotated[
        str, typer.Option(help="small, or MODULE:FUNCTION, as torchvision.models:resnet50")
    ] = "small",
    size: Annotated[int, typer.Option(min=8, help="Side of the cut pictures, in pixels")] = 224,
    scale: Annotated[
        float, typer.Option(min=0.01, max=1, help="Smallest share of the area that a crop keeps")
    ] = 0.08,
    lambda_: Annotated[
        float, typer.Option("--lambda", min=0, help="Weight of the byproducts' loss")
    ] = 1.0,
    weighted: Annotated[
        bool, typer.Option("--weighted", help="Weigh clicks by their annotators' weight")
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, help="How often all pictures are seen")] = 10,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures a step")] = 64,
    lr: Annotated[float, typer.Option(help="Largest learning rate")] = 1e-3,
    weight_decay: Annotated[float, typer.Option(min=0, help="Weight decay")] = 0.05,
    optimizer: Annotated[Optimizer, typer.Option(help="How steps are taken")] = Optimizer.adamw,
    precision: Annotated[Precision, typer.Option(help="Mixed or not")] = Precision.fp32,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same run")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures")] = 2,
    device: Annotated[str | None, typer.Option(help="Such as cpu or cuda:1")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a network with byproducts, and without: `abpipe train targets --images DIR`."""
    from abpipe import render
    from abpipe.experiment import Settings
    from abpipe.experiment import train as run
    from abpipe.progress import trained

    chosen = methods or [Method.baseline, Method.luab, Method.random]
    settings = Settings(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        optimizer=optimizer.value,
        weighted=weighted,
        seed=seed,
        workers=workers,
        precision=precision.value,
        compile=compiled,
        device=device,
    )
    with trained(quiet or json) as progress:
        done = run(
            targets,
            images,
            out=out,
            methods=[method.value for method in chosen],
            net=net,
            size=size,
            scale=scale,
            lambda_=lambda_,
            settings=settings,
            resume=resume,
            progress=progress,
        )
    if json or not quiet:
        render.as_json(done) if json else render.trained(done)
