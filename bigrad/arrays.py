"""The array function: `numpy.gradient` for NumPy, dask and zarr arrays."""

import sys
from typing import Any

import numpy as np

from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.spacing import along_axes, from_distance
from bigrad.numerics.stencils import check_edge_order

__all__ = ["gradient"]


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    r"""Gradient of an N-dimensional array of any size.

    Second-order central differences inside, one-sided differences at the ends: `numpy.gradient`
    to the last bit, also for dask arrays, whatever their chunks.

    Parameters
    ----------
    f : array_like
        The data. A dask array gives lazy results with the chunks of `f`; a `zarr.Array` is
        taken as a dask array with the chunks (shards, where there are any) of the store.
    *varargs : scalar or array_like, optional
        The spacing: nothing for steps of 1; one scalar for all axes; or for each axis a
        scalar (the step) or a 1-d array (the position of each point; NumPy or dask).
    axis : None or int or tuple of int, optional
        Axes to differentiate along; None means all, negative ones count from the last.
    edge_order : {1, 2}, optional
        Order of accuracy at the two ends of an axis.

    Returns
    -------
    array or tuple of array
        The derivative for one axis, else a tuple of derivatives in the order of `axis`. Each
        has the shape of `f`, and units of `f` per unit of the spacing. Floats and complex
        numbers keep their dtype, integers give float64, dates durations.

    Raises
    ------
    ValueError
        Where a spacing is neither a scalar nor a 1-d array as long as its axis, an axis is
        repeated or shorter than ``edge_order + 1``, `edge_order` is neither 1 nor 2, or chunk
        sizes are unknown.
    TypeError
        Where the number of spacings fits neither none, one scalar nor one for each axis, or
        the data cannot be subtracted.
    numpy.exceptions.AxisError
        Where an axis is out of range.

    Notes
    -----
    With steps :math:`h_s` before and :math:`h_d` after a point, the derivative inside is

    .. math::

        \frac{h_s^2 f(x + h_d) + (h_d^2 - h_s^2) f(x) - h_d^2 f(x - h_s)}
              {h_s h_d (h_d + h_s)}

    with an error of second order where the steps vary smoothly [1]_.

    References
    ----------
    .. [1] Fornberg, B. (1988). Generation of finite difference formulas on arbitrarily
       spaced grids. Mathematics of Computation 51, 699-706.

    Examples
    --------
    >>> import numpy as np
    >>> import bigrad
    >>> x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> bigrad.gradient(x**2, x)
    array([3., 4., 6., 8., 9.])

    >>> import dask.array as da
    >>> y = da.from_array(x**2, chunks=2)
    >>> bigrad.gradient(y, x)
    dask.array<_gradient, shape=(5,), dtype=float64, chunksize=(2,), chunktype=numpy.ndarray>
    >>> bigrad.gradient(y, x).compute()
    array([3., 4., 6., 8., 9.])
    """
    if _is(f, "zarr", "Array") or _is(f, "dask.array", "Array"):
        from bigrad.chunked.gradient import gradient as chunked_gradient

        return chunked_gradient(f, varargs, axis=axis, edge_order=edge_order)
    if not hasattr(f, "__array_function__"):
        f = np.asanyarray(f)
    axes, spacings = along_axes(f.shape, varargs, axis, from_distance)
    operator = Gradient.along(
        dict(zip(axes, spacings, strict=True)),
        dtype=f.dtype,
        edge_order=check_edge_order(edge_order),
    )
    results = operator.apply(Block(f, (0,) * f.ndim))
    return results[0] if len(axes) == 1 else results


def _is(f: Any, module: str, name: str) -> bool:
    """Whether `f` is of a class of a module: no import, since only who has one has imported it."""
    return module in sys.modules and isinstance(f, getattr(sys.modules[module], name))
