"""``.grad`` on xarray objects; importing this module registers it."""

from collections.abc import Mapping
from typing import Any, Literal, overload

import xarray as xr

__all__ = ["DataArrayGradient", "DatasetGradient"]

DatetimeUnit = Literal["W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"]
Beyond = Literal["periodic", "extend", "reflect"] | tuple[Literal["fill"], Any] | None


@xr.register_dataset_accessor("grad")  # type: ignore[no-untyped-call]  # xarray has no types here
class DatasetGradient:
    """Derivatives of the variables of a dataset along its coordinates.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset that has this accessor.

    Examples
    --------
    >>> ds = xr.Dataset({"y": ("x", [1.0, 4.0, 9.0])}, {"x": [1.0, 2.0, 3.0]})
    >>> ds.grad.compute("x")["y"].values
    array([3., 4., 5.])
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def compute(
        self,
        coord: str | list[str] | tuple[str, ...],
        edge_order: Literal[1, 2] = 1,
        datetime_unit: DatetimeUnit | None = None,
        *,
        boundary: Beyond | Mapping[str, Beyond] = None,
        period: float | Mapping[str, float] | None = None,
        missing: Literal["propagate", "shrink"] = "propagate",
        accuracy: Literal[2, 4, 6] = 2,
        order: Literal[1, 2] = 1,
        regular: bool = False,
    ) -> xr.Dataset:
        """Differentiate along coordinates: lazily where the data is lazy, despite the name.

        Second-order central differences inside, one-sided differences at the ends: the same
        bits as `numpy.gradient` with the coordinate, for any chunks. Other formulas are those
        of `bigrad.gradient`, under the same names.

        Parameters
        ----------
        coord : str or list of str
            One name gives the derivatives under the names of the variables, as
            `xarray.Dataset.differentiate` does. A list gives ``d<variable>_d<coord>`` for
            each coordinate of the list that a variable lies along, from one read of its data.
            A coordinate is any 1-d one, be it an index or not, rising or falling.
        edge_order : {1, 2}, optional
            Order of accuracy at the two ends, and beside missing cells.
        datetime_unit : {"W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"}, optional
            Time derivatives are per this unit, per second by default, whatever the
            resolution of the dates.
        boundary : {"periodic", "extend", "reflect"}, ("fill", value) or mapping, optional
            What lies beyond the ends: one for all coordinates, or a mapping by coordinate or
            dimension. A periodic coordinate must go around the whole period, each point once.
        period : float or mapping, optional
            Of periodic coordinates, in their units; known of longitudes, by their ``units``
            and ``standard_name``.
        missing : {"propagate", "shrink"}, optional
            With "shrink", differences are one-sided beside missing values.
        accuracy : {2, 4, 6}, optional
            Order of accuracy inside, and, above 2, at the ends.
        order : {1, 2}, optional
            The first or the second derivative; of a list, the second ones are called
            ``d2<name>_d<coord>2``.
        regular : bool, optional
            Say that the coordinates are meant to have one step each, which rounding hides:
            this is checked, and that step is exact. Tenths of degrees in single precision are
            off by 1e-4 else.

        Returns
        -------
        xarray.Dataset
            With the coordinates, chunks and attributes of this one. Variables pass through
            unchanged that are not numeric (booleans, text and times are not), lie along none
            of the coordinates, or, by their attributes, only describe others, as bounds do.
            Of the derivatives, ``units`` are the quotient in CF spelling, or absent where
            that is not known; ``long_name`` is rewritten; ``standard_name`` and others that
            would be wrong are dropped.

        Raises
        ------
        CoordinateError
            A ValueError: a coordinate is unknown, not 1-d, not strictly monotonic, not finite
            or too short, does not close where it is periodic, is not regular where it is said
            to be, or `datetime_unit` is not for it.
        ValueError
            Where two variables would have one name, or an option is none of its choices, or
            has no meaning with another.

        See Also
        --------
        numpy.gradient : where the formulas come from

        Examples
        --------
        >>> import numpy as np
        >>> height = xr.Variable("height", [0.0, 1000.0, 2000.0], {"units": "m"})
        >>> ds = xr.Dataset(
        ...     {"t": ("height", [15.0, 8.0, 2.0], {"units": "degC"}), "station": "A"},
        ...     {"height": height},
        ... )
        >>> lapse = ds.grad.compute("height")
        >>> lapse["t"].values
        array([-0.007 , -0.0065, -0.006 ])
        >>> lapse["t"].attrs["units"]
        'K m-1'
        >>> list(ds.grad.compute(["height"]).data_vars)
        ['dt_dheight', 'station']

        Around the globe:

        >>> lon = xr.Variable("lon", np.arange(0.0, 360.0, 90.0), {"units": "degrees_east"})
        >>> ds = xr.Dataset({"y": ("lon", [0.0, 1.0, 0.0, -1.0])}, {"lon": lon})
        >>> ds.grad.compute("lon", boundary="periodic")["y"].values * 90
        array([ 1.,  0., -1.,  0.])
        """
        from bigrad.labelled.calculus import differentiate_dataset as differentiate
        from bigrad.numerics.schemes import Scheme

        return differentiate(
            self._dataset,
            coord,
            datetime_unit=datetime_unit,
            boundary=boundary,
            period=period,
            regular=regular,
            scheme=Scheme(edge_order, accuracy, order, missing),
        )


@xr.register_dataarray_accessor("grad")  # type: ignore[no-untyped-call]  # xarray has no types here
class DataArrayGradient:
    """Derivatives of an array along its coordinates.

    Parameters
    ----------
    array : xarray.DataArray
        The array that has this accessor.

    Examples
    --------
    >>> y = xr.DataArray([1.0, 4.0, 9.0], {"x": [1.0, 2.0, 3.0]}, name="y")
    >>> y.grad.compute("x").values
    array([3., 4., 5.])
    """

    def __init__(self, array: xr.DataArray) -> None:
        self._array = array

    @overload
    def compute(
        self,
        coord: str,
        edge_order: Literal[1, 2] = 1,
        datetime_unit: DatetimeUnit | None = None,
        *,
        boundary: Beyond | Mapping[str, Beyond] = None,
        period: float | Mapping[str, float] | None = None,
        missing: Literal["propagate", "shrink"] = "propagate",
        accuracy: Literal[2, 4, 6] = 2,
        order: Literal[1, 2] = 1,
        regular: bool = False,
    ) -> xr.DataArray: ...
    @overload
    def compute(
        self,
        coord: list[str] | tuple[str, ...],
        edge_order: Literal[1, 2] = 1,
        datetime_unit: DatetimeUnit | None = None,
        *,
        boundary: Beyond | Mapping[str, Beyond] = None,
        period: float | Mapping[str, float] | None = None,
        missing: Literal["propagate", "shrink"] = "propagate",
        accuracy: Literal[2, 4, 6] = 2,
        order: Literal[1, 2] = 1,
        regular: bool = False,
    ) -> xr.Dataset: ...
    def compute(
        self,
        coord: str | list[str] | tuple[str, ...],
        edge_order: Literal[1, 2] = 1,
        datetime_unit: DatetimeUnit | None = None,
        *,
        boundary: Beyond | Mapping[str, Beyond] = None,
        period: float | Mapping[str, float] | None = None,
        missing: Literal["propagate", "shrink"] = "propagate",
        accuracy: Literal[2, 4, 6] = 2,
        order: Literal[1, 2] = 1,
        regular: bool = False,
    ) -> xr.DataArray | xr.Dataset:
        """Differentiate along coordinates: lazily where the data is lazy, despite the name.

        Second-order central differences inside, one-sided differences at the ends: the same
        bits as `numpy.gradient` with the coordinate, for any chunks. Other formulas are those
        of `bigrad.gradient`, under the same names.

        Parameters
        ----------
        coord : str or list of str
            One name gives an array of the same name, as `xarray.DataArray.differentiate`
            does. A list gives a dataset of ``d<name>_d<coord>``, from one read of the data. A
            coordinate is any 1-d one, be it an index or not, rising or falling.
        edge_order : {1, 2}, optional
            Order of accuracy at the two ends, and beside missing cells.
        datetime_unit : {"W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"}, optional
            Time derivatives are per this unit, per second by default, whatever the
            resolution of the dates.
        boundary : {"periodic", "extend", "reflect"}, ("fill", value) or mapping, optional
            What lies beyond the ends: one for all coordinates, or a mapping by coordinate or
            dimension. A periodic coordinate must go around the whole period, each point once.
        period : float or mapping, optional
            Of periodic coordinates, in their units; known of longitudes, by their ``units``
            and ``standard_name``.
        missing : {"propagate", "shrink"}, optional
            With "shrink", differences are one-sided beside missing values.
        accuracy : {2, 4, 6}, optional
            Order of accuracy inside, and, above 2, at the ends.
        order : {1, 2}, optional
            The first or the second derivative; of a list, the second ones are called
            ``d2<name>_d<coord>2``.
        regular : bool, optional
            Say that the coordinates are meant to have one step each, which rounding hides:
            this is checked, and that step is exact. Tenths of degrees in single precision are
            off by 1e-4 else.

        Returns
        -------
        xarray.DataArray or xarray.Dataset
            With the coordinates, chunks and attributes of this array. ``units`` are the
            quotient in CF spelling, or absent where that is not known; ``long_name`` is
            rewritten; ``standard_name`` and others that would be wrong are dropped.

        Raises
        ------
        CoordinateError
            A ValueError: a coordinate is unknown, not 1-d, not strictly monotonic, not finite
            or too short, does not close where it is periodic, is not regular where it is said
            to be, or `datetime_unit` is not for it.
        TypeError
            Where the array does not hold numbers.
        ValueError
            Where derivatives along a list have no name to be called after, or one that is
            taken, or an option is none of its choices, or has no meaning with another.

        See Also
        --------
        numpy.gradient : where the formulas come from

        Examples
        --------
        >>> y = xr.DataArray([1.0, 4.0, 9.0], {"x": [1.0, 2.0, 3.0]}, name="y")
        >>> y.grad.compute("x", edge_order=2).values
        array([2., 4., 6.])
        >>> y.grad.compute(["x"])["dy_dx"].values
        array([3., 4., 5.])
        """
        from bigrad.labelled.calculus import differentiate_array as differentiate
        from bigrad.numerics.schemes import Scheme

        return differentiate(
            self._array,
            coord,
            datetime_unit=datetime_unit,
            boundary=boundary,
            period=period,
            regular=regular,
            scheme=Scheme(edge_order, accuracy, order, missing),
        )
