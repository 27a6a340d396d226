"""Operators of vector calculus on NumPy and dask arrays: picks the runner."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from bigrad.numerics import threads
from bigrad.numerics.buffers import overlap
from bigrad.numerics.operators import Block
from bigrad.numerics.vector_calculus import VectorOperator

__all__ = ["apply"]


def apply(
    operator: VectorOperator, fields: Sequence[Any], out: Sequence[Any] | None = None
) -> tuple[Any, ...]:
    """Apply an operator to whole arrays.

    Parameters
    ----------
    operator : VectorOperator
        Decided for arrays of their shape and dtypes.
    fields : sequence of array
        Its inputs, all of one shape. With a dask array among them the results are lazy, with
        the chunks of the first that is one.
    out : sequence of numpy.ndarray, optional
        Arrays of that shape and of `operator.dtypes` to fill. For NumPy data only.

    Returns
    -------
    tuple of array
        The results.

    Raises
    ------
    TypeError
        Where a field is an array of another library, or a dask array of such; or `out` is given
        for dask arrays.
    ValueError
        Where the arrays differ in shape or do not fit the grid.

    Notes
    -----
    Threads are shared as `bigrad.gradient` does.

    Examples
    --------
    >>> from bigrad.numerics.sphere import plane
    >>> from bigrad.numerics.vector_calculus import vector_operator
    >>> u = np.array([[0.0, 1.0, 4.0], [0.0, 1.0, 4.0]])
    >>> grid = plane([0.0, 1.0, 2.0], [0.0, 1.0])
    >>> operator = vector_operator("divergence", grid, (0, 1), [u.dtype, u.dtype])
    >>> apply(operator, [u, 0 * u])[0]
    array([[1., 2., 3.],
           [1., 2., 3.]])
    """
    _check_shapes(operator, [field.shape for field in fields])
    dask = sys.modules.get("dask.array")
    for field in fields:
        _check_type(getattr(field, "_meta", field))
    if dask is not None and any(isinstance(field, dask.Array) for field in fields):
        from bigrad.chunked import vectors as chunked

        if out is not None:
            msg = "`out` needs NumPy data, found a dask array: leave `out` away"
            raise TypeError(msg)
        return chunked.apply(operator, fields)
    if out is not None:
        _check_out(operator, fields, out)
    start = (0,) * fields[0].ndim
    blocks = [
        Block(field, start, {}, tuple(field[part] for part in parts))
        for field, parts in zip(fields, _extra(operator, fields[0].shape), strict=True)
    ]
    workers = threads.available(sum(field.nbytes for field in fields))
    return operator.apply(blocks, out, workers)


def _extra(operator: VectorOperator, shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
    start = (0,) * len(shape)
    return [operator.extra(number, start, shape) for number in range(operator.inputs)]


def _check_type(array: Any) -> None:
    if type(array) not in (np.ndarray, np.memmap):
        what = f"{type(array).__module__}.{type(array).__name__}"
        msg = (
            f"vector calculus takes plain NumPy arrays, and dask arrays of these, found {what}; "
            "convert it, with missing values as NaN"
        )
        raise TypeError(msg)


def _check_shapes(operator: VectorOperator, shapes: Sequence[tuple[int, ...]]) -> None:
    if len(shapes) != operator.inputs:
        msg = f"`{operator.kind}` takes {operator.inputs} fields, found {len(shapes)}"
        raise TypeError(msg)
    found = tuple(shapes[0][axis] for axis in operator.axes)
    if any(shape != shapes[0] for shape in shapes) or found != operator.grid.shape:
        msg = (
            f"fields must have one shape, with {operator.grid.shape} points along the axes "
            f"{operator.axes}; found {', '.join(map(str, shapes))}"
        )
        raise ValueError(msg)


def _check_out(operator: VectorOperator, fields: Sequence[Any], out: Sequence[Any]) -> None:
    if len(out) != len(operator.dtypes):
        msg = f"`out` must have {len(operator.dtypes)} arrays, found {len(out)}"
        raise ValueError(msg)
    for number, (one, dtype) in enumerate(zip(out, operator.dtypes, strict=True)):
        if type(one) not in (np.ndarray, np.memmap):
            msg = f"`out` must hold NumPy arrays, found {type(one).__name__}"
            raise TypeError(msg)
        if one.shape != fields[0].shape or one.dtype != dtype or not one.flags.writeable:
            msg = (
                f"`out` must be writeable, of shape {fields[0].shape} and dtype {dtype}; found "
                f"{one.shape} and {one.dtype}{'' if one.flags.writeable else ', read-only'}"
            )
            raise ValueError(msg)
        if any(overlap(one, other) for other in (*fields, *out[:number])):
            msg = "`out` must not share memory with the fields or with another of its arrays"
            raise ValueError(msg)
