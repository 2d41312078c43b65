"""Adaptive batch normalisation (Li et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, override

from lenssim.learn.methods.adaptation.adaptation import Adaptation, Pair

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.methods.method import Networks

__all__ = ["AdaBN"]


class AdaBN(Adaptation):
    """Trains on the source alone. Batch normalisation takes the statistics of the target."""

    @override
    def pair(self, networks: Networks, views: Mapping[str, tuple[Batch, ...]]) -> Pair:
        from torch import no_grad

        from lenssim.learn.methods.adaptation.adaptation import SOURCE, TARGET, model_of

        source = views[SOURCE][0]
        target = views[TARGET][0]
        of_source = model_of(networks, SOURCE)
        features = of_source.features(source["image"])
        outputs = of_source.head(features)
        of_target = model_of(networks)
        with no_grad():  # only to gather its statistics
            target_features = of_target.features(target["image"])
            target_outputs = of_target.head(target_features)
        return Pair(source, target, features, target_features, outputs, target_outputs)
