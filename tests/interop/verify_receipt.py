#!/usr/bin/env python3
"""Checks a receipt, and an exported audit log if there is one, by docs/exchange-format.md and docs/audit-log.md alone: nothing of
Coldseal's, only Python's standard library and openssl.   verify_receipt.py RECEIPT KEY.pem FILES [EXPORTED-LOG-FOLDER]"""
import base64, hashlib, json, pathlib, subprocess, sys, tempfile


def sha256(data): return hashlib.sha256(data).digest()


def check(good, what):
    if not good: sys.exit(f"WRONG  {what}")
    print(f"good   {what}")


def signed_by(key, message, signature):
    with tempfile.TemporaryDirectory() as folder:
        where = pathlib.Path(folder)
        (where / "message").write_bytes(message)
        (where / "signature").write_bytes(signature)
        return subprocess.run(["openssl", "dgst", "-sha256", "-verify", key, "-signature", where / "signature", where / "message"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def spki(key): return subprocess.check_output(["openssl", "pkey", "-pubin", "-in", key, "-outform", "DER"])


def node(left, right): return sha256(b"\1" + left + right)


def tree_root(leaves):   # RFC 6962 section 2.1
    if len(leaves) < 2: return sha256(b"\0" + leaves[0]) if leaves else sha256(b"")
    split = 1
    while split * 2 < len(leaves): split *= 2
    return node(tree_root(leaves[:split]), tree_root(leaves[split:]))


def root_by_path(leaf, index, size, path):   # RFC 9162 section 2.1.3.2
    at, last, root = index, size - 1, sha256(b"\0" + leaf)
    for sibling in path:
        if last == 0: return None
        if at % 2 or at == last:
            root = node(sibling, root)
            while at % 2 == 0 and at: at, last = at // 2, last // 2
        else:
            root = node(root, sibling)
        at, last = at // 2, last // 2
    return root if last == 0 else None


def checkpoint(note, key):   # C2SP tlog-checkpoint in a signed-note; returns (origin, size, root)
    text, signatures = note.rsplit("\n\n", 1)
    origin, size, root = text.split("\n")
    for line in signatures.splitlines():
        dash, name, signature = line.split(" ")
        raw = base64.b64decode(signature, validate=True)
        if dash == "\N{EM DASH}" and name == origin and raw[:4] == sha256(spki(key))[:4]:
            check(signed_by(key, (text + "\n").encode(), raw[4:]), f"checkpoint of {size} lines of {origin} is signed by the receipt key")
            return origin, int(size), base64.b64decode(root, validate=True)
    sys.exit("WRONG  the checkpoint is not signed by the receipt key")


receipt_file, key, files = sys.argv[1:4]
envelope = json.loads(pathlib.Path(receipt_file).read_bytes())
payload = base64.b64decode(envelope["payload"], validate=True)
kind = envelope["payloadType"]
check(kind == "application/vnd.in-toto+json", "it is of a receipt's type")   # other documents are signed by the same key
encoding = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
check(signed_by(key, encoding, base64.b64decode(envelope["signatures"][0]["sig"], validate=True)), "receipt is signed by the receipt key")
statement = json.loads(payload)
check(statement["predicateType"] == "urn:coldseal:receipt:v1", "it is a receipt")
predicate = statement["predicate"]
check(predicate["appliance"]["receiptKeyid"] == sha256(spki(key)).hex(), "it names that key")
log, result, signing_set = predicate["log"], predicate["result"], predicate["signingSet"]
line = log["line"].encode()
check(sha256(line).hex() == log["head"], "the log line has that digest")
said = json.loads(line)
check(said["request"] == predicate["request"]["id"], "the log line is about that request")
if result["outcome"] == "signed":
    there = {str(p.relative_to(files)): sha256(p.read_bytes()).hex() for p in pathlib.Path(files).rglob("*") if p.is_file()}
    check(there == {s["name"]: s["digest"]["sha256"] for s in statement["subject"]}, "the files are those of the receipt, and no others")
    content = {"items": signing_set["items"], "keyName": predicate["key"]["name"], "profileSha256": signing_set["profileSha256"]}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    check(sha256(canonical).hex() == signing_set["fingerprint"], "the signing set has that fingerprint")
    check((said["event"], said["data"]["signing-set"]) == ("signed", signing_set["fingerprint"]), "the log line says that this signing set was signed")
    listed = "".join(f"{s['digest']['sha256']}  {s['name']}\n" for s in statement["subject"])
    check(said["data"]["outputs"] == sha256(listed.encode()).hex(), "the log line is about these files")
else:
    check(said["event"] != "signed" and signing_set is None, f"nothing was signed: {result['outcome']}: {result['reason']}")
head, _, note = log["tlogProof"].partition("\n\n")
version, index, *path = head.split("\n")
check(version == "c2sp.org/tlog-proof@v1" and index == f"index {log['index']}", "the proof is about that line")
origin, size, root = checkpoint(note, key)
check(root_by_path(line, log["index"], size, [base64.b64decode(p, validate=True) for p in path]) == root, "the line stands in that log")
if len(sys.argv) > 4:
    exported = pathlib.Path(sys.argv[4])
    lines = (exported / "audit.log").read_bytes().split(b"\n")
    check(lines.pop() == b"", "the log ends with a whole line")
    previous = bytes(32)
    for number, text in enumerate(lines):
        entry = json.loads(text)
        if entry["index"] != number or entry["previous"] != previous.hex(): sys.exit(f"WRONG  line {number + 1} does not continue the log")
        previous = sha256(text)
    check(lines[log["index"]] == line, "the receipt's line is in the exported log")
    log_origin, log_size, log_root = checkpoint((exported / "checkpoint").read_text(), key)
    check(log_origin == origin and log_size == len(lines) and log_root == tree_root(lines), "the exported log is the checkpoint's")
    check(tree_root(lines[:size]) == root, "it begins with the log that the receipt was made from")
