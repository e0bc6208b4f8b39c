#!/usr/bin/env python3
"""Fails when a source file includes across a boundary that docs/architecture.md forbids.

Run by ctest. The tables below *are* the architecture: change them only together with a decision record.
"""
import pathlib
import re
import sys

USB_MAY = {"usb", "crypto/base", "crypto/digest.hpp", "crypto/verify_signature.hpp", "crypto/signer.hpp",
           "crypto/transparency"}
TPM_MAY = {"tpm", "crypto/base", "crypto/digest.hpp", "crypto/signer.hpp", "crypto/verify_signature.hpp",
           "crypto/attest"}
MAY_INCLUDE = {
    "crypto/base": {"crypto/base"},
    "crypto": {"crypto"},
    "usb": USB_MAY,
    "tpm": TPM_MAY,
    "appliance": {"appliance", "crypto", "tpm", "usb"},
    "host-tool": {"host-tool", "crypto", "usb"},
    "tests": {"tests", "appliance", "crypto", "host-tool", "tpm", "usb"},
}
# Third-party headers, and the only places that may see them.
CONFINED = {
    "mbedtls/": ("crypto/digest.cpp", "crypto/certificate.cpp", "crypto/verify_signature.cpp",
                 "crypto/keys/pkcs8.cpp", "crypto/keys/submitter_key.cpp", "crypto/keys/random.cpp", "crypto/attest/credential.cpp",
                 "tests/support/"),
    "openssl/": ("tests/support/software_key.cpp",),
    "tss2/": ("tpm/", "tests/support/", "tests/unit/tpm/"),
    "boost/": ("usb/", "appliance/", "host-tool/", "tests/"),
    "CLI/": ("crypto/base/command_line.cpp",),
    "toml++/": ("appliance/",),
    "seccomp.h": ("appliance/confinement.cpp",),
    "zstd": ("usb/serial/packing.cpp", "tests/unit/usb/serial/"),
    "nlohmann/": ("crypto/transparency/", "usb/", "appliance/", "host-tool/", "tests/"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)


def within(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


def violations(root: pathlib.Path):
    for folder in ("crypto", "usb", "tpm", "appliance", "host-tool", "tests"):
        for source in sorted((root / folder).rglob("*.[ch]pp")):
            name = source.relative_to(root).as_posix()
            owner = max((f for f in MAY_INCLUDE if within(name, f)), key=len)
            for quote, target in INCLUDE.findall(source.read_text(encoding="utf-8")):
                if quote == '"' and not any(within(target, allowed) for allowed in MAY_INCLUDE[owner]):
                    yield f"{name}: {owner} may not include {target}"
                for header, places in CONFINED.items():
                    if target.startswith(header) and not any(name.startswith(place) for place in places):
                        yield f"{name}: {header} is confined to {', '.join(places)}"


if __name__ == "__main__":
    found = list(violations(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "every include keeps to the table")
    sys.exit(1 if found else 0)
