"""Parts of one lens: arcs and counter-images join their galaxy, so that it is one object."""

import numpy as np

__all__ = ["hosts_of"]

_REACH = 1.5  # times the radius: how far parts may lie
_ARC_REACH = 2.5  # times the radius: how far arcs may lie
_ELONGATED = 1.8  # a / b of an arc
_TANGENTIAL = np.radians(30.0)  # largest angle between an arc and its circle
_ROUNDEST = 0.2  # below this axis ratio a shape says no more
_CLUSTER = 0.65  # of the radius: images around a faint galaxy lie within it
_COMPARABLE = 0.3  # ratio of cores
_FEWEST = 3  # images that surround a galaxy


def hosts_of(
    columns: dict[str, np.ndarray], radius: float, part_ratio: float
) -> np.ndarray:
    """Return the row of the galaxy (n,) that each object is a part of; its own if it is one.

    Galaxies come in the order of their cores' brightness times their squared axis ratio,
    because the brightest round core is the lens and not its arcs. A galaxy takes an object at
    the distance r whose core is fainter by `part_ratio` (radius / r)^2, and long objects along
    a circle around it from further away. Where three or more cores are alike, the galaxy is
    the one in their middle.

    Args:
        columns: Columns (n,) `x`, `y`, `core`, `a`, `b` and `theta` [rad].
        radius: The radius in pixels.
        part_ratio: Largest ratio of the cores of a part and its galaxy at the radius.

    Example:
        >>> objects = {"x": [0.0, 3.0], "y": [0.0, 0.0], "core": [9.0, 2.0]}
        >>> round_ones = {"a": [1.0, 1.0], "b": [1.0, 1.0], "theta": [0.0, 0.0]}
        >>> columns = {name: np.array(x) for name, x in (objects | round_ones).items()}
        >>> hosts_of(columns, 5.0, 0.5).tolist()
        [0, 0]
    """
    from scipy.spatial import cKDTree

    count = len(columns["x"])
    hosts = np.full(count, -1)
    if not count or radius <= 0:
        return np.arange(count)
    places = np.stack([columns["x"], columns["y"]], axis=1)
    tree = cKDTree(places)
    roundness = (columns["b"] / columns["a"].clip(min=1e-9)).clip(_ROUNDEST, 1.0)
    order = np.lexsort((columns["x"], columns["y"], -columns["core"] * roundness**2))
    for host in order.tolist():
        if hosts[host] >= 0:
            continue
        rows = np.array(tree.query_ball_point(places[host], _ARC_REACH * radius))
        rows = rows[hosts[rows] < 0]
        hosts[rows[_is_part(columns, host, rows, radius, part_ratio)]] = host
        hosts[host] = host
    return _centred(columns, hosts, _CLUSTER * radius)


def _is_part(
    columns: dict[str, np.ndarray],
    host: int,
    rows: np.ndarray,
    radius: float,
    part_ratio: float,
) -> np.ndarray:
    """Return which objects are faint enough for their distance, or long along a circle."""
    ratio = columns["core"][rows] / max(columns["core"][host], 1e-9)
    dx = columns["x"][rows] - columns["x"][host]
    dy = columns["y"][rows] - columns["y"][host]
    distance = np.hypot(dx, dy)
    allowed = part_ratio * (radius / distance.clip(min=1e-9)) ** 2
    is_part = (distance < _REACH * radius) & (ratio < allowed)
    elongated = columns["a"][rows] > _ELONGATED * columns["b"][rows]
    angle = columns["theta"][rows] - np.arctan2(dy, dx) - np.pi / 2
    off_circle = np.abs((angle + np.pi / 2) % np.pi - np.pi / 2)
    is_arc = elongated & (off_circle < _TANGENTIAL)
    return is_part | ((ratio < part_ratio) & is_arc)


def _centred(columns: dict[str, np.ndarray], hosts: np.ndarray, reach: float) -> np.ndarray:
    """Return hosts (n,), where galaxies amid several images of like brightness stand for them."""
    x, y, core = columns["x"], columns["y"], columns["core"]
    is_close = np.hypot(x - x[hosts], y - y[hosts]) < reach
    members = np.flatnonzero(is_close & (core >= _COMPARABLE * core[hosts]))
    counts = np.bincount(hosts[members], minlength=len(hosts))
    centred = hosts.copy()
    for host in np.flatnonzero(counts >= _FEWEST).tolist():
        rows = members[hosts[members] == host]
        middle_x = np.average(x[rows], weights=core[rows])
        middle_y = np.average(y[rows], weights=core[rows])
        inner = rows[np.hypot(x[rows] - middle_x, y[rows] - middle_y).argmin()]
        centred[hosts == host] = inner
    return centred
