#!/usr/bin/env python3
"""Fails unless the reasons of docs/verification.md are those of the code, and each of them is in a test. Run by ctest."""
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


if __name__ == "__main__":
    found = list(findings(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "every reason is documented and tested")
    sys.exit(1 if found else 0)
