#!/usr/bin/env python3
"""Fails on what the house rules forbid and a compiler does not see. Run by ctest."""
import pathlib
import re
import sys

# Raw memory access is confined, so that offsets from files can only be used through crypto/base.
RAW = re.compile(r"\breinterpret_cast\b|\.data\(\)\s*\+|\bmemcpy\s*\(")
RAW_ALLOWED = ("crypto/base/", "tpm/esys.hpp", "tpm/esys.cpp", "tests/")
ABSTAIN = re.compile(r"\b(utils?|helpers?|manager|common|misc)\.[ch]pp$")
NOLINT = re.compile(r"NOLINT(?!(NEXTLINE|BEGIN|END)?\([a-z0-9.,*-]+\):? \S)")
QUIET = ("crypto/", "usb/", "tpm/")   # they neither log nor print
PRINT = re.compile(r"std::(cout|cerr|clog)\b|\bprintf\s*\(|\bputs\s*\(|fmt::print")
QUIET_ALLOWED = ("crypto/base/result.cpp",)   # the last words of stop()
# The units' RestrictSUIDSGID= answers openat2 with ENOSYS (systemd.exec(5)); usb/files/folder.cpp goes name by name.
SANDBOX_REFUSES = re.compile(r"\b(SYS|__NR)_openat2\b")
LONGEST = 400


def findings(root: pathlib.Path):
    for folder in ("crypto", "usb", "tpm", "appliance", "host-tool", "tests"):
        for source in sorted((root / folder).rglob("*.[ch]pp")):
            name = source.relative_to(root).as_posix()
            text = source.read_text(encoding="utf-8")
            lines = text.splitlines()
            if ABSTAIN.search(name):
                yield f"{name}: a file is named for what it holds"
            if len(lines) > LONGEST and "over 400 lines because" not in "\n".join(lines[:12]):
                yield f"{name}: {len(lines)} lines; split it, or say why in its first comment"
            for number, line in enumerate(lines, 1):
                code = line.split("//")[0]
                if RAW.search(code) and not name.startswith(RAW_ALLOWED):
                    yield f"{name}:{number}: raw memory access outside crypto/base: {line.strip()}"
                if SANDBOX_REFUSES.search(code) and not name.startswith("tests/"):
                    yield f"{name}:{number}: not answered in the units' sandbox: {line.strip()}"
                if NOLINT.search(line):
                    yield f"{name}:{number}: NOLINT names its check and gives a reason"
                if name.startswith(QUIET) and name not in QUIET_ALLOWED and PRINT.search(code):
                    yield f"{name}:{number}: {name.split('/')[0]} neither logs nor prints"


if __name__ == "__main__":
    found = list(findings(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "the house rules hold")
    sys.exit(1 if found else 0)
