#!/usr/bin/env python3
"""What a run of tests left out, and where its time went.

usage: test_report.py JUNIT.XML COUNTS

Prints the lines of tests that were left out, the slowest tests and the sums of their files, and
writes "PASSED FAILED" into the file COUNTS.
"""
import collections
import sys
import xml.etree.ElementTree as xml

SLOWEST = 15


def main(report, counts):
    cases = [case for case in xml.parse(report).iter("testcase")]
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    left_out = set()
    seconds = {}
    files = collections.Counter()
    for case in cases:
        name = f"{case.get('classname')} {case.get('name')}"
        seconds[name] = float(case.get("time"))
        module = case.get("name").rpartition("::")[0]
        files[f"{case.get('classname')} {module}".strip()] += seconds[name]
        output = case.findtext("system-out") or ""
        left_out |= {line for line in output.splitlines() if line.startswith("left out: ")}
    for line in sorted(left_out):
        print(line)
    print(f"the slowest of {len(cases)} tests, {sum(seconds.values()):.0f} s in all:")
    for name, time in sorted(seconds.items(), key=lambda pair: -pair[1])[:SLOWEST]:
        print(f"  {time:7.1f} s  {name}")
    print("and their files:")
    for name, time in files.most_common(SLOWEST):
        print(f"  {time:7.1f} s  {name}")
    with open(counts, "w") as out:
        out.write(f"{len(cases) - len(failed)} {len(failed)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
