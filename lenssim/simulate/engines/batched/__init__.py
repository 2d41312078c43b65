"""The batched engine: thousands of lenses at once in torch, on CPU or GPU, differentiable."""
