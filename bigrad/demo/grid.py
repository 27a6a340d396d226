"""The grid that the demonstration's fields live on."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """A global grid of hourly steps.

    Attributes
    ----------
    steps : int
        Number of hours.
    resolution : float
        Distance of neighbours in degrees, along both horizontal coordinates.
    """

    steps: int = 256
    resolution: float = 0.25

    @property
    def latitude(self) -> np.ndarray:
        """Degrees from the north pole to the south pole."""
        return 90.0 - self.resolution * np.arange(round(180 / self.resolution) + 1)

    @property
    def longitude(self) -> np.ndarray:
        """Degrees from Greenwich eastwards, once around."""
        return self.resolution * np.arange(round(360 / self.resolution))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a field over time, latitude and longitude."""
        return self.steps, len(self.latitude), len(self.longitude)

    @property
    def nbytes(self) -> int:
        """Bytes of such a field in float32."""
        return 4 * int(np.prod(self.shape))
