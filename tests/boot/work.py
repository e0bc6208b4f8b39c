#!/usr/bin/env python3
"""What an operator, three administrators, three officers and a submitter do with an appliance, from its first start on.

usage: work.py FOLDER BUILD     (called by tests/boot/run, which made the disk in FOLDER)
"""
import pathlib
import re
import subprocess
import sys
import time

from machine import Failed, Machine, wait_until

OFFICERS = {"ada": "314159", "ben": "271828", "cay": "161803"}
ADMINISTRATORS = {"uma": "141421", "vic": "173205", "wes": "223606"}
CONFIGURATION = """[appliance]
name = "vault-1"
tpm = "device:/dev/tpmrm0"
mode = "development"

[[profile]]
name = "release"
key_class = "release"
operations = ["embed", "catalog"]
submitters = ["build-1"]
"""
CEREMONY = """[ceremony]
title = "vault-1, first key"
mode = "development"

[firmware]
vendor_keys = ["vendor-a.pem", "vendor-b.pem"]
approval = "approval.toml"
floor = 1

[administrators]
quorum = 2
names = ["uma", "vic", "wes"]

[[key_class]]
name = "release"
quorum = 2
officers = ["ada", "ben", "cay"]
"""
UNITS = ["coldseald", "coldseal-courier-stick", "coldseal-courier-serial@ttyUSB0", "coldseal-console@tty1"]
LIST = r"q to leave: *$"
BEGAN = time.monotonic()


def say(what):
    print(f"[{time.monotonic() - BEGAN:6.1f} s]  {what}", flush=True)


def run(*words, cwd=None):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(what, is_so, seen=""):
    if not is_so:
        raise Failed(f"not so: {what}\n{seen}")


def pins(people, prompt, *who):
    for name in who:
        yield prompt, name
        yield f"PIN of {name}", people[name]


class Work:
    def __init__(self, folder: pathlib.Path, build: pathlib.Path):
        self.box = Machine(folder)
        self.folder = folder
        self.build = build
        self.host = folder / "host"
        self.trust = self.host / "trust"
        self.trust.mkdir(parents=True)
        self.coldseal = build / "bin/coldseal"
        self.vendors = pathlib.Path(__file__).resolve().parent.parent / "data/vendor-keys"

    # --- before the services run

    def provision(self):
        box = self.box
        box.sh("systemd-sysusers && systemd-tmpfiles --create")
        box.put(CONFIGURATION.encode(), "/etc/coldseal/coldseal.toml")
        box.sh("chown root:coldseal /etc/coldseal/coldseal.toml && chmod 640 /etc/coldseal/coldseal.toml")
        box.put(CEREMONY.encode(), "/srv/ceremony/ceremony.toml")
        for vendor in ("vendor-a", "vendor-b"):
            box.put((self.vendors / f"{vendor}.pem").read_bytes(), f"/srv/ceremony/{vendor}.pem")
        box.sh("chown -R coldseal: /srv/ceremony")
        box.sh("cd /srv/ceremony && coldseal-admin firmware measure --number 1 -o approval.toml")
        (self.host / "approval.tbs").write_bytes(box.get("/srv/ceremony/approval.tbs"))
        run("openssl", "dgst", "-sha256", "-sign", self.vendors / "vendor-a.key.pem", "-out", self.host / "approval.sig", self.host / "approval.tbs")
        box.put((self.host / "approval.sig").read_bytes(), "/srv/ceremony/approval.sig")
        say("the firmware is measured and approved; the ceremony begins")
        dialogue = [("type yes when they agree", "yes")]
        for name, pin in (ADMINISTRATORS | OFFICERS).items():
            dialogue += [(f"{name}: new PIN", pin), (f"{name}: the same PIN again", pin)]
        box.sh("coldseal-admin ceremony run /srv/ceremony/ceremony.toml", dialogue + list(pins(OFFICERS, "officer (", "ben", "cay")), 900)
        (self.trust / "receipt-key.pem").write_bytes(box.get("/var/lib/coldseal/keys/receipt/key.pem"))
        self.certify()
        run(self.coldseal, "key", "create", "-o", self.host / "build-1.pem", "--no-passphrase")
        box.put((self.host / "build-1.pub.pem").read_bytes(), "/srv/build-1.pub.pem")
        box.sh("coldseal-admin submitter add build-1 /srv/build-1.pub.pem")

    def certify(self):
        box, host = self.box, self.host
        box.sh("coldseal-admin csr --key-class release --common-name 'Coldseal Example Drivers' --organization Example --country DE -o /srv/ceremony/release.csr",
               list(pins(OFFICERS, "officer (", "ada", "cay")))
        (host / "release.csr").write_bytes(box.get("/srv/ceremony/release.csr"))
        (host / "leaf.ext").write_text("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n")
        run("openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-sha256", "-days", "3650", "-subj", "/O=Coldseal Example/CN=Coldseal Example Root",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", host / "root.key", "-out", self.trust / "root.pem")
        run("openssl", "x509", "-req", "-sha256", "-days", "365", "-in", host / "release.csr", "-CA", self.trust / "root.pem", "-CAkey", host / "root.key",
            "-set_serial", "0x1001", "-extfile", host / "leaf.ext", "-out", host / "release.pem")
        box.put((host / "release.pem").read_bytes() + (self.trust / "root.pem").read_bytes(), "/srv/chain.pem")
        box.sh("coldseal-admin certificate --key-class release /srv/chain.pem")

    # --- what is looked at again and again

    def journal(self, unit, text, since="", patience=300.0):
        def found():
            said = self.box.sh(f"journalctl -b -o cat -u '{unit}' --no-pager {since}")
            return text in re.sub(" +", " ", said)
        try:
            wait_until(f"{unit} says {text!r}", found, patience)
        except Failed as error:
            raise Failed(f"{error}\n" + self.box.sh(f"journalctl -b --no-pager -u '{unit}' | tail -40; systemctl status --no-pager '{unit}' || true")) from None

    def expect_running(self):
        for unit in UNITS:
            wait_until(f"{unit} is active", lambda unit=unit: self.box.try_sh(f"systemctl is-active {unit}")[1] == "active", 60)

    def pid(self, unit):
        return int(self.box.sh(f"systemctl show -P MainPID {unit}"))

    def request(self, name):
        to = self.host / name
        to.mkdir()
        said = run(self.coldseal, "request", "create", self.build / "sample-package", "--profile", "release", "--os", "10_X64", "--key", self.host / "build-1.pem", "--to", to)
        (made,) = (to / "coldseal/requests").iterdir()
        expect("the request says its id", made.name in said, said)
        return made.name

    def expect_signed(self, response):
        run(self.coldseal, "verify", response / "files", "--receipt", response / "receipt.dsse.json", "--trust", self.trust)

    # --- people

    def open_request(self, request):
        """At the keyboard of the box, as officers do: from the list to the question whether to approve."""
        self.box.press("\n")
        shown = self.box.wait_for_screen(LIST)
        number = [m[1] for m in (re.match(rf" *(\d+)  {request[:8]}", line) for line in shown) if m]
        expect(f"the console lists {request[:8]}", number, "\n".join(shown))
        self.box.press(number[-1] + "\n")
        while True:
            shown = self.box.wait_for_screen(r"(b to go back|more): *$")
            if shown[-1].rstrip().endswith("b to go back:"):
                return
            self.box.press("\n")

    def approve(self, request, *who):
        self.open_request(request)
        self.box.press("a\n")
        self.box.wait_for_screen(r"time above it is right: *$")
        self.box.press("yes\n")
        for name in who:
            self.box.wait_for_screen(r"officer \(.*\): *$")
            self.box.press(name + "\n")
            self.box.wait_for_screen(rf"PIN of {name}: *$")
            shown = self.box.screen()
            self.box.press(OFFICERS[name] + "\n")
            expect("PINs are not shown", OFFICERS[name] not in "\n".join(shown + self.box.screen()))
        self.box.wait_for_screen(LIST)
        self.journal("coldseald", f"{request[:8]} signed")

    # --- what is proved

    def users_and_limits(self):
        who = {"coldseald": "coldseal", "coldseal-courier-stick": "coldseal-courier", "coldseal-courier-serial@ttyUSB0": "coldseal-courier", "coldseal-console@tty1": "coldseal-console"}
        for unit, user in who.items():
            pid = self.pid(unit)
            status = self.box.sh(f"cat /proc/{pid}/status; stat -c 'User: %U' /proc/{pid}/task/{pid}/comm; id -u {user}; nsenter -t {pid} -n ls /sys/class/net; nsenter -t {pid} -n cat /proc/net/dev | tail -n +3 | wc -l")
            uid = self.box.sh(f"id -u {user}")
            expect(f"{unit} runs as {user}", re.search(rf"^Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}$", status, re.M), status)
            expect(f"{unit} gains nothing", re.search(r"^NoNewPrivs:\s+1$", status, re.M) and re.search(r"^Seccomp:\s+2$", status, re.M), status)
            wanted = "00000000000000e0" if unit == "coldseald" else "0000000000000000"   # kill, setgid, setuid
            expect(f"{unit} has the capabilities {wanted}", re.search(rf"^CapEff:\s+{wanted}$", status, re.M) and re.search(rf"^CapBnd:\s+{wanted}$", status, re.M), status)
            expect(f"{unit} has no network but lo", status.endswith("\n1"), status)
        say("each runs as its own user, with its capabilities, seccomp, and no network")

    def sandbox(self):
        """Programs of ours are polite; this is what the units would let somebody else do in their place."""
        probe = """import os, socket, sys
for kind in ("AF_INET", "AF_INET6", "AF_PACKET"):
    try:
        socket.socket(getattr(socket, kind), socket.SOCK_DGRAM)
        print("WRONG", kind)
    except OSError:
        pass
for path in sys.argv[1:]:
    try:
        os.listdir(path) if os.path.isdir(path) else os.close(os.open(path, os.O_RDONLY))
        print("WRONG", path)
    except OSError:
        pass
print("tried")
"""
        self.box.put(probe.encode(), "/usr/libexec/coldseal/probe.py")
        state = "/var/lib/coldseal"
        barred = {"coldseald": ["/dev/vda", "/dev/mem", "/dev/tpm0", "/etc/shadow", "/root", "/media"],
                  "coldseal-courier-stick": ["/dev/tpmrm0", "/dev/vda", "/etc/coldseal", "/run/coldseal", f"{state}/keys", f"{state}/spool", f"{state}/log"],
                  "coldseal-courier-serial@ttyUSB0": ["/dev/tpmrm0", "/dev/vda", "/dev/tty1", "/etc/coldseal", "/run/coldseal", f"{state}/keys", "/media"],
                  "coldseal-console@tty1": ["/dev/tpmrm0", "/dev/vda", "/etc/coldseal", state, "/media"]}
        for unit, paths in barred.items():
            # The unit itself with another program; the interpreter lies elsewhere, so /usr/bin is let in.
            template, _, instance = unit.partition("@")
            name = "probe" + ("@" if instance else "")
            file = f"/lib/systemd/system/{template}{'@' if instance else ''}.service"
            self.box.sh(f"sed -e 's#^ExecStart=.*#ExecStart=/usr/bin/python3 /usr/libexec/coldseal/probe.py {' '.join(paths)}#' -e 's#^ExecPaths=#ExecPaths=/usr/bin #' "
                        f"-e 's#^Restart=.*#Restart=no#' -e 's#^Type=.*#Type=oneshot#' -e '/^Conflicts=/d' -e 's#^Standard\\(Out.*\\|Err.*\\)=tty#Standard\\1=journal#' "
                        f"-e 's#^StandardInput=.*#StandardInput=null#' -e '/^TTY/d' {file} > /run/systemd/system/{name}.service; systemctl daemon-reload")
            started = f"probe@{instance}" if instance else "probe"
            status, said = self.box.try_sh(f"systemctl start {started}; r=$?; journalctl -b -o cat --no-pager -u {started} | grep -E 'WRONG|tried|rror'; exit_status() {{ return $r; }}; exit_status")
            expect(f"in place of {unit} nobody reaches more", status == 0 and "tried" in said and "WRONG" not in said, said)
        self.box.sh("rm /run/systemd/system/probe*.service /usr/libexec/coldseal/probe.py; systemctl daemon-reload")
        say("in the units' sandboxes there are no internet sockets, other devices, or other users' folders")

    def by_stick(self):
        box = self.box
        request = self.request("stick-out")
        image = self.folder / "stick.img"
        run("mkfs.vfat", "-C", "-n", "COLDSEAL", image, 32 * 1024)
        run("mcopy", "-i", image, "-s", "-n", self.host / "stick-out/coldseal", "::/")
        box.plug_stick(image)
        box.sh("systemctl start media-coldseal.mount")
        self.journal("coldseal-courier-stick", "stick found")
        self.journal("coldseald", f"{request[:8]} waits for the officers")
        # It is over too soon to be seen; coldseald inspects nothing when it cannot become that user.
        self.journal("coldseald", "the inspector runs as coldseal-inspector")
        say("the stick was plugged and mounted, the courier took the request, the inspector read it as its own user")
        self.approve(request, "cay", "ada")
        self.journal("coldseal-courier-stick", "response delivered")
        box.sh("systemctl stop media-coldseal.mount")
        box.pull_stick()
        self.journal("coldseal-courier-stick", "stick gone")
        run("fsck.vfat", "-n", image)
        run("mcopy", "-i", image, "-s", "-n", "::/coldseal", self.host / "stick-back")
        (self.host / "stick").mkdir()
        (self.host / "stick-back").rename(self.host / "stick/coldseal")
        run(self.coldseal, "collect", "--from", self.host / "stick", "-o", self.host / "signed")
        self.expect_signed(self.host / "signed" / request)
        say("two officers approved at the keyboard of tty1; the stick came back with signed files, and its file system is clean")

    def by_cable(self):
        cable = self.box.plug_cable()
        request = self.request("cable-out")
        run(self.coldseal, "send", "--serial", cable, self.host / "cable-out/coldseal/requests" / request)
        self.journal("coldseald", f"{request[:8]} waits for the officers")
        say("a USB serial adapter was plugged in after the start; a request came over its cable")
        return cable, request

    def killed(self):
        """Somebody or something kills every program: systemd starts each again."""
        for unit in UNITS:
            pid = self.pid(unit)
            self.box.sh(f"kill -KILL {pid}")
            wait_until(f"{unit} is started again", lambda unit=unit, pid=pid: self.pid(unit) not in (0, pid), 120)
        self.journal("coldseald", "status=9/KILL")
        wait_until("coldseald is ready again", lambda: self.box.sh("journalctl -b -o cat --no-pager -u coldseald | grep -c 'coldseald is ready'") == "2")
        self.expect_running()
        say("each program was killed, and started again by systemd")

    def doctor(self):
        status, said = self.box.try_sh("coldseal-admin doctor")
        expect("doctor ends with 0 or 1", status in (0, 1), said)
        for attention in (line for line in said.splitlines() if line):
            say(f"doctor ({status}): {attention}")
        said = self.box.sh("coldseal-admin status")
        expect("status looks through coldseald", "coldseald" in said, said)
        return status

    def restarted_machine(self):
        box = self.box
        box.type_at_shell("systemctl reboot")
        time.sleep(2)
        box.wait_for_shell()
        self.journal("coldseald", "coldseald is ready")
        self.expect_running()
        say("the machine was started anew, and everything runs: " + box.sh("systemd-analyze time | head -1; systemctl is-system-running --wait || true; systemctl --failed --no-legend").replace("\n", ", "))

    def stops_well(self):
        box = self.box
        box.sh("systemctl stop coldseald")
        self.journal("coldseald", "coldseald has stopped")
        expect("stopped is not failed", box.sh("systemctl show -P Result coldseald") == "success")
        box.sh("coldseal-admin status")
        box.sh("sed -i 's/^mode/moed/' /etc/coldseal/coldseal.toml; systemctl start coldseald || true")
        wait_until("coldseald has failed", lambda: box.sh("systemctl show -P ActiveState coldseald") == "failed", 60)
        expect("a wrong configuration is not tried again", box.sh("systemctl show -P NRestarts coldseald") == "0")
        box.sh("sed -i 's/^moed/mode/' /etc/coldseal/coldseal.toml; systemctl start coldseald")
        wait_until("coldseald is active", lambda: box.sh("systemctl show -P ActiveState coldseald") == "active", 60)
        say("coldseald stops in order, does not start with a wrong configuration, and starts when it is right again")


def main():
    folder, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    work = Work(folder, build)
    try:
        return work_through(work)
    except (Failed, subprocess.SubprocessError, OSError) as error:
        say(f"FAILED: {error}")
        return 1
    finally:
        work.box.stop()


def work_through(work: Work):
    box = work.box
    box.start()
    say("it runs: " + box.sh("uname -r; systemctl --version | head -1; systemd-analyze time | head -1; systemctl is-system-running --wait || true").replace("\n", ", "))
    work.provision()
    say("the ceremony was held, the key has a certificate, build-1 is enrolled")
    # As operations.md says.
    box.sh("systemctl enable --now coldseald coldseal-courier-stick")
    box.sh("systemctl enable --now coldseal-courier-serial@ttyUSB0")
    box.sh("systemctl disable --now getty@tty1 && systemctl enable --now coldseal-console@tty1")
    work.journal("coldseald", "coldseald is ready")
    work.expect_running()
    work.users_and_limits()
    work.sandbox()
    work.by_stick()
    cable, request = work.by_cable()
    work.killed()
    work.restarted_machine()
    cable = box.cable()
    work.approve(request, "ada", "ben")
    run(work.coldseal, "collect", "--serial", cable, "--key", work.host / "build-1.pem", "-o", work.host / "signed", request)
    work.expect_signed(work.host / "signed" / request)
    say("the request of before was approved after it, and the host collected the signed files over the cable")
    work.doctor()
    work.stops_well()
    say("an appliance of power-on, units, TPM, stick, cable, screen and keyboard does its work")
    return 0


if __name__ == "__main__":
    sys.exit(main())
