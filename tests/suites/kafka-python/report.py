"""A pytest plugin: runs the tests whose names contain the regular expression $ONLY, and writes one line for each into
the file $REPORT, fields separated by tabs."""
import os
import re


def name_of(nodeid):
    return nodeid.removeprefix("test/integration/").replace(" ", "_")


def pytest_collection_modifyitems(config, items):
    only = re.compile(os.environ.get("ONLY", ""))
    left_out = [item for item in items if not only.search(name_of(item.nodeid))]
    items[:] = [item for item in items if only.search(name_of(item.nodeid))]
    config.hook.pytest_deselected(items=left_out)


def reason(report):
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr or "")


def pytest_runtest_logreport(report):
    # The phases around a test count only when they go wrong.
    if report.when != "call" and report.outcome == "passed":
        return
    name = name_of(report.nodeid)
    if report.when == "teardown":
        name += "[teardown]"
    lines = reason(report).strip().splitlines()
    why = lines[0][:150].replace("\t", " ") if lines else ""
    with open(os.environ["REPORT"], "a", encoding="utf-8") as out:
        out.write("\t".join([report.outcome, name, f"{report.duration:.1f}", why]) + "\n")
