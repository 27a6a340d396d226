"""The target of a job: its arrays decided as metadata first, its root written last.

Until the root's documents are there, no reader opens the target as a group: an unfinished
job passes for nothing that it is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numcodecs
import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.storage import MemoryStore

from bigrad.errors import TargetError
from bigrad.jobs.chunks import Writer, writer_of
from bigrad.jobs.journal import read_job
from bigrad.jobs.source import Layout, Source, layout_of, quiet_zarr
from bigrad.jobs.storage import (
    MARKER,
    Place,
    beside,
    blocked_by,
    describe,
    describe_path,
    documents,
    is_hierarchy,
    is_located,
    is_occupied,
    is_unfinished,
    mark_of,
    open_store,
    put,
    relation,
    remove,
    replace_contents,
)

__all__ = [
    "CODECS",
    "ResultArray",
    "begin",
    "check_resumable",
    "check_target",
    "finish",
    "open_target",
    "result_array",
    "with_history",
]


# By name, the codec of zarr version 3 and its configuration; Blosc shuffles the bytes, or the
# bits, of values before it compresses them.
CODECS: Mapping[str, tuple[str, Mapping[str, Any]] | None] = {
    "none": None,
    "lz4": ("blosc", {"cname": "lz4", "clevel": 5, "shuffle": "shuffle"}),
    "blosc-zstd": ("blosc", {"cname": "zstd", "clevel": 1, "shuffle": "bitshuffle"}),
    "zstd": ("zstd", {"level": 0}),
    "gzip": ("gzip", {"level": 5}),
}

# Numbers that Blosc has for its ways to shuffle, in zarr version 2.
_SHUFFLES = {"shuffle": 1, "bitshuffle": 2}

# Filters of zarr version 2 that return every byte, whatever it is part of.
_LOSSLESS = frozenset(
    {
        "adler32",
        "blosc",
        "bz2",
        "crc32",
        "crc32c",
        "fletcher32",
        "gzip",
        "lz4",
        "lzma",
        "shuffle",
        "zlib",
        "zstd",
    }
)


def open_target(place: Place, *, options: Mapping[str, Any] | None = None) -> Store:
    """Open the place to write to, a URL with these options; nothing is created yet."""
    store = open_store(place, read_only=False, error=TargetError, options=options)
    if store.read_only:
        msg = f"`target` {describe(store)!r} is read-only; open it for writing"
        raise TargetError(msg)
    if not store.supports_deletes:
        msg = (
            f"`target` {describe(store)!r} is of a kind that deletes nothing, and a job must take "
            "away its mark when it is done; write to a directory and pack that"
        )
        raise TargetError(msg)
    return store


def check_target(source: Store, target: Store, *, overwrite: bool, resume: bool) -> None:
    """Refuse a target that would destroy something, or cannot be resumed.

    Raises
    ------
    TargetError
        Where the target is the source, lies inside it or contains it; where it exists and
        `overwrite` is False; where it exists and is not a zarr hierarchy, or may be the source
        for all that can be known; where it is seen that it cannot be made.
    """
    name = describe(target)
    how = relation(target, source)
    if how is not None:
        what = "is the source" if how == "is" else f"{how} the source {describe(source)!r}"
        msg = (
            f"`target` {name!r} {what}: the job would destroy what it reads; choose another place"
        )
        raise TargetError(msg)
    occupied = is_occupied(target)
    if occupied and not is_hierarchy(target):
        msg = (
            f"`target` {name!r} exists and is not a zarr hierarchy: bigrad does not replace it, "
            "not with `overwrite` either; choose another place"
        )
        raise TargetError(msg)
    blocked = blocked_by(target)
    if blocked is not None:
        msg = (
            f"`target` {name!r} cannot be written to: {str(blocked)!r} is not a directory that "
            "may be written to; choose another place"
        )
        raise TargetError(msg)
    unfinished = not overwrite and read_job(target) is not None
    if not occupied or (unfinished and resume):
        return
    if not overwrite:
        raise TargetError(_occupied(target, unfinished=unfinished))
    if not (is_located(source) and is_located(target)):
        msg = (
            f"`target` {name!r} exists, and it cannot be told from the source "
            f"{describe(source)!r}, which overwriting it might destroy; remove it yourself, or "
            "choose another place"
        )
        raise TargetError(msg)


def check_resumable(target: Store, job: str, *, complete: bool) -> None:
    """Refuse to go on with a target that is not the one that a job left.

    Parameters
    ----------
    target : zarr.abc.store.Store
        Where the job wrote.
    job : str
        Its identity.
    complete : bool
        Whether all of it is done, so that its mark may be gone already.

    Raises
    ------
    TargetError
        Where the mark of the job is not there.
    """
    found = mark_of(target)
    if found == job or (found is None and complete and is_hierarchy(target)):
        return
    msg = (
        f"`target` {describe(target)!r} is not as the unfinished job left it: it was removed or "
        "replaced since, so that the job cannot be continued; ask for `overwrite` "
        "(`--overwrite`) to start over"
    )
    raise TargetError(msg)


def _occupied(target: Store, *, unfinished: bool) -> str:
    name = describe(target)
    start_over = "to replace it, ask for `overwrite` (`--overwrite`)"
    if unfinished:
        return (
            f"`target` {name!r} holds an unfinished job: continue it with `resume` (`--resume`); "
            f"{start_over}"
        )
    if is_unfinished(target):
        return (
            f"`target` {name!r} holds an unfinished job, whose journal "
            f"{describe_path(beside(target))!r} is not there, so that it cannot be continued; "
            f"{start_over}"
        )
    return f"`target` {name!r} exists already, and is finished; {start_over}"


@dataclass(frozen=True, eq=False)
class ResultArray:
    """An array of the target, attributes aside.

    Attributes
    ----------
    layout : Layout
        Shape, dtype, chunks and number of codecs.
    options : mapping
        The remaining arguments of `zarr.create_array`.
    """

    layout: Layout
    options: Mapping[str, Any]

    def stage(self, store: Store, name: str, attributes: Mapping[str, Any]) -> "zarr.Array[Any]":
        """Create the array's metadata in `store`."""
        return zarr.create_array(
            store,
            name=name,
            shape=self.layout.shape,
            dtype=self.layout.dtype,
            chunks=self.layout.chunk,
            shards=self.layout.shard,
            fill_value=self.layout.dtype.type(np.nan),
            attributes={**self.options["attributes"], **attributes},
            **{key: value for key, value in self.options.items() if key != "attributes"},
        )

    def writer(self, name: str, store: Store, concurrency: int) -> Writer:
        """Return what writes the array called `name` in `store`."""
        return writer_of(self.stage(MemoryStore(), name or "result", {}), concurrency, store)


def result_array(
    source: Source,
    variable: str,
    dtype: np.dtype[Any],
    chunks: Mapping[str, int],
    shards: Mapping[str, int],
    codec: str | None = None,
) -> ResultArray:
    """Decide an array of the target after the variable that it is the derivative of.

    Chunks, shards and codecs are the source's where nothing else is asked for; `codec` is a name
    in `CODECS`, and takes the place of the source's compressors. Filters are
    kept only where they return every bit of a float: those that round (`BitRound`, `Quantize`,
    `FixedScaleOffset`, ...) and those made for integers (`Delta`, ...) are left out.

    Raises
    ------
    TargetError
        Where the chunks do not divide the shards, or zarr refuses the combination.
    """
    array = source.array(variable)
    dims = tuple(map(str, source.dataset[variable].dims))
    dtype = dtype.newbyteorder("=")
    layout = Layout(
        shape=tuple(array.shape),
        dtype=dtype,
        chunk=_resized(array.chunks, dims, chunks, array.shape),
        shard=None,
        codecs=0,
    )
    if array.shards is not None or any(dim in shards for dim in dims):
        shard = _shard(layout.chunk, array.shards, dims, shards, variable)
        layout = replace(layout, shard=shard)
    options = _options(source, array, dims, dtype)
    if codec is not None:
        options |= {"compressors": _compressors(codec, source.zarr_format, dtype)}
    result = ResultArray(layout, options)
    try:
        staged = result.stage(MemoryStore(), variable, {})
    except (ValueError, TypeError) as exc:
        msg = f"zarr refuses an array for the derivative of {variable!r}: {exc}"
        raise TargetError(msg) from exc
    return replace(result, layout=replace(layout, codecs=layout_of(staged).codecs))


def _resized(
    sizes: tuple[int, ...],
    dims: tuple[str, ...],
    asked: Mapping[str, int],
    shape: tuple[int, ...],
) -> tuple[int, ...]:
    """Chunks as asked for, else as they were, none longer than a dimension it was asked for."""
    return tuple(
        max(1, min(asked[dim], length) if dim in asked else size)
        for size, dim, length in zip(sizes, dims, shape, strict=True)
    )


def _shard(
    chunk: tuple[int, ...],
    shard: tuple[int, ...] | None,
    dims: tuple[str, ...],
    asked: Mapping[str, int],
    variable: str,
) -> tuple[int, ...]:
    sizes = tuple(asked.get(dim, size) for dim, size in zip(dims, shard or chunk, strict=True))
    for dim, whole, part in zip(dims, sizes, chunk, strict=True):
        if whole % part:
            msg = (
                f"`shards` of {whole} along {dim!r} for {variable!r} are no multiple of the "
                f"chunks of {part}; give `shards` and `chunks` that fit"
            )
            raise TargetError(msg)
    return sizes


def _options(
    source: Source, array: "zarr.Array[Any]", dims: tuple[str, ...], dtype: np.dtype[Any]
) -> dict[str, Any]:
    if source.zarr_format == 2:
        return {
            "zarr_format": 2,
            "attributes": {"_ARRAY_DIMENSIONS": list(dims)},
            "filters": [
                _shuffle(codec, dtype.itemsize) if codec.codec_id == "shuffle" else codec
                for codec in _all(array.filters)
                if codec.codec_id in _LOSSLESS
            ]
            or None,
            "compressors": array.compressors or None,
            "order": array.order,
            "chunk_key_encoding": {
                "name": "v2",
                "separator": array.metadata.dimension_separator,  # type: ignore[union-attr]
            },
        }
    return {
        "zarr_format": 3,
        "attributes": {},
        "dimension_names": dims,
        "filters": [c for c in _all(array.filters) if c.to_dict()["name"] == "transpose"] or None,
        "serializer": _serializer(array),
        "compressors": [_sized(c, dtype.itemsize) for c in array.compressors] or None,
        "chunk_key_encoding": array.metadata.chunk_key_encoding,  # type: ignore[union-attr]
    }


def _compressors(name: str, zarr_format: int, dtype: np.dtype[Any]) -> Any:
    found = CODECS[name]
    if found is None:
        return None
    codec, configuration = found[0], dict(found[1])
    if zarr_format == 2:
        if "shuffle" in configuration:
            configuration["shuffle"] = _SHUFFLES[configuration["shuffle"]]
        return numcodecs.get_codec({"id": codec, **configuration})
    if codec == "blosc":
        configuration |= {"typesize": dtype.itemsize, "blocksize": 0}
    return [{"name": codec, "configuration": configuration}]


def _all(filters: Any) -> tuple[Any, ...]:
    return tuple(filters or ())


def _shuffle(codec: Any, itemsize: int) -> Any:
    configuration = {key: value for key, value in codec.get_config().items() if key != "id"}
    return codec.from_config({**configuration, "elementsize": itemsize})


def _serializer(array: "zarr.Array[Any]") -> Any:
    serializer: Any = array.serializer
    # One-byte integers are stored without an endianness, which floats need.
    plain = serializer.to_dict()
    if plain["name"] == "bytes" and plain.get("configuration", {}).get("endian"):
        return serializer
    return "auto"


def _sized(codec: Any, itemsize: int) -> Any:
    """Fit a codec to items of this size: shuffling by the source's would compress badly."""
    plain = codec.to_dict()
    configuration = plain.get("configuration", {})
    for key in ("typesize", "elementsize"):
        if key in configuration:
            plain = {**plain, "configuration": {**configuration, key: itemsize}}
            return type(codec).from_dict(plain)
    return codec


def begin(store: Store, staged: Mapping[str, Buffer], source: str, job: str) -> None:
    """Claim the target, empty it, and write the documents of its arrays.

    Raises
    ------
    TargetError
        Where the target cannot be written to.
    """
    marker = documents(
        {
            "written_by": "bigrad",
            "meaning": "A job writes here, or was stopped while it did: do not use this data.",
            "source": source,
            "job": job,
            "began": _now(),
        }
    )
    try:
        replace_contents(store, marker)
        put(store, staged.items())
    except OSError as exc:
        msg = f"`target` {describe(store)!r} cannot be written to: {exc}"
        raise TargetError(msg) from exc


def finish(
    store: Store, staged: Mapping[str, Buffer], attributes: Mapping[str, Any], zarr_format: int
) -> None:
    """Write the root's attributes and consolidated metadata: from now on the target opens."""
    scratch = MemoryStore()
    put(scratch, staged.items())
    zarr.create_group(scratch, zarr_format=zarr_format, attributes=dict(attributes))  # type: ignore[arg-type]
    with quiet_zarr():
        group = zarr.consolidate_metadata(scratch)
        root = group.metadata.to_buffer_dict(default_buffer_prototype())
    put(store, root.items())
    remove(store, MARKER)


def with_history(attributes: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Put a line about this job before the CF `history` of the dataset."""
    line = f"{_now()}: {what}"
    earlier = str(attributes.get("history", "")).strip()
    return {**attributes, "history": f"{line}\n{earlier}" if earlier else line}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
