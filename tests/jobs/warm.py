"""What a process that runs a job has to load, for `multiprocessing` to load it once."""

import numpy as np

import tests.jobs.test_resume  # noqa: F401
from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.spacing import from_coordinate

for positions in ([0.0, 1.0, 2.0], [0.0, 1.0, 3.0]):
    for axis in range(2):
        spacings = {axis: from_coordinate(positions)}
        block = Block(np.zeros((1024, 1024), "f4")[:3, :3], (0, 0))
        Gradient.along(spacings, dtype="f4").apply(block)
