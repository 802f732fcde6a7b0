"""What running programs hold, as Linux tells it."""
import pathlib


def _fields(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def children(parent, name=""):
    """Process ids of the children of `parent` whose program's name starts with `name`."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = _fields(folder.name)
        except OSError:
            continue  # It has ended.
        if int(fields["PPid"]) == parent and fields["Name"].startswith(name):
            found.append(int(folder.name))
    return sorted(found)


def descendants(parent):
    """Process ids of the children of `parent`, of their children, and so on."""
    return [pid for child in children(parent) for pid in [child, *descendants(child)]]


def name_of(pid):
    return _fields(pid)["Name"]


def resident_mb(pid):
    return int(_fields(pid)["VmRSS"].split()[0]) / 1e3


def open_files(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid):
    return int(_fields(pid)["Threads"])
