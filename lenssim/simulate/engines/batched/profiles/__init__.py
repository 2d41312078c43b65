"""Lens and light profiles as pure, batched, differentiable torch functions: one profile a file.

A mass profile is two functions, a light profile one::

    deflection(x, y, **parameters) -> (alpha_x, alpha_y)    reduced deflection [arcsec]
    convergence(x, y, **parameters) -> kappa                surface density in critical ones, div alpha / 2
    surface_brightness(x, y, **parameters) -> I             in the unit of amp [e-/s/arcsec^2]

* x, y [arcsec] and every parameter are tensors that broadcast against each other: pixels (N, P) with
  parameters (N, 1), or pixels (N, 1, P) with parameters (N, K, 1) for K perturbers a scene. The result has
  the dtype of the inputs, float32 or float64, and a pixel does not depend on what shares its batch, bit for
  bit: hence no pow, atan2 and atanh here, which torch rounds differently in the vectors of a CPU and in what
  is left over.
* Names, units and conventions are lenstronomy's: angles in arcsec; radii of elliptical profiles are the
  product average of the axes; |e| = (1 - q) / (1 + q), e1 and e2 along twice the position angle. In double
  precision a field agrees with lenstronomy 1.14.2 to 1e-9 of its largest value, numerical floors included,
  and in single precision to 1e-5; where a profile differs on purpose, its docstring says so.
* Values and gradients are finite on a centre, at q = 1 and without mass. Nothing branches on data: every
  function compiles with `torch.compile(fullgraph=True)`.
* Parameters are not checked. Lengths are taken to be positive and masses not to be negative: to refuse
  others is the task of whoever makes the scenes.
"""
