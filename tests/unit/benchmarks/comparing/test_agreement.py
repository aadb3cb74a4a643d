"""Whether two runs say the same of what both measured."""

import made_rows
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.benchmarks.comparing.agreement import agreement


def row(name, ratio, **fields):
    return made_rows.row(name, ratio_to_stock=ratio, **fields)


def test_ratios_agree_within_fifteen_percent_either_way():
    found = agreement([row("a", 1.0), row("b", 1.15)], [row("a", 1.15), row("b", 1.0)])
    assert (found.same, found.noisy, found.apart) == (2, 0, [])


def test_a_ratio_that_one_run_called_too_noisy_is_not_held_against_them():
    before, after = [row("a", 1.0, noisy=True), row("b", 1.0)], [row("a", 2.0), row("b", 2.0)]
    found = agreement(before, after)
    assert (found.same, found.noisy, found.count) == (0, 1, 2)
    assert [(one.key, other.key) for one, other in found.apart] == [("b (x)", "b (x)")]


def test_what_only_one_run_has_or_has_verified_counts_nowhere():
    before = [row("a", 1.0), row("b", 1.0, verified=False), row("c", None), row("d", 1.0)]
    after = [row("b", 1.0), row("c", 1.0), row("d", 1.0, verified=False), row("e", 1.0)]
    assert agreement(before, after).count == 0


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.tuples(*[st.tuples(st.floats(0.01, 100.0), st.booleans())] * 2),
    )
)
def test_each_common_ratio_counts_once_and_order_makes_no_difference(ratios):
    before = [row(name, one[0], noisy=one[1]) for name, (one, _) in ratios.items()]
    after = [row(name, two[0], noisy=two[1]) for name, (_, two) in ratios.items()]
    found, turned = agreement(before, after), agreement(after, before[::-1])
    assert found.count == len(ratios) == turned.count
    assert found.noisy == turned.noisy
    assert {one.key for one, _ in found.apart} == {one.key for one, _ in turned.apart}
