#!/usr/bin/env python3
"""Fails unless the reasons of docs/verification.md and docs/operations.md are those of the code, and each of them is in a test. Run by ctest."""
import pathlib
import re
import sys

KINDS = r"(?:pe|cab|file|catalog|signature|chain|timestamp|uefi|kernel|receipt)"
IN_CODE = re.compile(rf'"({KINDS}\.[a-z0-9]+(?:-[a-z0-9]+)*)"')
IN_DOCS = re.compile(rf"`({KINDS}\.[a-z0-9]+(?:-[a-z0-9]+)*)`")
SOURCES = ("crypto/package/verification.cpp", "crypto/package/signature_verdict.cpp", "crypto/package/cab_verification.cpp",
           "crypto/package/kernel_policy.cpp", "host-tool/package_verdict.cpp", "host-tool/receipt_check.cpp")


def findings(root: pathlib.Path):
    code = {reason for source in SOURCES for reason in IN_CODE.findall((root / source).read_text(encoding="utf-8"))}
    rows = [line.split("|")[1] for line in (root / "docs/verification.md").read_text(encoding="utf-8").splitlines()
            if line.startswith("| `")]
    docs = {reason for row in rows for reason in IN_DOCS.findall(row)}
    tests = "\n".join(test.read_text(encoding="utf-8") for test in sorted((root / "tests").rglob("*_test.cpp")))
    for reason in sorted(code - docs):
        yield f"{reason}: the code reports it, docs/verification.md has no row for it"
    for reason in sorted(docs - code):
        yield f"{reason}: docs/verification.md has a row for it, nothing reports it"
    for reason in sorted(docs):
        if f'"{reason}"' not in tests:
            yield f"{reason}: no test expects it"


IN_INSPECTOR_CODE = re.compile(r'"(inspector\.[a-z]+(?:-[a-z]+)*): ')
IN_OPERATIONS = re.compile(r"^\| `(inspector\.[a-z]+(?:-[a-z]+)*)`", re.M)


# Reasons that stand first in a text, and that operators look up.
def inspector_findings(root: pathlib.Path):
    code = set(IN_INSPECTOR_CODE.findall((root / "appliance/inspector_process.cpp").read_text(encoding="utf-8")))
    docs = set(IN_OPERATIONS.findall((root / "docs/operations.md").read_text(encoding="utf-8")))
    tests = (root / "tests/unit/appliance/inspector_process_test.cpp").read_text(encoding="utf-8")
    for reason in sorted(code ^ docs):
        yield f"{reason}: is in {'the code' if reason in code else 'docs/operations.md'} alone"
    for reason in sorted(code):
        if reason not in tests:
            yield f"{reason}: no test expects it"


if __name__ == "__main__":
    found = list(findings(pathlib.Path(sys.argv[1]))) + list(inspector_findings(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "every reason is documented and tested")
    sys.exit(1 if found else 0)
