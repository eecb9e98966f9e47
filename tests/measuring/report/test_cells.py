from splitreason_cli.measuring.report.cells import Cell, Grid, disagreements


def test_a_grid_has_a_row_for_each_problem_and_a_cell_for_each_run():
    grid = Grid(2)
    for problem, run, correct in (("b", 0, True), ("b", 0, None), ("a", 0, True), ("a", 1, False)):
        grid.add(problem, run, correct)
    assert grid.rows() == [("b", [Cell(1, 1, 1), None]), ("a", [Cell(1, 1), Cell(0, 1)])]


def test_a_cell_is_named_by_the_quarter_it_reaches():
    assert [Cell(right, 4).quarters for right in range(5)] == ["0", "1", "2", "3", "4"]
    assert [Cell(right, 16).quarters for right in (1, 4, 5, 8, 9, 15, 16)] == ["1", "1", "2", "2", "3", "3", "4"]
    assert Cell(0, 0, 2).quarters == "none"


def test_systems_differ_where_shares_do_not_where_counts_do():
    rows = [
        ("a", [Cell(1, 2), Cell(2, 4)]),
        ("b", [Cell(1, 2), Cell(2, 2)]),
        ("c", [Cell(1, 1), None]),
        ("d", [Cell(0, 0, 1), Cell(1, 1)]),
    ]
    assert list(disagreements(rows)) == [False, True, False, False]
