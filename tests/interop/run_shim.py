#!/usr/bin/env python3
"""Runs the osslsigncode shim through sequences as a peer's suite would: every command, its exit codes, 77 for what is not
ours; and osslsigncode itself on what came out. Run by ctest.

usage: run_shim.py FOLDER_OF_PROGRAMS FOLDER_OF_THE_SAMPLE_PACKAGE"""
import os
import subprocess
import sys
import tempfile

BIN, SAMPLE = sys.argv[1:]
HERE = os.path.dirname(os.path.abspath(__file__))
failures = []


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "COLDSEAL_BIN": BIN})


def openssl(*arguments):
    done = run("openssl", *arguments)
    if done.returncode:
        sys.exit(f"openssl {' '.join(arguments)}: {done.stderr}")


def expect(status, *arguments):
    done = run(sys.executable, os.path.join(HERE, "osslsigncode_shim.py"), *arguments)
    if done.returncode != status:
        failures.append(f"{' '.join(arguments)}: status {done.returncode}, {status} wanted\n{done.stdout}{done.stderr}")


def theirs(status, name):
    done = run("osslsigncode", "verify", "-CAfile", "root.pem", "-in", name)
    if (done.returncode == 0) != (status == 0):
        failures.append(f"osslsigncode verify {name}: status {done.returncode}\n{done.stdout}{done.stderr}")


def same(a, b):
    with open(a, "rb") as f, open(b, "rb") as g:
        if f.read() != g.read():
            failures.append(f"{a} and {b} differ")


def absent(name):
    if os.path.exists(name):
        failures.append(f"{name} was written")


def certificate(name, purpose="codeSigning"):
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    with open("ext", "w", encoding="utf-8") as f:
        f.write(f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,{purpose}\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "1000",
            "-sha256", "-extfile", "ext", "-out", f"{name}.pem")


def sequences(sample):
    sign = ["sign", "-certs", "leaf.pem", "-key", "leaf.key", "-h", "sha256"]
    with open("in.sys", "wb") as f:
        f.write(sample)
    expect(0, *sign, "-in", "in.sys", "-out", "s.sys")
    expect(0, "verify", "-CAfile", "root.pem", "-in", "s.sys")
    theirs(0, "s.sys")
    expect(1, *sign, "-in", "in.sys", "-out", "s.sys")         # does not overwrite
    expect(1, *sign, "-in", "none.sys", "-out", "n.sys")
    expect(1, "verify", "-CAfile", "other.pem", "-in", "s.sys")
    expect(1, "verify", "-CAfile", "root.pem", "-in", "in.sys")
    with open("s.sys", "rb") as f:
        changed = bytearray(f.read())
    changed[0x500] ^= 1
    with open("bad.sys", "wb") as f:
        f.write(changed)
    expect(1, "verify", "-CAfile", "root.pem", "-in", "bad.sys")
    theirs(1, "bad.sys")

    expect(0, *sign, "-ph", "-n", "Sample", "-i", "https://example.com", "-in", "in.sys", "-out", "ph.sys")
    theirs(0, "ph.sys")
    expect(0, "sign", "-certs", "leaf.pem", "-key", "leaf.key", "-h", "sha384", "-nest", "-in", "s.sys", "-out", "two.sys")
    expect(0, "verify", "-CAfile", "root.pem", "-in", "two.sys")
    theirs(0, "two.sys")
    expect(0, *sign, "-in", "ph.sys", "-out", "again.sys")       # replaces
    same("again.sys", "s.sys")

    expect(0, "extract-signature", "-in", "s.sys", "-out", "s.der")
    expect(0, "attach-signature", "-sigin", "s.der", "-in", "in.sys", "-out", "attached.sys")
    same("attached.sys", "s.sys")
    openssl("pkcs7", "-inform", "DER", "-in", "s.der", "-out", "s.pem")
    expect(0, "attach-signature", "-sigin", "s.pem", "-in", "in.sys", "-out", "attached-pem.sys")
    same("attached-pem.sys", "s.sys")
    expect(1, "attach-signature", "-sigin", "s.der", "-in", os.path.join(SAMPLE, "coldsample.exe"), "-out", "wrong.sys")
    absent("wrong.sys")
    expect(0, "remove-signature", "-in", "s.sys", "-out", "removed.sys")
    expect(0, *sign, "-in", "removed.sys", "-out", "signed-again.sys")
    same("signed-again.sys", "s.sys")
    expect(1, "remove-signature", "-in", "in.sys", "-out", "nothing.sys")
    absent("nothing.sys")


def cabinets():
    done = run("gcab", "-c", "-n", "in.cab", "leaf.pem")
    if done.returncode:
        sys.exit(f"gcab: {done.stderr}")
    expect(0, "sign", "-certs", "leaf.pem", "-key", "leaf.key", "-h", "sha256", "-in", "in.cab", "-out", "s.cab")
    expect(0, "verify", "-CAfile", "root.pem", "-in", "s.cab")
    theirs(0, "s.cab")
    expect(0, "remove-signature", "-in", "s.cab", "-out", "bare.cab")
    same("bare.cab", "in.cab")


def timestamps():
    with open("tsa.cnf", "w", encoding="utf-8") as f:
        f.write("[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256\n"
                "ess_cert_id_alg=sha256\n")
    with open("serial", "w", encoding="utf-8") as f:
        f.write("01\n")
    server = subprocess.Popen([sys.executable, os.path.join(HERE, "tsa_server.py"), os.getcwd()], stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{server.stdout.readline().split()[-1]}"
        expect(0, "add", "-ts", url + "/good", "-in", "s.sys", "-out", "stamped.sys")
        done = run("osslsigncode", "verify", "-CAfile", "root.pem", "-TSA-CAfile", "root.pem", "-in", "stamped.sys")
        if done.returncode or "imestamp" not in done.stdout:
            failures.append(f"osslsigncode on stamped.sys: {done.stdout}")
        expect(1, "add", "-ts", url + "/nonce", "-in", "s.sys", "-out", "unstamped.sys")
        absent("unstamped.sys")
    finally:
        server.terminate()
        server.wait()


def not_ours():
    for arguments in (["sign", "-pkcs12", "k.p12", "-in", "in.sys", "-out", "n.sys"],
                      ["sign", "-certs", "leaf.pem", "-key", "leaf.key", "-h", "md5", "-in", "in.sys", "-out", "n.sys"],
                      ["sign", "-certs", "leaf.pem", "-key", "leaf.key", "-t", "http://x", "-in", "in.sys", "-out", "n.sys"],
                      ["verify", "-CRLfile", "crl.pem", "-in", "s.sys"], ["add", "-in", "s.sys", "-out", "n.sys"],
                      ["add", "-t", "http://x", "-in", "s.sys", "-out", "n.sys"], ["extract-data", "-in", "s.sys", "-out", "n.sys"], []):
        expect(77, *arguments)
        absent("n.sys")


def main():
    with open(os.path.join(SAMPLE, "coldsample.sys"), "rb") as f:
        sample = f.read()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        for root in ("root", "other"):
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{root}.key", "-out", f"{root}.pem", "-subj",
                    f"/CN={root}", "-days", "3000", "-addext", "keyUsage=critical,keyCertSign")
        certificate("leaf")
        certificate("tsa", "timeStamping")
        sequences(sample)
        cabinets()
        timestamps()
        not_ours()
        os.chdir("/")
    print("\n".join(failures) or "the shim does what osslsigncode does")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
