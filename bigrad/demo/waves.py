"""Fields that are sums of plane waves, so that their derivatives are known everywhere."""

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Waves", "Wind", "rossby_haurwitz", "weather"]


@dataclass(frozen=True, eq=False)
class Waves:
    """A field that is a sum of plane waves.

    ``sum(amplitude * cos(zonal * lon + meridional * lat - frequency * hour + phase))``, with
    longitude and latitude in radians.

    Attributes
    ----------
    amplitude : numpy.ndarray
        Of each wave, in the units of the field.
    zonal, meridional : numpy.ndarray
        Wavenumbers, per radian.
    frequency : numpy.ndarray
        In radians per hour.
    phase : numpy.ndarray
        In radians.
    """

    amplitude: np.ndarray
    zonal: np.ndarray
    meridional: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray

    def along(self, coord: str, times: int = 1) -> "Waves":
        """Return the exact derivative along ``longitude`` or ``latitude``, per degree."""
        number = self.zonal if coord == "longitude" else self.meridional
        return replace(
            self,
            amplitude=self.amplitude * np.deg2rad(number) ** times,
            phase=self.phase + times * np.pi / 2,
        )

    @property
    def zonal_mean(self) -> "Waves":
        """The mean along longitude: of the waves, those that do not change along it."""
        return replace(self, amplitude=np.where(self.zonal == 0, self.amplitude, 0.0))

    @property
    def limit(self) -> float:
        """What no value of the field exceeds, in either sign."""
        return float(np.abs(self.amplitude).sum())

    def values(self, hour: float, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Return the field at an hour, of shape ``(latitude, longitude)``, both in degrees."""
        # cos(a + b) = cos(a) cos(b) - sin(a) sin(b) makes one product of two matrices of it.
        east = np.deg2rad(longitude)[:, None] * self.zonal
        north = np.deg2rad(latitude)[:, None] * self.meridional
        north = north - self.frequency * hour + self.phase
        rows = self.amplitude * np.hstack([np.cos(north), -np.sin(north)]).reshape(
            len(latitude), 2, -1
        )
        columns = np.hstack([np.cos(east), np.sin(east)])
        product: np.ndarray = rows.reshape(len(latitude), -1) @ columns.T
        return product


def weather(packets: int = 32) -> Waves:
    """Return something like the temperature near the ground, in kelvin.

    Warm at the equator and cold at the poles, with waves that travel east along the middle
    latitudes: ``sin(2 * lat)**2 * cos(x)`` is a sum of three plane waves.
    """
    random = np.random.default_rng(1440)
    zonal = np.round(np.geomspace(1, 48, packets))
    amplitude = 11.0 / np.maximum(zonal, 4.0) ** 0.8
    meridional = random.uniform(-1.4, 1.4, packets) * zonal
    frequency = zonal * np.deg2rad(random.uniform(0.15, 0.6, packets))
    phase = random.uniform(0.0, 2 * np.pi, packets)
    return Waves(
        amplitude=np.concatenate([[268.0, 28.0], amplitude / 2, -amplitude / 4, -amplitude / 4]),
        zonal=np.concatenate([[0.0, 0.0], zonal, zonal, zonal]),
        meridional=np.concatenate([[0.0, 2.0], meridional, meridional + 4, meridional - 4]),
        frequency=np.concatenate([[0.0, 0.0], np.tile(frequency, 3)]),
        phase=np.concatenate([[0.0, 0.0], np.tile(phase, 3)]),
    )


@dataclass(frozen=True, eq=False)
class Wind:
    """A wind without divergence, and its vorticity, as sums of plane waves.

    Attributes
    ----------
    u, v : Waves
        To the east and to the north, in metres per second.
    v_by_cos : Waves
        `v` divided by the cosine of the latitude: its derivative along longitude, by the
        radius, is that of `v` per metre.
    vorticity : Waves
        Per second.
    radius : float
        Of the sphere, in metres.
    """

    u: Waves
    v: Waves
    v_by_cos: Waves
    vorticity: Waves
    radius: float


def rossby_haurwitz() -> Wind:
    """Return the Rossby-Haurwitz wave of wavenumber 4, on the move.

    An exact solution of the barotropic vorticity equation on the sphere, which travels to the
    east unchanged [1]_, with the numbers of [2]_. Powers of cosines are written as cosines of
    multiples, so that it is a sum of plane waves.

    References
    ----------
    .. [1] B. Haurwitz, "The motion of atmospheric disturbances on the spherical earth",
       Journal of Marine Research 3, 1940.
    .. [2] D. L. Williamson et al., "A standard test set for numerical approximations to the
       shallow water equations in spherical geometry", Journal of Computational Physics 102,
       1992, case 6.
    """
    radius, k, turn = 6_371_229.0, 7.848e-6, 7.292e-5
    per_hour = 3600 * (28 * k - 2 * turn) / 30
    cos, sin = 0.0, -np.pi / 2

    def waves(*terms: tuple[float, float, float, float, float]) -> Waves:
        """Add products of waves in longitude and latitude: each is two plane waves."""
        size, zonal, meridional, east, north = np.transpose(terms)
        return Waves(
            amplitude=np.tile(size / 2, 2),
            zonal=np.tile(zonal, 2),
            meridional=np.concatenate([meridional, -meridional]),
            frequency=np.tile(zonal * per_hour, 2),
            phase=np.concatenate([east + north, east - north]),
        )

    a = radius * k
    return Wind(
        u=waves(
            (a, 0, 1, cos, cos),
            (-a / 8, 4, 1, cos, cos),
            (-a * 9 / 16, 4, 3, cos, cos),
            (-a * 5 / 16, 4, 5, cos, cos),
        ),
        v=waves((-a, 4, 2, sin, sin), (-a / 2, 4, 4, sin, sin)),
        v_by_cos=waves((-a, 4, 1, sin, sin), (-a, 4, 3, sin, sin)),
        vorticity=waves(
            (2 * k, 0, 1, cos, sin),
            (-k * 15 / 4, 4, 1, cos, sin),
            (-k * 45 / 8, 4, 3, cos, sin),
            (-k * 15 / 8, 4, 5, cos, sin),
        ),
        radius=radius,
    )
