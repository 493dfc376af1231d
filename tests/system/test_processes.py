"""Processes as plain data."""
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.system.processes import Process


def test_program_name_is_printable() -> None:
    """A program's name in a route is escaped when the route is made, for whatever prints it."""
    process = Process(1, 0, 0, "x\033[2J\nNothing failed. Run evil", (), PathInView("/bin/x"), PathInView("/"), 0)
    assert process.program.name == "x\\x1b[2J\\nNothing failed. Run evil"
    assert str(process.program) == f"{process.program.name} (pid 1)"
