#!/usr/bin/env python3
"""Fails unless the reasons of docs/verification.md and docs/operations.md are those of the code, and each of them is in a test, and the ids of
findings in the code, in their table and in docs/catalogs.md are the same. Run by ctest."""
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


FINDING = r"[a-z]+(?:-[a-z]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*"
# An id, or the two of a choice, and then how bad it is: so every finding is made.
MADE = re.compile(rf'"({FINDING})"(?:\s*:\s*"({FINDING})")?,\s*(?:package::)?(?:Severity::|worst_left_out_)')
MAKES = re.compile(r"\.finding\(\s*(?!\w+ \? \")[^\s\"]|findings\.push_back\(\{\s*[^\s\"]")


# What a profile's `blocking` may name.
def ids_of_findings(root: pathlib.Path):
    table = set(re.findall(rf'"({FINDING})"', (root / "crypto/package/finding_ids.cpp").read_text(encoding="utf-8").split("};")[0]))
    made = set()
    for source in sorted([*(root / "crypto/package").rglob("*.cpp"), *(root / "appliance").rglob("*.cpp")]):
        text = source.read_text(encoding="utf-8")
        made |= {finding for choice in MADE.findall(text) for finding in choice if finding}
        if MAKES.search(text) and source.name != "inspection_builder.cpp":   # through which all others go
            yield f"{source.relative_to(root)}: makes a finding of which the id is not written there: nobody can hold it against the table"
    section = (root / "docs/catalogs.md").read_text(encoding="utf-8").split("## 9. ")[1].split("\n## ")[0]
    docs = {finding for line in section.splitlines() if line.startswith("|") for finding in re.findall(rf"`({FINDING})`", line.split("|")[2])}
    for finding in sorted(made - table):
        yield f"{finding}: is found, and not in crypto/package/finding_ids.cpp: no profile can block it"
    for finding in sorted(table - made):
        yield f"{finding}: is in crypto/package/finding_ids.cpp, and nothing finds it"
    for finding in sorted(table ^ docs):
        yield f"{finding}: is in {'crypto/package/finding_ids.cpp' if finding in table else 'docs/catalogs.md, section 9,'} alone"


if __name__ == "__main__":
    tree = pathlib.Path(sys.argv[1])
    found = [*findings(tree), *inspector_findings(tree), *ids_of_findings(tree)]
    print("\n".join(found) or "every reason is documented and tested")
    sys.exit(1 if found else 0)
