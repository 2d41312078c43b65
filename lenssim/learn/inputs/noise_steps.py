"""Augmentations that add noise, or lose pixels."""

import torch

from lenssim.learn.inputs.augmented_batch import (
    AugmentedBatch,
    amounts_of,
    device_generator_of,
    peak_of,
)
from lenssim.learn.inputs.telescope import drizzled_noise, telescope_noise

__all__ = [
    "add_drizzled",
    "add_gaussian",
    "add_photons",
    "add_telescope",
    "lose_dead_pixels",
    "lose_disc",
]


def add_photons(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Add photon noise that at the peak of a band is a share r of it, with r up to `amount`.

    The peak then has 1 / r^2 counts.
    """
    relative = amounts_of(batch, amount, generator)
    counts = relative.clamp(min=1e-6) ** -2
    peak = peak_of(batch.images)
    expected = batch.images.clamp(min=0)
    device_generator = device_generator_of(batch, generator)
    photons = torch.poisson(expected * (counts / peak), generator=device_generator)
    noisy = batch.images - expected + photons * (peak / counts)
    return batch.with_images(torch.where(relative > 1e-6, noisy, batch.images))


def add_gaussian(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Add Gaussian noise to every pixel, with a sigma up to a share `amount` of the band's peak."""
    sigma = amounts_of(batch, amount, generator) * peak_of(batch.images)
    noise = torch.randn(
        batch.images.shape,
        generator=device_generator_of(batch, generator),
        dtype=batch.images.dtype,
        device=batch.images.device,
    )
    return batch.with_images(batch.images + sigma * noise)


def add_drizzled(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Add noise, correlated as in drizzled images, with a sigma up to `amount` of the peak."""
    sigma = amounts_of(batch, amount, generator) * peak_of(batch.images)
    noise = drizzled_noise(batch.images, device_generator_of(batch, generator))
    return batch.with_images(batch.images + sigma * noise)


def add_telescope(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Add noise of the camera, with a sigma up to `amount` times its own; lost pixels are 0.

    The image stands for the expected one, so that its bright pixels have more noise.
    """
    assert batch.camera is not None  # `augmentation` has asked for one
    amounts = amounts_of(batch, amount, generator)
    device_generator = device_generator_of(batch, generator)
    observed, sigma = telescope_noise(batch.images, batch.camera, device_generator)
    is_lost = torch.isinf(sigma) & (amounts > 0)
    noisy = batch.images + amounts * (observed - batch.images)
    return batch.with_images(torch.where(is_lost, 0, noisy))


def lose_dead_pixels(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Set a share of the pixels, up to `amount`, to 0 in all bands: masked pixels are 0 too."""
    share = amounts_of(batch, amount, generator)
    height, width = batch.images.shape[-2:]
    uniform = torch.rand(
        (len(batch.images), 1, height, width),
        generator=device_generator_of(batch, generator),
        dtype=batch.images.dtype,
        device=batch.images.device,
    )
    return batch.with_images(torch.where(uniform < share, 0, batch.images))


def lose_disc(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Set a disc of pixels with a radius up to `amount` to 0."""
    radius = amounts_of(batch, amount, generator)[:, 0]
    height, width = batch.images.shape[-2:]
    uniform = torch.rand((2, len(batch.images), 1, 1), generator=generator)
    y, x = uniform.to(batch.images)
    dy = torch.arange(height, device=x.device)[:, None] - y * (height - 1)
    dx = torch.arange(width, device=x.device) - x * (width - 1)
    disc = (dy**2 + dx**2 < radius**2)[:, None]
    return batch.with_images(torch.where(disc, 0, batch.images))
