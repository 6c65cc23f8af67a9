from itertools import permutations

from serflow.order import natural


def test_numbers_in_names_count_as_such():
    ordered = ["2", "10", "Session1", "Session2", "Session2b", "Session10", "a", "s1x2", "s1x10"]
    for names in (ordered[::-1], sorted(ordered)):
        assert sorted(names, key=natural) == ordered


def test_names_that_read_the_same_have_one_order():
    for names in permutations(["s2", "s02", "s002"]):
        assert sorted(names, key=natural) == ["s002", "s02", "s2"]
