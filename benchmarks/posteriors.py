"""How long full posteriors of many images take: networks with a head for six targets.

uv run python benchmarks/posteriors.py [--head full] [--images 1000] [--threads 2]

Images in memory to means and covariances, aleatoric and epistemic, with a fixed dropout as several draws of the weights
or without one as a single pass; then as many random draws from each posterior besides. Weights are random: speed does
not depend on them. Prints its conditions and a table in Markdown.
"""

import argparse
import os
import platform
import time
from importlib.metadata import version

import numpy as np

TARGETS = ("theta_E", "e1", "e2", "center_x", "center_y", "magnification")
NETS = ("cnn", "compact", "compact_grid")
PASSES = {1: 5, 4: 2, 16: 1}  # and how often each is timed
DRAWS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--head", default="full")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    import torch

    from lenssim.learn.heads import head
    from lenssim.learn.inputs.description import ImageDescription
    from lenssim.learn.nets import parameter_count
    from lenssim.learn.nets.model import Model, image_outputs
    from lenssim.learn.scores.posterior import Posterior

    torch.set_num_threads(arguments.threads)
    print(
        f"{arguments.threads} threads of {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, torch {version('torch')}; {arguments.images} images of 64 x 64, "
        f"{len(TARGETS)} targets, head {arguments.head}, "
        f"best of {', '.join(f'{n} ({p} passes)' for p, n in PASSES.items())}\n"
    )
    images = np.random.default_rng(0).random(
        (arguments.images, 1, 64, 64), dtype=np.float32
    )
    own, one, device = (
        head(arguments.head, len(TARGETS)),
        np.ones(len(TARGETS)),
        torch.device("cpu"),
    )
    print(
        "| net | passes | network [s] | covariances [s] | together [s] | CPU [s] | images/s "
        f"| {DRAWS:,} draws each [s] |"
    )
    print(f"|{'---|' * 8}")
    for net in NETS:
        for passes, repeats in PASSES.items():
            dropout = "0.03" if passes > 1 else "0"
            model = Model(
                net,
                "minmax",
                ImageDescription((1, 64, 64)),
                own.outputs,
                dropout=dropout,
                draws=passes,
            )
            found = []
            for _ in range(repeats):
                start, busy = time.perf_counter(), time.process_time()
                outputs = image_outputs(model, images, device)
                middle = time.perf_counter()
                posterior = Posterior(own, outputs, np.zeros(len(TARGETS)), one, one, one)
                if not np.isfinite(posterior.covariance).all():
                    raise FloatingPointError(f"{net}: a covariance is not finite")
                end, spent = time.perf_counter(), time.process_time() - busy
                posterior.sample(DRAWS)
                found.append(
                    (
                        end - start,
                        middle - start,
                        end - middle,
                        spent,
                        time.perf_counter() - end,
                    )
                )
            both, network, covariances, spent, drawing = min(found)
            name = f"{net} ({parameter_count(model.net):,})"
            print(
                f"| {name} | {passes} | {network:.2f} | {covariances:.2f} | {both:.2f} | {spent:.2f} "
                f"| {len(images) / both:,.0f} | {drawing:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
