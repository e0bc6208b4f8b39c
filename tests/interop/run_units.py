#!/usr/bin/env python3
"""The units, users and folders of the box, judged by systemd's own programs without a running systemd.

usage: run_units.py UNITS-FOLDER SOURCE-FOLDER PROGRAMS-FOLDER     (build/B/systemd, appliance/systemd, build/B/bin)
"""
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

# docs/operations.md names these; a worse unit fails here, a better one has its document corrected.
SCORED_BY = 252
SCORES = {"coldseald.service": 1.1, "coldseal-courier-stick.service": 0.4, "coldseal-courier-serial@.service": 0.6, "coldseal-console@.service": 0.4}
MODULES = {"ttyUSB": "usbserial", "ttyACM": "cdc_acm"}   # kind of device: who brings it
# path: owner, group, mode
FOLDERS = {
    "etc/coldseal": ("root", "coldseal", 0o750),
    "etc/coldseal/submitters": ("coldseal", "coldseal", 0o750),
    "var/lib/coldseal": ("coldseal", "coldseal-boxes", 0o710),
    "var/lib/coldseal/inbox": ("coldseal-courier", "coldseal-boxes", 0o2770),
    "var/lib/coldseal/outbox": ("coldseal", "coldseal-boxes", 0o2750),
    "var/lib/coldseal/spool": ("coldseal", "coldseal", 0o700),
    "var/lib/coldseal/log": ("coldseal", "coldseal", 0o700),
    "var/lib/coldseal/keys": ("coldseal", "coldseal", 0o700),
    "run/coldseal": ("coldseal", "coldseal", 0o711),
}


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def units(folder: pathlib.Path, programs: pathlib.Path, scratch: pathlib.Path, operations: str):
    is_documented_version = run("systemd-analyze", "--version")[1].startswith(f"systemd {SCORED_BY} ")   # others weigh a little differently
    for name, documented in SCORES.items():
        text = re.sub(r"(?<==)/\S*/coldseal(?=/coldseal)", str(programs), (folder / name).read_text(encoding="utf-8"))
        text = text.replace("Documentation=", "# Documentation=")
        unit = scratch / name.replace("@.", "@ttyUSB0.")
        unit.write_text(text, encoding="utf-8")
        # Standard input is opened under the service's rules for devices.
        terminal = re.search(r"^TTYPath=(.*)$", text, re.M)
        if terminal and f"DeviceAllow={terminal[1]} rw" not in text.splitlines():
            yield f"{name}: does not allow its own terminal {terminal[1]}"
        # Rules by kind count only for kinds that the kernel knows when the service starts.
        for kind, module in MODULES.items():
            if f"DeviceAllow=char-{kind} rw" in text and not all(re.search(rf"^{when}=.*modprobe@{module}\.service", text, re.M) for when in ("Wants", "After")):
                yield f"{name}: has {kind} allowed, but not {module} loaded before"
        status, said = run("systemd-analyze", "verify", "--man=no", unit)
        if status != 0 or str(unit) in said:
            yield f"{name}: systemd-analyze verify: {said}"
        status, said = run("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={round(documented * 10) + (0 if is_documented_version else 5)}", unit)
        score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        if status != 0 or score is None:
            yield f"{name}: systemd-analyze security wants it better than {documented}: {said}"
        elif float(score[1]) != documented and is_documented_version:
            yield f"{name}: scores {score[1]}, this test and docs/operations.md say {documented}"
        if not re.search(rf"`{re.escape(name)}` *\| *{documented} *\|", operations):
            yield f"{name}: docs/operations.md does not give its score as {documented}"


def folders(source: pathlib.Path, root: pathlib.Path):
    for sub in ("etc", "run", "var/lib"):
        (root / sub).mkdir(parents=True)
    status, said = run("systemd-sysusers", f"--root={root}", source / "sysusers.conf")
    if status != 0:
        yield f"systemd-sysusers: {said}"
        return
    passwd = [line.split(":") for line in (root / "etc/passwd").read_text(encoding="utf-8").splitlines()]
    group = [line.split(":") for line in (root / "etc/group").read_text(encoding="utf-8").splitlines()]
    users = {int(row[2]): row[0] for row in passwd} | {0: "root"}
    groups = {int(row[2]): row[0] for row in group} | {0: "root"}
    members = {row[0]: set(row[3].split(",")) - {""} for row in group}
    for user in ("coldseal", "coldseal-courier", "coldseal-inspector", "coldseal-console"):
        shell = [row[6] for row in passwd if row[0] == user]
        if not shell or not shell[0].endswith("nologin"):
            yield f"user {user}: is not made, or may log in"
    if members.get("coldseal-boxes") != {"coldseal", "coldseal-courier"}:
        yield f"group coldseal-boxes: has {members.get('coldseal-boxes')}"
    if any("coldseal-inspector" in who for who in members.values()):
        yield "coldseal-inspector is in somebody's group"
    if subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout.strip() != "0":
        print("not root: folders are not made")
        return
    status, said = run("systemd-tmpfiles", f"--root={root}", "--create", source / "tmpfiles.conf")
    if status != 0:
        yield f"systemd-tmpfiles: {said}"
    for path, wanted in FOLDERS.items():
        if not (root / path).is_dir():
            yield f"{path}: is not made"
            continue
        about = (root / path).stat()
        found = (users.get(about.st_uid), groups.get(about.st_gid), stat.S_IMODE(about.st_mode))
        if found != wanted:
            yield f"{path}: {found}, wanted {wanted}"


def main():
    unit_folder, source, programs = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
    for program in ("systemd-analyze", "systemd-sysusers", "systemd-tmpfiles"):
        if shutil.which(program) is None:
            print(f"{program} is missing: apt-get install systemd")
            return 1
    operations = (source / "../../docs/operations.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        (pathlib.Path(scratch) / "units").mkdir()
        found = list(units(unit_folder, programs, pathlib.Path(scratch) / "units", operations))
        found += list(folders(source, pathlib.Path(scratch) / "root"))
    print("\n".join(found) or "units, users and folders are as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
