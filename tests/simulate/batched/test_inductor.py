"""torch's compiler visits an expression once for each handler of operations."""

from types import SimpleNamespace

from lenssim.simulate.engines.batched.inductor import (
    each_expression_once,
    forget_processor,
    trusted_processor,
)


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


def test_the_processor_is_believed_until_a_kernel_fails():
    from torch._inductor.cpu_vec_isa import VecISA, valid_vec_isa_list

    check_build = VecISA.check_build
    forget_processor()
    with trusted_processor():
        assert VecISA().check_build("no program at all")
        valid_vec_isa_list()
    assert VecISA.check_build is check_build
    assert valid_vec_isa_list.cache_info().currsize == 1
    forget_processor()
    assert valid_vec_isa_list.cache_info().currsize == 0
