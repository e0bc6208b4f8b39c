"""A virtual machine with a TPM, a screen, a keyboard, sockets for sticks and cables, and a root shell for whoever tests it.

QEMU in software (TCG) and swtpm; nothing of it needs root, a network or KVM.
"""
import base64
import json
import os
import pathlib
import re
import select
import shlex
import socket
import subprocess
import time

PATIENCE = 300.0   # seconds; software emulation on a busy machine is slow


class Failed(Exception):
    pass


def wait_until(what, condition, patience=PATIENCE):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    raise Failed(f"not within {patience:.0f} s: {what}")


def connect(path: pathlib.Path) -> socket.socket:
    def attempt():
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(str(path))
            return link
        except OSError:
            link.close()
            return None
    return wait_until(f"{path.name} can be connected to", attempt, 30)


class Machine:
    KEYS = {" ": "spc", "\n": "ret", "-": "minus", ".": "dot"}

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.shell_text = ""
        (folder / "tpm").mkdir()
        self.swtpm = self.qemu = None

    def start(self):
        for left in ("swtpm.sock", "shell.sock", "qmp.sock"):
            (self.folder / left).unlink(missing_ok=True)
        self.swtpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}/tpm", "--ctrl", f"type=unixio,path={self.folder}/swtpm.sock",
                                       "--flags", "startup-clear"], stdin=subprocess.DEVNULL)
        wait_until("swtpm listens", (self.folder / "swtpm.sock").exists, 30)
        self.qemu = subprocess.Popen([
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-M", "q35", "-m", "2048", "-nodefaults", "-display", "none",
            "-vga", "std", "-nic", "none",
            "-kernel", f"{self.folder}/vmlinuz", "-initrd", f"{self.folder}/initrd.img", "-append", "root=/dev/vda rw console=ttyS0 console=tty0 panic=-1",
            "-drive", f"file={self.folder}/disk.img,if=virtio,format=raw,cache=unsafe",
            "-chardev", f"file,id=kernel,path={self.folder}/kernel.log,append=on", "-serial", "chardev:kernel",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=shell,path={self.folder}/shell.sock,server=on,wait=off", "-device", "virtconsole,chardev=shell",
            "-device", "qemu-xhci,id=xhci", "-chardev", "pty,id=cable",
            "-chardev", f"socket,id=tpm,path={self.folder}/swtpm.sock", "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0",
            "-qmp", f"unix:{self.folder}/qmp.sock,server=on,wait=off"], stdin=subprocess.DEVNULL)
        self.orders = connect(self.folder / "qmp.sock").makefile("rw")
        self.orders.readline()
        self.order("qmp_capabilities")
        self.shell = connect(self.folder / "shell.sock")
        self.wait_for_shell()

    def stop(self):
        for process in (self.qemu, self.swtpm):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def order(self, name, **arguments):
        self.orders.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.orders.flush()
        while True:
            line = self.orders.readline()
            if not line:
                raise Failed("QEMU has ended")
            answer = json.loads(line)
            if "error" in answer:
                raise Failed(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    # --- the root shell

    def wait_for_shell(self):
        """From the start, or after a reboot: until a shell answers."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.shell_text = ""
            word = f"up-{time.monotonic_ns()}"
            self.type_at_shell(f"stty -echo -onlcr; echo {word[:5]}'{word[5:]}'")
            try:
                self.expect(word, 5)
                return
            except Failed:
                pass
        raise Failed("no shell after the start; see kernel.log")

    def type_at_shell(self, line):
        self.shell.sendall(line.encode() + b"\n")

    def expect(self, text, patience=PATIENCE, ended=None):
        """Everything up to and with the text; what comes later is kept."""
        end = time.monotonic() + patience
        while text not in self.shell_text:
            is_over = ended and re.search(ended, self.shell_text)
            if is_over or not select.select([self.shell], [], [], max(0.0, end - time.monotonic()))[0]:
                raise Failed(f"the shell never said {text!r}, but:\n{self.shell_text}")
            self.shell_text += self.shell.recv(65536).decode("utf-8", "replace").replace("\r", "")
        upto = self.shell_text.index(text) + len(text)
        said, self.shell_text = self.shell_text[:upto], self.shell_text[upto:]
        return said

    def try_sh(self, command, dialogue=(), patience=PATIENCE):
        """Status and output of a command; dialogue: what is waited for, and what is typed then."""
        self.shell_text = ""
        # In one piece, so that a program which reads its answers here does not read the next command.
        self.type_at_shell(f"{{ {command}\n}}; echo \"@@$?\"@@")
        said = ""
        for prompt, answer in dialogue:
            said += self.expect(prompt, patience, ended="@@[0-9]+@@")
            self.type_at_shell(answer)
        said += self.expect("@@", patience)
        status = self.expect("@@", 30)
        return int(status[:-2]), said[:-2].strip()

    def sh(self, command, dialogue=(), patience=PATIENCE):
        status, said = self.try_sh(command, dialogue, patience)
        if status != 0:
            raise Failed(f"{command}: status {status}\n{said}")
        return said

    def put(self, content: bytes, path: str):
        text = base64.encodebytes(content).decode()
        self.sh(f"mkdir -p {shlex.quote(os.path.dirname(path))}; base64 -d > {shlex.quote(path)} <<'EOF'\n{text}EOF")

    def get(self, path: str) -> bytes:
        return base64.b64decode(self.sh(f"base64 {shlex.quote(path)}"))

    # --- keyboard and screen

    def press(self, text):
        for letter in text:
            self.order("send-key", keys=[{"type": "qcode", "data": self.KEYS.get(letter, letter)}], **{"hold-time": 20})
            time.sleep(0.1)

    def screen(self) -> list[str]:
        text = self.sh("stty -F /dev/tty1 size; base64 /dev/vcs1")
        size, _, cells = text.partition("\n")
        columns = int(size.split()[1])
        letters = base64.b64decode(cells).decode("latin-1")
        lines = [letters[at:at + columns].rstrip() for at in range(0, len(letters), columns)]
        return [line for line in lines if line]

    def wait_for_screen(self, pattern):
        """Until the last line of the screen (which may be wrapped) has it: the prompt that waits."""
        shown = []

        def found():
            shown[:] = self.screen()
            return re.search(pattern, " ".join(shown[-3:]))
        try:
            wait_until(f"the screen ends with {pattern!r}", found)
        except Failed as error:
            raise Failed(f"{error}; it shows:\n" + "\n".join(shown)) from None
        return shown

    # --- sticks and cables

    def plug_stick(self, image: pathlib.Path):
        self.order("blockdev-add", **{"driver": "raw", "node-name": "stick", "file": {"driver": "file", "filename": str(image)}})
        self.order("device_add", driver="usb-storage", id="stick", bus="xhci.0", drive="stick", removable=True)
        wait_until("the stick is seen", lambda: self.try_sh("test -b /dev/disk/by-label/COLDSEAL")[0] == 0)

    def pull_stick(self):
        self.order("device_del", id="stick")
        wait_until("the stick is gone", lambda: self.try_sh("test -b /dev/disk/by-label/COLDSEAL")[0] != 0)

        def released():
            try:
                self.order("blockdev-del", **{"node-name": "stick"})
                return True
            except Failed:
                return False
        wait_until("QEMU lets the stick's image go", released, 30)

    def plug_cable(self) -> str:
        """A USB serial adapter, /dev/ttyUSB0 in there; the host's end of its cable here."""
        self.order("device_add", driver="usb-serial", id="adapter", bus="xhci.0", chardev="cable", **{"always-plugged": True})
        return self.cable()

    def cable(self) -> str:
        wait_until("the adapter is seen", lambda: self.try_sh("test -c /dev/ttyUSB0")[0] == 0)
        return next(one["filename"].removeprefix("pty:") for one in self.order("query-chardev") if one["label"] == "cable")
