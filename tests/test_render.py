from rich.table import Table

from zeropoint.render import WIDTH, as_text


def test_a_table_is_plain_text_without_trailing_blanks() -> None:
    table = Table("name", "value")
    table.add_row("[bold]a[/bold]", "1")
    printed = as_text(table)
    assert "\x1b" not in printed
    assert "a" in printed
    assert all(line == line.rstrip() for line in printed.splitlines())


def test_the_width_does_not_depend_on_the_terminal() -> None:
    table = Table("name")
    table.add_row("word " * 100)
    assert max(len(line) for line in as_text(table).splitlines()) <= WIDTH
