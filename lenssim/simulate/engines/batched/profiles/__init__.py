"""Lens and light profiles as pure, batched, differentiable torch functions: one profile a file.

A mass profile is two functions, a light profile one::

    deflection(x, y, **parameters) -> (alpha_x, alpha_y)  reduced deflection [arcsec]
    convergence(x, y, **parameters) -> kappa              critical densities, div alpha / 2
    surface_brightness(x, y, **parameters) -> I           unit of amp [e-/s/arcsec^2]

* x, y [arcsec] and every parameter are tensors that broadcast against each other: pixels
  (N, P) with parameters (N, 1), or pixels (N, 1, P) with parameters (N, K, 1) for K
  perturbers a scene. The result has the dtype of the inputs, float32 or float64. A pixel does
  not depend on other pixels of its batch, bit for bit. So there is no pow, atan2 and atanh
  here: torch rounds them differently in the vectors of a CPU and in the remainder.
* Names, units and conventions are lenstronomy's: angles in arcsec; radii of elliptical
  profiles are the product average of the axes; |e| = (1 - q) / (1 + q), e1 and e2 along twice
  the position angle. In double precision a field agrees with lenstronomy 1.14.2 to 1e-9 of
  its largest value, numerical floors included, and in single precision to 1e-5. Where a
  profile differs on purpose, its docstring says so.
* Values and gradients are finite on a centre, at q = 1 and without mass. Nothing branches on
  data: every function compiles with `torch.compile(fullgraph=True)`.
* Parameters are not checked. Lengths must be positive and masses not negative: the code that
  makes scenes refuses others.
"""
