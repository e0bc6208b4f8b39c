#!/usr/bin/env python3
"""osslsigncode's command line on top of test-signer and coldseal, so that a peer's test suite can be pointed at us.

usage: COLDSEAL_BIN=BUILD/bin osslsigncode_shim.py sign|verify|add|extract-signature|attach-signature|remove-signature ...
Exit status: 0 done, 1 refused or invalid (as osslsigncode), 77 for options and commands we do not have (a skip in CTest)."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

BIN = os.environ.get("COLDSEAL_BIN") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/release/bin")
SKIP = 77

# option: number of values. What is not here is not ours.
OPTIONS = {
    "sign": {"-certs": 1, "-key": 1, "-h": 1, "-n": 1, "-i": 1, "-ac": 1, "-time": 1, "-in": 1, "-out": 1,
             "-ph": 0, "-nest": 0, "-verbose": 0, "-addUnauthenticatedBlob": None},
    "verify": {"-CAfile": 1, "-in": 1, "-time": 1, "-verbose": 0, "-ignore-timestamp": None},
    "add": {"-ts": 1, "-in": 1, "-out": 1, "-verbose": 0, "-t": None, "-addUnauthenticatedBlob": None},
    "extract-signature": {"-in": 1, "-out": 1},
    "attach-signature": {"-sigin": 1, "-in": 1, "-out": 1, "-nest": 0, "-CAfile": 1, "-time": 1},
    "remove-signature": {"-in": 1, "-out": 1},
}


def skip(why):
    print(f"not ours: {why}")
    sys.exit(SKIP)


def parse(command, arguments):
    known = OPTIONS[command]
    found = {}
    while arguments:
        name = arguments.pop(0)
        if not name.startswith("-") and "-in" not in found:   # osslsigncode takes the input without -in as well
            found["-in"] = name
            continue
        if not name.startswith("-") and "-out" not in found:
            found["-out"] = name
            continue
        if known.get(name) is None:
            skip(f"{command} {name}")
        if known[name] and not arguments:
            sys.exit(1)
        found[name] = arguments.pop(0) if known[name] else ""
    return found


def run(program, *arguments):
    done = subprocess.run([os.path.join(BIN, program), *arguments], text=True, capture_output=True)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return 0 if done.returncode == 0 else 1


def is_signed(path):
    """Whether a PE image has a certificate table, a cabinet a signature's place, or a catalog a signer: what -nest and a second
    signature need to know. A file that is none of these is judged by test-signer."""
    done = subprocess.run([os.path.join(BIN, "coldseal"), "signature", "list", "--json", path], text=True, capture_output=True)
    return done.returncode == 0 and json.loads(done.stdout)["signatures"] != []


def sign(o):
    if "-certs" not in o or "-key" not in o:
        skip("keys other than -certs and -key")
    digest = o.get("-h", "sha256").lower().replace("-", "")
    if digest not in ("sha256", "sha384", "sha512"):
        skip(f"digest {digest}")
    arguments = ["--key", o["-key"], "--cert", o["-certs"], "--digest", digest, "--in", o["-in"], "--out", o["-out"]]
    if "-ac" in o:
        arguments += ["--ac", o["-ac"]]
    if "-n" in o or "-i" in o:
        arguments += ["--description", o.get("-n", ""), "--url", o.get("-i", "")]
    elif "-time" in o:
        arguments += ["--form", "osslsigncode", "--signing-time", o["-time"]]
    if "-ph" in o:
        arguments.append("--page-hashes")
    # osslsigncode replaces a signature that is there, or nests in it.
    if "-nest" in o:
        arguments.append("--append")
    elif is_signed(o["-in"]):
        arguments.append("--replace")
    if os.path.exists(o["-out"]):
        print(f"{o['-out']} is there already")   # osslsigncode does not overwrite
        return 1
    return run("test-signer", *arguments)


def verify(o):
    arguments = ["verify", o["-in"]]
    if "-CAfile" in o:
        arguments += ["--trust", o["-CAfile"]]
    if "-time" in o:
        arguments += ["--at", o["-time"]]
    return run("coldseal", *arguments)


def attach(o):
    arguments = ["signature", "attach", o["-in"], o["-sigin"], "-o", o["-out"]]
    if "-nest" in o:
        arguments.append("--append")
    with open(o["-sigin"], "rb") as f:
        text = f.read()
    if not text.startswith(b"-----BEGIN"):
        return run("coldseal", *arguments)
    with tempfile.NamedTemporaryFile(suffix=".der") as der:   # osslsigncode takes PEM, we take DER
        subprocess.run(["openssl", "pkcs7", "-in", o["-sigin"], "-outform", "DER", "-out", der.name], check=True)
        arguments[3] = der.name
        return run("coldseal", *arguments)


def add(o):
    if "-ts" not in o:
        skip("add of anything but an RFC 3161 timestamp")
    if os.path.exists(o["-out"]):
        print(f"{o['-out']} is there already")
        return 1
    shutil.copyfile(o["-in"], o["-out"])
    status = run("coldseal", "timestamp", "--tries", "1", "--again", "--slot", "primary", "--tsa", o["-ts"], o["-out"])
    if status:
        os.remove(o["-out"])
    return status


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in OPTIONS:
        skip(" ".join(sys.argv[1:2]) or "no command")
    command = sys.argv[1]
    o = parse(command, sys.argv[2:])
    if "-in" not in o or (command != "verify" and "-out" not in o) or (command == "attach-signature" and "-sigin" not in o):
        print("an input, an output or a signature is missing")
        return 1
    if not os.path.exists(o["-in"]):
        print(f"{o['-in']} is not there")
        return 1
    actions = {
        "sign": sign,
        "verify": verify,
        "add": add,
        "extract-signature": lambda q: run("coldseal", "signature", "extract", q["-in"], "-o", q["-out"]),
        "attach-signature": attach,
        "remove-signature": lambda q: run("coldseal", "signature", "remove", q["-in"], "-o", q["-out"]),
    }
    return actions[command](o)


if __name__ == "__main__":
    sys.exit(main())
