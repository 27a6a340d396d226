"""``.grad`` on xarray objects; importing this module registers it."""

from collections.abc import Mapping
from typing import Any, Literal, overload

import xarray as xr

__all__ = ["DataArrayGradient", "DatasetGradient"]

Metric = Literal["sphere"]
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
        metric: Metric | None = None,
        radius: float | None = None,
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
        metric : {"sphere"}, optional
            Derivatives are per metre along a longitude and a latitude, known by their
            standard_name, units or name. Longitudes that close the circle, each there once,
            are periodic, and then rows at a pole, or beside it, look across it. Half precision
            becomes single. Else, by default, derivatives are per unit of the coordinate, and
            half precision stays, which has few digits for what is below 6e-5.
        radius : float, optional
            Of the sphere in metres: by default that of the grid mapping of a variable, else
            6371229.

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
            or too short; where it is periodic, or a longitude on the sphere, it goes around
            more than once, as with both 0 and 360 degrees; it does not close where it is
            periodic, is not regular where it is said to be, or `datetime_unit` is not for it;
            or a grid mapping has no fit radius.
        ValueError
            Where two variables would have one name, or an option is none of its choices, or
            has no meaning with another.
        TypeError
            Where `coord` is no name nor a list of names, or `radius` is not a number.

        See Also
        --------
        numpy.gradient : Where the formulas come from.

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
        if metric is not None or radius is not None:
            from bigrad.labelled.vectors import differentiate_dataset as on_sphere

            return on_sphere(
                self._dataset,
                coord,
                metric=metric,
                radius=radius,
                edge_order=edge_order,
                datetime_unit=datetime_unit,
                boundary=boundary,
                period=period,
                missing=missing,
                accuracy=accuracy,
                order=order,
                regular=regular,
            )
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

    def divergence(
        self,
        u: str,
        v: str,
        *,
        metric: Metric | None = "sphere",
        x: str | None = None,
        y: str | None = None,
        radius: float | None = None,
        edge_order: Literal[1, 2] = 1,
    ) -> xr.DataArray:
        """Horizontal divergence of a wind or a current: lazily where the data is lazy.

        On the sphere ``u_x + v_y - v tan(latitude) / radius`` [1]_, else ``u_x + v_y``, in one
        pass, with the same bits for any chunks. At a pole it is the flux out of the circle
        through the nearest row, by its area; on a grid that does not go around, it is NaN there.

        Parameters
        ----------
        u, v : str
            Names of the components to the east and to the north.
        metric : {"sphere", None}, optional
            The sphere by default, and derivatives per metre; None for a plane, on which they
            are in the units of the coordinates.
        x, y : str, optional
            Names of the coordinates to the east and to the north. By default the longitude and
            the latitude, or x and y on a plane, by their standard_name, units, axis or name.
        radius : float, optional
            Of the sphere in metres: by default that of the grid mapping of `u`, else 6371229.
        edge_order : {1, 2}, optional
            Order of accuracy at edges. Longitudes that close the circle have none, nor have
            latitudes at poles then.

        Returns
        -------
        xarray.DataArray
            With dimensions, coordinates and chunks of `u`, in its units per metre, or per unit
            of the coordinates. ``units`` and ``standard_name`` are there where they are known.
            Of integers it is float64, of half precision single.

        Raises
        ------
        CoordinateError
            A ValueError: a variable or the coordinates are not found, or these are not 1-d, or
            not fit for a derivative, as longitudes that have both 0 and 360 degrees.
        ValueError
            Where `u` and `v` differ in dimensions, or are exchanged by their standard names, or
            an option is none of its choices.
        TypeError
            Where they are not real numbers, or `radius` is not a number.

        References
        ----------
        .. [1] Batchelor, G. K. (1967). An Introduction to Fluid Dynamics. Cambridge University
           Press, appendix 2.

        Examples
        --------
        >>> coords = {"lat": [-1.0, 0.0, 1.0], "lon": [0.0, 1.0, 2.0]}
        >>> u = (("lat", "lon"), [[0.0, 1.0, 2.0]] * 3, {"units": "m s-1"})
        >>> ds = xr.Dataset({"u": u, "v": u}, coords)
        >>> ds.grad.divergence("u", "v", radius=180 / 3.141592653589793).values[1]
        array([1., 1., 1.])
        """
        return self._of_winds("divergence", [u, v], metric, x, y, radius, edge_order)

    def vorticity(
        self,
        u: str,
        v: str,
        *,
        metric: Metric | None = "sphere",
        x: str | None = None,
        y: str | None = None,
        radius: float | None = None,
        edge_order: Literal[1, 2] = 1,
    ) -> xr.DataArray:
        """Relative vorticity of a wind or a current: lazily where the data is lazy.

        On the sphere ``v_x - u_y + u tan(latitude) / radius`` [1]_, else ``v_x - u_y``, in one
        pass, with the same bits for any chunks. At a pole it is the circulation around the
        nearest row, by the area within; on a grid that does not go around, it is NaN there.

        Parameters
        ----------
        u, v : str
            Names of the components to the east and to the north.
        metric : {"sphere", None}, optional
            The sphere by default, and derivatives per metre; None for a plane, on which they
            are in the units of the coordinates.
        x, y : str, optional
            Names of the coordinates to the east and to the north. By default the longitude and
            the latitude, or x and y on a plane, by their standard_name, units, axis or name.
        radius : float, optional
            Of the sphere in metres: by default that of the grid mapping of `u`, else 6371229.
        edge_order : {1, 2}, optional
            Order of accuracy at edges. Longitudes that close the circle have none, nor have
            latitudes at poles then.

        Returns
        -------
        xarray.DataArray
            As `divergence` returns; of winds by their standard names it is
            ``atmosphere_relative_vorticity``.

        Raises
        ------
        CoordinateError
            A ValueError: a variable or the coordinates are not found, or these are not 1-d, or
            not fit for a derivative, as longitudes that have both 0 and 360 degrees.
        ValueError
            Where `u` and `v` differ in dimensions, or are exchanged by their standard names, or
            an option is none of its choices.
        TypeError
            Where they are not real numbers, or `radius` is not a number.

        References
        ----------
        .. [1] Batchelor, G. K. (1967). An Introduction to Fluid Dynamics. Cambridge University
           Press, appendix 2.

        Examples
        --------
        >>> coords = {"y": [0.0, 1.0], "x": [0.0, 1.0, 2.0]}
        >>> ds = xr.Dataset({"u": (("y", "x"), [[0.0] * 3, [1.0] * 3])}, coords)
        >>> ds["v"] = 0 * ds["u"]
        >>> ds.grad.vorticity("u", "v", metric=None).values
        array([[-1., -1., -1.],
               [-1., -1., -1.]])
        """
        return self._of_winds("vorticity", [u, v], metric, x, y, radius, edge_order)

    def advection(
        self,
        f: str,
        u: str,
        v: str,
        *,
        metric: Metric | None = "sphere",
        x: str | None = None,
        y: str | None = None,
        radius: float | None = None,
        edge_order: Literal[1, 2] = 1,
    ) -> xr.DataArray:
        """Horizontal advection of a field: lazily where the data is lazy.

        ``-(u f_x + v f_y)``, how fast the field rises where the wind brings more of it [1]_, in
        one pass, with the same bits for any chunks.

        Parameters
        ----------
        f : str
            Name of the field.
        u, v : str
            Names of the components to the east and to the north.
        metric : {"sphere", None}, optional
            The sphere by default, and derivatives per metre; None for a plane, on which they
            are in the units of the coordinates.
        x, y : str, optional
            Names of the coordinates to the east and to the north. By default the longitude and
            the latitude, or x and y on a plane, by their standard_name, units, axis or name.
        radius : float, optional
            Of the sphere in metres: by default that of the grid mapping of `f`, else 6371229.
        edge_order : {1, 2}, optional
            Order of accuracy at edges. Longitudes that close the circle have none, nor have
            latitudes at poles then.

        Returns
        -------
        xarray.DataArray
            With dimensions, coordinates and chunks of `f`, in its units per second of winds in
            metres per second; ``units`` are there where they are known.

        Raises
        ------
        CoordinateError
            A ValueError: a variable or the coordinates are not found, or these are not 1-d, or
            not fit for a derivative, as longitudes that have both 0 and 360 degrees.
        ValueError
            Where `f`, `u` and `v` differ in dimensions, `u` and `v` are exchanged by their
            standard names, or an option is none of its choices.
        TypeError
            Where they are not real numbers, or `radius` is not a number.

        References
        ----------
        .. [1] Batchelor, G. K. (1967). An Introduction to Fluid Dynamics. Cambridge University
           Press, appendix 2.

        Examples
        --------
        >>> coords = {"y": [0.0, 1.0], "x": [0.0, 1.0, 2.0]}
        >>> ds = xr.Dataset({"T": (("y", "x"), [[0.0, 1.0, 2.0]] * 2)}, coords)
        >>> ds["u"] = 0 * ds["T"] + 5.0
        >>> ds.grad.advection("T", "u", "u", metric=None).values
        array([[-5., -5., -5.],
               [-5., -5., -5.]])
        """
        return self._of_winds("advection", [f, u, v], metric, x, y, radius, edge_order)

    def deformation(
        self,
        u: str,
        v: str,
        *,
        metric: Metric | None = "sphere",
        x: str | None = None,
        y: str | None = None,
        radius: float | None = None,
        edge_order: Literal[1, 2] = 1,
    ) -> xr.Dataset:
        """Deformation of a wind or a current, in two components: lazily where the data is lazy.

        On the sphere ``u_x - v_y - v tan(latitude) / radius`` and ``v_x + u_y + u tan(latitude)
        / radius`` [1]_, else without these last terms, both from one read of the data, with the
        same bits for any chunks.

        Parameters
        ----------
        u, v : str
            Names of the components to the east and to the north.
        metric : {"sphere", None}, optional
            The sphere by default, and derivatives per metre; None for a plane, on which they
            are in the units of the coordinates.
        x, y : str, optional
            Names of the coordinates to the east and to the north. By default the longitude and
            the latitude, or x and y on a plane, by their standard_name, units, axis or name.
        radius : float, optional
            Of the sphere in metres: by default that of the grid mapping of `u`, else 6371229.
        edge_order : {1, 2}, optional
            Order of accuracy at edges. Longitudes that close the circle have none, nor have
            latitudes at poles then.

        Returns
        -------
        xarray.Dataset
            Of ``stretching`` and ``shearing``, each as `divergence` returns.

        Raises
        ------
        CoordinateError
            A ValueError: a variable or the coordinates are not found, or these are not 1-d, or
            not fit for a derivative, as longitudes that have both 0 and 360 degrees.
        ValueError
            Where `u` and `v` differ in dimensions, or are exchanged by their standard names, or
            an option is none of its choices.
        TypeError
            Where they are not real numbers, or `radius` is not a number.

        References
        ----------
        .. [1] Batchelor, G. K. (1967). An Introduction to Fluid Dynamics. Cambridge University
           Press, appendix 2.

        Examples
        --------
        >>> coords = {"y": [0.0, 1.0], "x": [0.0, 1.0, 2.0]}
        >>> ds = xr.Dataset({"u": (("y", "x"), [[0.0, 1.0, 2.0]] * 2)}, coords)
        >>> ds["v"] = 0 * ds["u"]
        >>> ds.grad.deformation("u", "v", metric=None)["stretching"].values
        array([[1., 1., 1.],
               [1., 1., 1.]])
        """
        from bigrad.labelled.vectors import of_winds

        results = of_winds(
            "deformation",
            self._dataset,
            [u, v],
            metric=metric,
            x=x,
            y=y,
            radius=radius,
            edge_order=edge_order,
        )
        return xr.Dataset(results)

    def _of_winds(
        self,
        kind: str,
        names: list[str],
        metric: str | None,
        x: str | None,
        y: str | None,
        radius: float | None,
        edge_order: int,
    ) -> xr.DataArray:
        from bigrad.labelled.vectors import of_winds

        results = of_winds(
            kind,
            self._dataset,
            names,
            metric=metric,
            x=x,
            y=y,
            radius=radius,
            edge_order=edge_order,
        )
        return results[kind]


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
        metric: Metric | None = None,
        radius: float | None = None,
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
        metric: Metric | None = None,
        radius: float | None = None,
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
        metric: Metric | None = None,
        radius: float | None = None,
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
        metric : {"sphere"}, optional
            Derivatives are per metre along a longitude and a latitude, known by their
            standard_name, units or name. Longitudes that close the circle, each there once,
            are periodic, and then rows at a pole, or beside it, look across it. Half precision
            becomes single. Else, by default, derivatives are per unit of the coordinate, and
            half precision stays, which has few digits for what is below 6e-5.
        radius : float, optional
            Of the sphere in metres: by default that of the grid mapping of a variable, else
            6371229.

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
            or too short; where it is periodic, or a longitude on the sphere, it goes around
            more than once, as with both 0 and 360 degrees; it does not close where it is
            periodic, is not regular where it is said to be, or `datetime_unit` is not for it;
            or a grid mapping has no fit radius.
        TypeError
            Where the array does not hold numbers, `coord` is no name nor a list of names, or
            `radius` is not a number.
        ValueError
            Where derivatives along a list have no name to be called after, or one that is
            taken, or an option is none of its choices, or has no meaning with another.

        See Also
        --------
        numpy.gradient : Where the formulas come from.

        Examples
        --------
        >>> y = xr.DataArray([1.0, 4.0, 9.0], {"x": [1.0, 2.0, 3.0]}, name="y")
        >>> y.grad.compute("x", edge_order=2).values
        array([2., 4., 6.])
        >>> y.grad.compute(["x"])["dy_dx"].values
        array([3., 4., 5.])
        """
        if metric is not None or radius is not None:
            from bigrad.labelled.vectors import differentiate_array as on_sphere

            return on_sphere(
                self._array,
                coord,
                metric=metric,
                radius=radius,
                edge_order=edge_order,
                datetime_unit=datetime_unit,
                boundary=boundary,
                period=period,
                missing=missing,
                accuracy=accuracy,
                order=order,
                regular=regular,
            )
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

    def magnitude(
        self,
        coord: list[str] | tuple[str, ...] | None = None,
        *,
        metric: Metric | None = None,
        radius: float | None = None,
        edge_order: Literal[1, 2] = 1,
    ) -> xr.DataArray:
        """Length of the horizontal gradient: lazily where the data is lazy.

        In one pass, with the same bits for any chunks.

        Parameters
        ----------
        coord : list of str, optional
            Two coordinates, in units of one length. By default the longitude and the latitude,
            or x and y where there is no metric, by their standard_name, units, axis or name.
        metric : {"sphere"}, optional
            Coordinates are longitude and latitude, and the gradient is per metre; else, by
            default, it is in the units of the coordinates.
        radius : float, optional
            Of the sphere in metres: by default that of the grid mapping, else 6371229.
        edge_order : {1, 2}, optional
            Order of accuracy at edges. Longitudes that close the circle have none, nor have
            latitudes at poles then.

        Returns
        -------
        xarray.DataArray
            With the name, coordinates and chunks of this array, in its units per metre, or per
            unit of the coordinates; ``units`` are there where they are known.

        Raises
        ------
        CoordinateError
            A ValueError: the coordinates are not found, not 1-d, or not fit for a derivative,
            as longitudes that have both 0 and 360 degrees.
        ValueError
            Where an option is none of its choices, or `radius` is given without the sphere.
        TypeError
            Where the array does not hold real numbers, or `radius` is not a number.

        Examples
        --------
        >>> coords = {"y": [0.0, 1.0], "x": [0.0, 1.0, 2.0]}
        >>> f = xr.DataArray([[0.0, 3.0, 6.0], [4.0, 7.0, 10.0]], coords, ("y", "x"))
        >>> f.grad.magnitude(["x", "y"]).values
        array([[5., 5., 5.],
               [5., 5., 5.]])
        """
        from bigrad.labelled.vectors import of_array

        return of_array(
            "magnitude", self._array, coord, metric=metric, radius=radius, edge_order=edge_order
        )

    def laplacian(
        self,
        coord: list[str] | tuple[str, ...] | None = None,
        *,
        metric: Metric | None = None,
        radius: float | None = None,
    ) -> xr.DataArray:
        """Horizontal laplacian: lazily where the data is lazy.

        On the sphere ``f_xx + f_yy - f_y tan(latitude) / radius`` [1]_, else ``f_xx + f_yy``.
        Compact: from a cell and its four neighbours, at an edge from the nearest three cells
        along an axis; at a pole it is the flux out of the circle half way to the nearest row,
        by its area. In one pass, with the same bits for any chunks.

        Parameters
        ----------
        coord : list of str, optional
            Two coordinates, in units of one length. By default the longitude and the latitude,
            or x and y where there is no metric, by their standard_name, units, axis or name.
        metric : {"sphere"}, optional
            Coordinates are longitude and latitude, and lengths are in metres; else, by default,
            they are in the units of the coordinates.
        radius : float, optional
            Of the sphere in metres: by default that of the grid mapping, else 6371229.

        Returns
        -------
        xarray.DataArray
            With the name, coordinates and chunks of this array, in its units per metre squared,
            or per unit of the coordinates squared; ``units`` are there where they are known.

        Raises
        ------
        CoordinateError
            A ValueError: the coordinates are not found, not 1-d, or not fit for a derivative,
            as longitudes that have both 0 and 360 degrees.
        ValueError
            Where an option is none of its choices, or `radius` is given without the sphere.
        TypeError
            Where the array does not hold real numbers, or `radius` is not a number.

        References
        ----------
        .. [1] Batchelor, G. K. (1967). An Introduction to Fluid Dynamics. Cambridge University
           Press, appendix 2.

        Examples
        --------
        >>> coords = {"y": [0.0, 1.0, 2.0], "x": [0.0, 1.0, 2.0]}
        >>> f = xr.DataArray([[0.0, 1.0, 4.0]] * 3, coords, ("y", "x"))
        >>> f.grad.laplacian(["x", "y"]).values[0]
        array([2., 2., 2.])
        """
        from bigrad.labelled.vectors import of_array

        return of_array("laplacian", self._array, coord, metric=metric, radius=radius)
