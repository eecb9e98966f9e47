from splitreason_cli.cli.faults import counted


def test_reasons_of_one_sort_are_counted_together_the_most_frequent_first():
    reasons = [f"unclosed: the last <x> at {n} is never closed" for n in range(3)]
    assert counted(["nested: <x> at character 5", *reasons]) == "3 unclosed, 1 nested"


def test_numbers_and_quoted_texts_make_no_sort_of_their_own_but_fields_do():
    reasons = ["the id 'a' was seen before", "the id 'b' was seen before", "field 'problem' is missing. Add it"]
    assert counted(reasons) == "2 the id '...' was seen before, 1 field 'problem' is missing"
    assert counted([f"the trace has {n},000 tokens. Shorten it" for n in (1, 2)]) == "2 the trace has N tokens"


def test_many_sorts_are_cut_and_none_is_nothing():
    assert counted(f"{letter}: x" for letter in "abcdefgh").endswith("1 f, 2 others")
    assert counted([]) == ""
