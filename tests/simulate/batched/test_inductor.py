"""torch's compiler visits an expression once for each handler of operations."""

from types import SimpleNamespace

from lenssim.simulate.engines.batched.inductor import each_expression_once


def test_an_expression_is_visited_once_for_each_handler():
    from torch._inductor.ir import Pointwise
    from torch._inductor.virtualized import V

    visits = []

    def inner(index):
        visits.append(tuple(index))
        return len(visits)

    expression = SimpleNamespace(is_zero_elements=lambda: False, inner_fn=inner)
    original = Pointwise.make_loader
    with each_expression_once():
        loader = Pointwise.make_loader(expression)
    assert Pointwise.make_loader is original
    with V.set_ops_handler(object()):
        assert [loader([0]), loader([1]), loader([0])] == [1, 2, 1]
    with V.set_ops_handler(object()):
        assert loader([0]) == 3
    assert visits == [(0,), (1,), (0,)]
