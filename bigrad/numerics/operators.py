"""Operators: what to compute on a block, and nothing about where the data lives."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bigrad.numerics import expressions
from bigrad.numerics.boundaries import Boundary, extended, surrounding
from bigrad.numerics.buffers import takes
from bigrad.numerics.coefficients import Coefficients, coefficients
from bigrad.numerics.expressions import result_dtype
from bigrad.numerics.fresh import prefaulted
from bigrad.numerics.loops import worthwhile
from bigrad.numerics.schemes import Scheme
from bigrad.numerics.shrink import Shrinking, shrinking
from bigrad.numerics.spacing import Spacing
from bigrad.numerics.stencils import Reach, Stencil, stencil
from bigrad.numerics.weights import Table, table

if TYPE_CHECKING:
    from bigrad.numerics.fused import Prepared

__all__ = ["Block", "Gradient"]


@dataclass(frozen=True, eq=False)
class Block:
    """Part of an array, with the neighbouring cells that its derivatives need.

    Attributes
    ----------
    core : array
        The cells to compute.
    start : tuple of int
        Place of the first of them in the whole array.
    faces : mapping of int to pair of arrays
        For an axis, the cells just before and just after the core, as wide as the core along
        the other axes. An axis is absent, or its pair empty, where nothing is needed.
    extra : tuple of array
        Other parts of the array, where the operator has asked for them.
    """

    core: Any
    start: tuple[int, ...]
    faces: Mapping[int, tuple[Any, Any]] = field(default_factory=dict)
    extra: tuple[Any, ...] = ()


@dataclass(frozen=True, eq=False)
class Gradient:
    """The derivative along each of some axes.

    Attributes
    ----------
    stencils : dict of int to Stencil
        NumPy's formulas by axis, in the order of the results; none where others serve. Of an axis
        with a boundary they count its ghost cells.
    others : dict of int to Table or Shrinking
        The same for other formulas.
    reach : dict of int to Reach
        How far the derivatives look, by axis.
    boundaries : dict of int to Boundary
        Of those axes that have one.
    dtype : numpy.dtype
        Of the results.
    numbers : tuple of Coefficients, or None
        Of the stencils, for their compiled loops; None where array expressions serve.
    """

    stencils: Mapping[int, Stencil]
    others: Mapping[int, Table | Shrinking]
    reach: Mapping[int, Reach]
    boundaries: Mapping[int, Boundary]
    dtype: np.dtype[Any]
    numbers: tuple[Coefficients, ...] | None

    @classmethod
    def along(
        cls,
        spacings: Mapping[int, Spacing],
        *,
        dtype: Any,
        boundaries: Mapping[int, Boundary] | None = None,
        edge_order: int = 1,
        accuracy: int = 2,
        order: int = 1,
        missing: Literal["propagate", "shrink"] = "propagate",
    ) -> Gradient:
        """Decide the derivative of data of `dtype` along axes with these spacings.

        The last four are those of `Scheme`.

        Raises
        ------
        ValueError
            Where an axis has too few cells, or its spacing does not go with the boundary or the
            scheme.
        TypeError
            Where the data do not.
        """
        dtype, boundaries = np.dtype(dtype), dict(boundaries or {})
        scheme = Scheme(edge_order, accuracy, order, missing)
        for axis, spacing in spacings.items():
            scheme.check_size(spacing.size, boundaries.get(axis))
        for boundary in boundaries.values():
            boundary.check(dtype)
        reach = {a: scheme.reach(s.size, boundaries.get(a)) for a, s in spacings.items()}
        whole = {
            axis: extended(spacing, boundaries[axis], scheme.depth)
            if axis in boundaries
            else spacing
            for axis, spacing in spacings.items()
        }
        result = result_dtype(dtype)
        if scheme.tabulated or scheme.shrinks:
            scheme.check_dtype(dtype)
            others = {
                axis: table(spacing, scheme, ghosts=axis in boundaries)
                if scheme.tabulated
                else shrinking(spacing, scheme.edge_order, dtype)
                for axis, spacing in whole.items()
            }
            return cls({}, others, reach, boundaries, result, None)
        stencils = {axis: stencil(spacing, scheme.edge_order) for axis, spacing in whole.items()}
        found = [coefficients(one, dtype) for one in stencils.values()]
        numbers = tuple(n for n in found if n is not None)
        complete = len(numbers) == len(found)
        return cls(stencils, {}, reach, boundaries, result, numbers if complete else None)

    def prepared(self, shape: tuple[int, ...], itemsize: int) -> Prepared | None:
        """Prepare for small arrays of a shape; None where that is too soon, or of no use."""
        if self.numbers is None or self.boundaries or "numba" not in sys.modules:
            return None
        from bigrad.numerics import fused

        derivatives = (
            fused.Along(axis, stencil, numbers, 0, None, None)
            for (axis, stencil), numbers in zip(self.stencils.items(), self.numbers, strict=True)
        )
        return fused.prepared(shape, itemsize, self.dtype, derivatives)

    def apply(
        self, block: Block, out: Sequence[Any] | None = None, workers: int = 1
    ) -> tuple[Any, ...]:
        """Differentiate a block.

        Parameters
        ----------
        block : Block
            Cells of the data.
        out : sequence of numpy.ndarray, optional
            For each axis an array of the core's shape and of the result's dtype to fill.
        workers : int
            How many threads share the work.

        Returns
        -------
        tuple of array
            For each axis an array of the core's shape.
        """
        block = self._surrounded(block)
        if self.others:
            return self._apply_others(block, out, workers)
        core, faces = block.core, block.faces
        beside = tuple(chain.from_iterable(faces.values()))
        served = (
            self.numbers is not None
            and all(map(takes, (core, *(out or ()), *beside)))
            and all(face.dtype == core.dtype for face in beside)
        )
        if self.numbers is None or not served or not worthwhile(core.nbytes):
            # Where the loops would serve, which do not warn of what the data bring about, no
            # other way may: the same call would behave differently from time to time.
            with np.errstate(all="ignore") if served else nullcontext():
                return tuple(
                    expressions.differentiate(
                        one, axis, block.start[axis], core, faces.get(axis), result
                    )
                    for (axis, one), result in zip(
                        self.stencils.items(), out or (None,) * len(self.stencils), strict=True
                    )
                )
        from bigrad.numerics import fused

        made = (np.empty_like(core, self.dtype) for _ in self.stencils)
        results = tuple(out or (prefaulted(one, workers) for one in made))
        fused.differentiate(
            np.asarray(core),
            [
                fused.Along(
                    axis, one, numbers, block.start[axis], faces.get(axis), np.asarray(result)
                )
                for (axis, one), numbers, result in zip(
                    self.stencils.items(), self.numbers, results, strict=True
                )
            ],
            workers,
        )
        return results

    def _surrounded(self, block: Block) -> Block:
        """Put a block into the axes with ghost cells: by its place and its faces."""
        if not self.boundaries:
            return block
        start, faces = list(block.start), dict(block.faces)
        for axis, boundary in self.boundaries.items():
            reach, given = self.reach[axis], faces.get(axis)
            found = surrounding(boundary, reach, axis, start[axis], block.core, given)
            if found is not None:
                faces[axis] = found
            start[axis] += reach.depth
        return Block(block.core, tuple(start), faces)

    def _apply_others(
        self, block: Block, out: Sequence[Any] | None, workers: int
    ) -> tuple[Any, ...]:
        if not isinstance(block.core, np.ndarray):
            msg = (
                "`accuracy` above 2, `order` 2 and `missing` need NumPy's arrays, found "
                f"{type(block.core).__name__}; convert the data first"
            )
            raise TypeError(msg)
        from bigrad.numerics import general

        return tuple(
            general.differentiate(
                block.core,
                general.Along(axis, formula, block.start[axis], block.faces.get(axis)),
                self.dtype,
                result,
                workers,
            )
            for (axis, formula), result in zip(
                self.others.items(), out or (None,) * len(self.others), strict=True
            )
        )
