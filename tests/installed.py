"""Packages as an installer leaves them, for tests of what they add by entry points."""


def install(folder, module, source, points, group="srx.tasks", needs=(), record=()):
    """What pip leaves behind in a folder of the search path; returns the module's file.

    `record` are the files that it notes, `needs` the packages that are needed.
    """
    file = folder / f"{module.replace('.', '/')}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    installed = folder / f"{module}-1.0.dist-info"
    installed.mkdir()
    needed = "".join(f"Requires-Dist: {one}\n" for one in needs)
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}-package\nVersion: 1.0\n{needed}")
    if record:
        (installed / "RECORD").write_text("".join(f"{name},,\n" for name in record))
    lines = [f"{name} = {value}" for name, value in points.items()]
    (installed / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
    return file
