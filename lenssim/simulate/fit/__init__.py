"""Models of lenses fitted to images from scratch: numerics on arrays, in torch, without truth."""
