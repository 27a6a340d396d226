from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigrad.numerics.operators import Block
from bigrad.numerics.sphere import Grid, plane, sphere
from bigrad.numerics.vector_calculus import INPUTS, RESULTS, VectorOperator, vector_operator
from bigrad.vectors import apply
from tests.bits import assert_same_bits
from tests.fields import (
    RADIUS,
    harmonic,
    norm,
    polynomial,
    rossby_haurwitz,
    solid_body,
    strain,
)

Array = np.ndarray[Any, Any]

SIZES = (32, 64, 128)
KINDS = sorted(INPUTS)


def latitudes(kind: str, number: int) -> Array:
    """Latitudes in degrees with rows at the poles, half a step beside them, or Gaussian."""
    if kind == "poles":
        return np.linspace(90, -90, number + 1)
    if kind == "gaussian":
        return np.degrees(np.arcsin(np.polynomial.legendre.leggauss(number)[0]))
    return (np.arange(number) + 0.5) * 180 / number - 90


def whole_sphere(kind: str, number: int) -> tuple[Grid, Array, Array]:
    """Grid with its longitudes and latitudes in radians, to broadcast."""
    lat = latitudes(kind, number)
    lon = np.arange(2 * number) * 180 / number
    return sphere(lon, lat, RADIUS), np.radians(lon)[None, :], np.radians(lat)[:, None]


def blocks_of(
    operator: VectorOperator, fields: tuple[Any, ...], start: tuple[int, ...], stop: Any
) -> list[Block]:
    """Blocks as a runner makes them, from whole arrays."""
    shape = tuple(b - a for a, b in zip(start, stop, strict=True))
    core = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    blocks = []
    for number, field in enumerate(fields):
        faces = {}
        for axis, reach in operator.reach.items():
            if reach.periodic and shape[axis] == field.shape[axis]:
                continue
            low, high = reach.window(start[axis], stop[axis])
            sides = []
            for a, b in ((low, start[axis]), (stop[axis], high)):
                cells = np.take(field, np.arange(a, b) % field.shape[axis], axis)
                sides.append(cells[(*core[:axis], slice(None), *core[axis + 1 :])])
            faces[axis] = (sides[0], sides[1])
        extra = tuple(field[part] for part in operator.extra(number, start, shape))
        blocks.append(Block(field[core], start, faces, extra))
    return blocks


def whole(operator: VectorOperator, *fields: Any, **options: Any) -> tuple[Any, ...]:
    """Apply an operator to whole arrays, as one block."""
    start = (0,) * fields[0].ndim
    return operator.apply(blocks_of(operator, fields, start, fields[0].shape), **options)


def computed(kind: str, grid: Grid, *fields: Any, **options: Any) -> tuple[Any, ...]:
    """Apply an operator to arrays ``(..., y, x)``."""
    ndim = fields[0].ndim
    dtypes = [field.dtype for field in fields]
    operator = vector_operator(kind, grid, (ndim - 2, ndim - 1), dtypes, **options)
    return whole(operator, *fields)


Errors = Callable[[Grid, Array, Array], list[Array]]


def of_wind(wind: Any) -> Errors:
    """Errors of vorticity and divergence of a wind, and of the wind turned by a right angle."""

    def errors(grid: Grid, lon: Array, lat: Array) -> list[Array]:
        u, v, vorticity = wind(lon, lat)
        return [
            computed("vorticity", grid, u, v)[0] - vorticity,
            computed("divergence", grid, u, v)[0],
            computed("divergence", grid, v, -u)[0] - vorticity,
            computed("vorticity", grid, v, -u)[0],
        ]

    return errors


def of_harmonic(degree: int, order: int) -> Errors:
    def errors(grid: Grid, lon: Array, lat: Array) -> list[Array]:
        f = harmonic(degree, order, lon, lat)
        return [computed("laplacian", grid, f)[0] + degree * (degree + 1) / RADIUS**2 * f]

    return errors


def of_gradient(grid: Grid, lon: Array, lat: Array) -> list[Array]:
    f, east, north = polynomial(lon, lat)
    u, v, _ = solid_body(lon, lat, 1.0)
    return [
        *(a - b for a, b in zip(computed("components", grid, f), (east, north), strict=True)),
        computed("magnitude", grid, f)[0] - np.hypot(east, north),
        computed("advection", grid, f, u, v)[0] + u * east + v * north,
    ]


def of_strain(grid: Grid, lon: Array, lat: Array) -> list[Array]:
    u, v, *exact = strain(lon, lat)
    return [a - b for a, b in zip(computed("deformation", grid, u, v), exact, strict=True)]


FIELDS: dict[str, Errors] = {
    "solid-0": of_wind(lambda lon, lat: solid_body(lon, lat, 0.0)),
    "solid-45": of_wind(lambda lon, lat: solid_body(lon, lat, np.pi / 4)),
    "solid-90": of_wind(lambda lon, lat: solid_body(lon, lat, np.pi / 2)),
    "rossby-haurwitz": of_wind(rossby_haurwitz),
    "gradient": of_gradient,
    "strain": of_strain,
} | {f"harmonic-{n}-{m}": of_harmonic(n, m) for n in (1, 2, 5, 8) for m in {0, 1, n // 2, n}}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("kind", ["poles", "halves", "gaussian"])
def test_order_of_convergence(kind: str, name: str) -> None:
    """Order 2 in the largest error times the distance from the axis, at the poles, and in L2.

    What varies once around the sphere has an error of ``h**2 / d`` at a distance d from a pole,
    so that its mean square is ``h**4 (a + b log(1 / h))``: of each halving of h, the mean square
    over h**4 grows by the same, which costs an order of 2 up to 0.2 on such grids.
    """
    sizes = np.array([32, 64, 128, 256])
    for errors in zip(*(_errors(name, kind, number) for number in sizes), strict=True):
        mean, largest, pole = np.array(errors).T
        square = (mean * sizes**2) ** 2
        growth = np.diff(square)
        assert (growth[1:] <= 1.02 * growth[0].clip(0.01 * square[0])).all()
        assert mean[-1] <= mean[0] / 8 ** (1.8 if growth[-1] > 0.02 * square[0] else 1.95)
        assert largest[-1] <= largest[0] / 8**1.9
        if kind == "poles":
            assert pole[-1] <= max(pole[0] / 8**1.9, 1e-17)


def _errors(name: str, kind: str, number: int) -> list[tuple[float, float, float]]:
    """Give of each result the mean error, the largest times the distance, that at the poles."""
    grid, lon, lat = whole_sphere(kind, number)
    return [
        (
            norm(error, lat),
            float(np.abs(error * np.cos(lat)).max()),
            float(np.abs(error[[0, -1]]).max()),
        )
        for error in FIELDS[name](grid, lon, lat)
    ]


@st.composite
def grids(draw: Any) -> tuple[Grid, int, int]:
    """A small grid of any kind, and its numbers of rows and columns."""
    rows, columns = draw(st.integers(4, 7)), draw(st.integers(4, 9))
    kind = draw(st.sampled_from(["plane", "regional", "poles", "halves", "gaussian"]))
    if kind == "plane":
        steps = st.lists(st.integers(1, 9), min_size=columns, max_size=columns)
        return plane(np.cumsum(draw(steps)), np.arange(rows) * 0.1), rows, columns
    if kind == "regional":
        grid = sphere(np.arange(columns) * 2.5, np.linspace(-3, 40, rows), RADIUS)
        return grid, rows, columns
    lon = draw(st.sampled_from([-180.0, 0.0])) + np.arange(columns) * 360 / columns
    lat = latitudes(kind, rows - (kind == "poles"))
    if draw(st.booleans()):
        lat = lat[::-1]
    return sphere(lon[:: draw(st.sampled_from([1, -1]))], lat, RADIUS), rows, columns


@given(
    grid_of=grids(),
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(["f4", "f8", "i2", ">f4", "f2"]),
    edge_order=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_bits_do_not_depend_on_blocks(
    grid_of: Any, kind: str, dtype: str, edge_order: int, seed: int, data: Any
) -> None:
    grid, rows, columns = grid_of
    rng = np.random.default_rng(seed)
    fields = tuple(
        (100 * rng.normal(size=(3, rows, columns))).astype(dtype) for _ in range(INPUTS[kind])
    )
    order = data.draw(st.permutations(range(3)))
    fields = tuple(field.transpose(order) for field in fields)
    axes = (order.index(1), order.index(2))
    operator = vector_operator(kind, grid, axes, [f.dtype for f in fields], edge_order=edge_order)
    expected = whole(operator, *fields)
    start, stop = [], []
    for size in fields[0].shape:
        a = data.draw(st.integers(0, size - 1))
        start.append(a)
        stop.append(data.draw(st.integers(a + 1, size)))
    outs = [np.empty(np.subtract(stop, start), operator.dtype) for _ in RESULTS[kind]]
    blocks = blocks_of(operator, fields, tuple(start), stop)
    operator.apply(blocks, outs, workers=data.draw(st.sampled_from([1, 3])))
    part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    for out, one in zip(outs, expected, strict=True):
        assert one.dtype == operator.dtype
        assert_same_bits(out, np.ascontiguousarray(one[part]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", ["poles", "halves", "regional"])
@pytest.mark.parametrize("number", [21, 24, 25])
def test_large_arrays_in_odd_layouts_are_copied_in_pieces(
    kind: str, rows: str, number: int
) -> None:
    lat = np.linspace(-30, 40, number) if rows == "regional" else latitudes(rows, number)
    columns = 2**14
    lon = np.arange(columns) * (0.001 if rows == "regional" else 360 / columns)
    grid = sphere(lon, lat, RADIUS)
    rng = np.random.default_rng(4)
    fields = rng.normal(size=(INPUTS[kind], 1, len(lat), columns)).astype("f4")
    wide = np.zeros((INPUTS[kind], 1, len(lat) + 1, columns + 1), "f4")
    wide[..., 1:, 1:] = fields
    expected = computed(kind, grid, *fields, edge_order=2)
    actual = computed(kind, grid, *wide[..., 1:, 1:], edge_order=2)
    for one, other in zip(actual, expected, strict=True):
        assert_same_bits(one, other)


@pytest.mark.parametrize("dtypes", [("f4", "f4", "f4"), ("f2", "f8", "i4"), (">f8", "f4", "f4")])
@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_leading_axes(kind: str, dtypes: tuple[str, ...]) -> None:
    grid, *_ = whole_sphere("poles", 6)
    rng = np.random.default_rng(3)
    fields = [(9 * rng.normal(size=(2, 3, 2, 7, 12))).astype(dtype) for dtype in dtypes]
    fields = fields[: INPUTS[kind]]
    operator = vector_operator(kind, grid, (3, 4), [field.dtype for field in fields])
    results = apply(operator, [np.copy(field[..., ::-1])[..., ::-1] for field in fields])
    for place in np.ndindex(2, 3, 2):
        apart = vector_operator(kind, grid, (0, 1), [field.dtype for field in fields])
        for result, one in zip(results, whole(apart, *(f[place] for f in fields)), strict=True):
            assert_same_bits(np.copy(result[place]), one)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", ["poles", "halves"])
def test_turning_and_rolling_the_axes_commutes(kind: str, rows: str) -> None:
    lat, lon = latitudes(rows, 8), np.arange(12) * 30.0
    fields = np.random.default_rng(0).normal(size=(INPUTS[kind], len(lat), 12))
    results = computed(kind, sphere(lon, lat, RADIUS), *fields)
    north = computed(kind, sphere(lon, lat[::-1], RADIUS), *fields[:, ::-1])
    east = computed(kind, sphere(lon[::-1], lat, RADIUS), *fields[..., ::-1])
    later = computed(kind, sphere(lon - 90, lat, RADIUS), *np.roll(fields, 3, -1))
    for one, a, b, c in zip(results, north, east, later, strict=True):
        assert_same_bits(a[1:-1], one[::-1][1:-1])
        assert_same_bits(b[1:-1], one[1:-1, ::-1])
        assert_same_bits(c[1:-1], np.roll(one, 3, -1)[1:-1])
        for other in (a[::-1], b[:, ::-1], np.roll(c, -3, -1)):
            np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12 * np.abs(one).max())


def expressions(x: Array, y: Array, edge_order: Any, fields: Any) -> dict[str, Any]:
    """The operators on a plane, as users of NumPy write them."""
    _, u, v = fields
    (f_y, f_x), (u_y, u_x), (v_y, v_x) = (
        np.gradient(field, y, x, edge_order=edge_order) for field in fields
    )
    return {
        "components": (f_x, f_y),
        "magnitude": (np.hypot(f_x, f_y),),
        "advection": (-u * f_x - v * f_y,),
        "divergence": (u_x + v_y,),
        "vorticity": (v_x - u_y,),
        "deformation": (u_x - v_y, v_x + u_y),
    }


@pytest.mark.parametrize("edge_order", [1, 2])
def test_a_plane_and_a_regional_grid_have_numpys_edges(edge_order: Any) -> None:
    x, y = np.array([0.0, 1, 3, 4, 7, 8]), np.array([9.0, 8, 6, 5, 1])
    fields = np.random.default_rng(1).normal(size=(3, 5, 6))
    expected = expressions(x, y, edge_order, fields)
    lat = np.radians(y)[:, None]
    tangent = np.tan(lat) / RADIUS
    east, north = np.radians(x) * RADIUS, np.radians(y) * RADIUS
    (f_y, f_x), (u_y, u_x), (v_y, v_x) = (
        np.gradient(field, north, east, edge_order=edge_order) for field in fields
    )
    f_x, u_x, v_x = (slope / np.cos(lat) for slope in (f_x, u_x, v_x))
    _, u, v = fields
    regional = {
        "components": (f_x, f_y),
        "magnitude": (np.hypot(f_x, f_y),),
        "advection": (-u * f_x - v * f_y,),
        "divergence": (u_x + v_y - v * tangent,),
        "vorticity": (v_x - u_y + u * tangent,),
        "deformation": (u_x - v_y - v * tangent, v_x + u_y + u * tangent),
    }
    for grid, exact in ((plane(x, y), expected), (sphere(x, y, RADIUS), regional)):
        for kind, results in exact.items():
            inputs = fields[1:] if INPUTS[kind] == 2 else fields[: INPUTS[kind]]
            actual = computed(kind, grid, *inputs, edge_order=edge_order)
            for one, other in zip(actual, results, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10 * np.ptp(other))


def test_the_laplacian_is_exact_on_parabolas_up_to_the_edges() -> None:
    x, y = np.array([0.0, 1, 3, 4, 7]), np.array([9.0, 8, 6, 5])
    f = x**2 - 3 * x * y[:, None] + 2 * y[:, None] ** 2
    np.testing.assert_allclose(computed("laplacian", plane(x, y), f)[0], 6.0, rtol=1e-12)


@pytest.mark.parametrize("kind", ["poles", "halves"])
def test_identities(kind: str) -> None:
    rng = np.random.default_rng(2)
    grid, lon, lat = whole_sphere(kind, 16)
    shape = np.broadcast_shapes(lon.shape, lat.shape)
    u, v, w = rng.normal(size=(3, *shape))
    for name in ("divergence", "vorticity", "deformation"):
        pairs = zip(
            computed(name, grid, u + 2 * w, v - w),
            computed(name, grid, u, v),
            computed(name, grid, 2 * w, -w),
            strict=True,
        )
        for whole_sum, one, other in pairs:
            scale = np.abs(one).max()
            np.testing.assert_allclose(whole_sum, one + other, atol=1e-12 * scale)
    for name in ("components", "magnitude", "laplacian"):
        for result in computed(name, grid, np.full(shape, 300.15, "f4")):
            assert_same_bits(np.abs(result), np.zeros(shape, "f4"))


def _integral(f: Array, lat: Array) -> float:
    return float((f * np.cos(lat)).mean())


@pytest.mark.parametrize("kind", ["poles", "halves"])
def test_identities_of_smooth_fields_to_second_order(kind: str) -> None:
    """A gradient has no curl, and a divergence no integral."""
    errors = []
    for number in (32, 64):
        grid, lon, lat = whole_sphere(kind, number)
        f = harmonic(4, 2, lon, lat) + harmonic(3, 0, lon, lat)
        east, north = computed("components", grid, f)
        curl = computed("vorticity", grid, east, north)[0]
        laplacian = computed("laplacian", grid, f)[0]
        twice = computed("divergence", grid, east, north)[0]
        flow = computed("divergence", grid, f * np.cos(lat), east + f * north)[0]
        scale = np.abs(laplacian).max()
        errors.append(
            [
                norm(curl, lat) / scale,
                norm(laplacian - twice, lat) / scale,
                abs(_integral(laplacian, lat)) / scale,
                abs(_integral(flow, lat)) / np.abs(flow).max(),
            ]
        )
    for before, after in zip(*errors, strict=True):
        assert after < max(before / 3.4, 1e-12)


def test_the_curl_of_a_gradient_vanishes_on_an_even_plane() -> None:
    f = np.random.default_rng(3).integers(-99, 99, (7, 9)).astype(float)
    grid = plane(np.arange(9) * 0.5, np.arange(7) * 2.0)
    inner = computed("vorticity", grid, *computed("components", grid, f))[0][1:-1, 1:-1]
    assert not inner.any()


def test_a_regional_grid_has_no_direction_at_a_pole() -> None:
    grid = sphere(np.arange(5.0), [89.0, 89.5, 90.0], RADIUS)
    east, north = computed("components", grid, np.ones((3, 5)))
    assert np.isnan(east[-1]).all()
    assert not north.any()
    assert not east[:-1].any()


@pytest.mark.parametrize(
    ("lon", "lat", "x_end", "y_end"),
    [
        (np.arange(0, 360, 0.1).astype("f4"), [-90.0, 0, 90], "wrapped", "pole"),
        (np.arange(180, -180, -30), [-75, 0, 75], "wrapped", "across"),
        (np.arange(0, 360, 1 / 3).round(2), [-60, -20, 20, 60], "wrapped", "across"),
        (np.arange(0, 360, 30), [-60, -40, 0, 40, 60], "wrapped", "edge"),
        (np.arange(0, 361, 30), [-75, 0, 75], "edge", "edge"),
        (np.arange(0, 330, 30), [-75, 0, 75], "edge", "edge"),
        ([0, 120], [-75, 0, 75], "edge", "edge"),
        (np.array([0, 80, 180, 270]), [-75, 0, 75], "edge", "edge"),
        (np.arange(0, 360, 30), np.array([-90 + 1e-5, 0, 90 - 1e-5], "f4"), "wrapped", "pole"),
        (np.arange(0, 360, 30), [-90.0000025, 0, 90.0000025], "wrapped", "pole"),
        (np.arange(0, 360, 30), np.arange(-90, 90.05, 0.1), "wrapped", "pole"),
        (np.arange(0, 360, 30), -np.arange(-89.95, 90, 0.1), "wrapped", "across"),
    ],
)
def test_what_lies_beyond_the_ends(lon: Any, lat: Any, x_end: str, y_end: str) -> None:
    grid = sphere(lon, lat, RADIUS)
    assert {end.value for end in grid.x_ends} == {x_end}
    assert {end.value for end in grid.y_ends} == {y_end}
    assert grid.shape == (len(lat), len(lon))


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"found 91\.0 at index 2"):
        sphere([0, 1], [89, 90, 91], RADIUS)
    with pytest.raises(ValueError, match="`radius`"):
        sphere([0, 1], [0, 1], 0.0)
    small = plane([0, 1], [0, 1])
    with pytest.raises(ValueError, match=r"`x` has too few points: .* at least 3"):
        vector_operator("laplacian", plane([0, 1], [0, 1, 2]), (0, 1), ["f4"])
    with pytest.raises(ValueError, match="`edge_order`"):
        vector_operator("vorticity", small, (0, 1), ["f4", "f4"], edge_order=3)
    for dtype in ("c8", "?", "O", "g"):
        with pytest.raises(TypeError, match="real numbers"):
            vector_operator("vorticity", small, (0, 1), ["f4", dtype])
