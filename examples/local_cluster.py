"""A job on a dask cluster of this machine, stopped half way and continued.

    python examples/local_cluster.py progress.png
    python examples/local_cluster.py --store era5.zarr progress.png

Two processes take the vorticity of a wind. A job keeps a journal beside its target, so that
what was written stays written, whoever stops it: here Ctrl-C is played by an exception. With
the address of a scheduler instead of a local cluster, the same runs on many machines.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import dask.array as da
import numpy as np
import xarray as xr
from distributed import Client, LocalCluster
from matplotlib.figure import Figure

import bigrad
from bigrad.jobs.job import Plan
from bigrad.jobs.report import Progress


def made_up(hours: int = 96, resolution: float = 1.0) -> xr.Dataset:
    """Return a wind that turns the whole sphere about an axis, which wanders, one map a chunk."""
    latitude = np.arange(90, -90 - resolution / 2, -resolution)
    longitude = np.arange(0, 360, resolution)
    y, x = np.meshgrid(np.deg2rad(latitude), np.deg2rad(longitude), indexing="ij")
    tilt = da.arange(hours, chunks=1)[:, None, None] * 2 * np.pi / hours
    u = 40 * (np.cos(y) * np.cos(tilt) + np.sin(y) * np.cos(x) * np.sin(tilt))
    v = -40 * np.sin(x) * np.sin(tilt) * np.ones_like(y)
    dims = ("time", "latitude", "longitude")
    return xr.Dataset(
        {
            "u": (dims, u.astype("float32"), {"units": "m s-1"}),
            "v": (dims, v.astype("float32"), {"units": "m s-1"}),
        },
        {
            "time": np.datetime64("2020-01-01", "ns") + np.arange(hours) * np.timedelta64(1, "h"),
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
        },
    )


def stopped_and_continued(plan: Plan, client: Client) -> tuple[list[Progress], list[Progress]]:
    """Run a job up to the middle, then the rest; return how both went."""
    first: list[Progress] = []
    second: list[Progress] = []

    def stop_half_way(progress: Progress) -> None:
        first.append(progress)
        if 2 * progress.blocks_done >= progress.blocks:
            raise KeyboardInterrupt

    try:
        plan.run(client=client, progress=stop_half_way)
    except KeyboardInterrupt:
        print(f"stopped after {first[-1].blocks_done} of {plan.blocks} blocks")
    print(plan.run(client=client, progress=second.append, resume=True))
    return first, second


def draw(path: Path, runs: tuple[list[Progress], ...]) -> None:
    """Write the picture: what is done over time, run by run."""
    figure = Figure(figsize=(8.4, 4.2), dpi=128, layout="constrained")
    ax = figure.subplots()
    began = before = 0.0
    looks = {"stopped": "#b5651d", "continued": "#1d6fb5"}
    for run, (name, colour) in zip(runs, looks.items(), strict=True):
        seconds = [began, *(began + progress.seconds for progress in run)]
        done = [before, *(100 * progress.bytes_done / progress.bytes for progress in run)]
        ax.fill_between(seconds, done, step="post", color=colour, alpha=0.25, linewidth=0)
        ax.step(seconds, done, where="post", color=colour, label=name)
        began, before = seconds[-1], done[-1]
    ax.set(xlabel="seconds", ylabel="% of the results written", xlim=(0, None), ylim=(0, 103))
    ax.set_title("Vorticity on two processes, stopped half way", loc="left")
    ax.legend(frameon=False, loc="upper left")
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="a zarr store with winds u and v on the sphere")
    parser.add_argument("--memory", default="1GiB", help="the most that each process may hold")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    with (
        TemporaryDirectory() as directory,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        store = arguments.store
        if store is None:
            store = f"{directory}/wind.zarr"
            made_up().to_zarr(store, consolidated=False)
        target = arguments.picture.with_suffix(".zarr")
        plan = bigrad.plan(
            store, target, operator="vorticity", variables=("u", "v"), metric="sphere",
            memory=arguments.memory, overwrite=True,
        )  # fmt: skip
        draw(arguments.picture, stopped_and_continued(plan, client))
