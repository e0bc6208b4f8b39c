#!/usr/bin/env python3
"""Runs the sh blocks of docs/driver-signing-walkthrough.md in order, in a folder of their own.

  run_walkthrough.py DOCUMENT BIN_DIR

A block's status must be 0, or what "```sh expect N" says. Every command of a block must succeed for it to be 0.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile


def main():
    document, programs = sys.argv[1:]
    blocks = re.findall(r"^```sh(?: expect (\d+))?\n(.*?)^```$", pathlib.Path(document).read_text(encoding="utf-8"), re.M | re.S)
    if len(blocks) < 8:
        sys.exit(f"{document}: {len(blocks)} blocks, more were expected")
    environment = dict(os.environ, PATH=programs + os.pathsep + os.environ["PATH"])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["make-sample-package", "package"], cwd=folder, env=environment, check=True)
        for expected, block in blocks:
            done = subprocess.run(["sh", "-e", "-c", block], cwd=folder, env=environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            if done.returncode != int(expected or 0):
                sys.exit(f"{block}\nstatus {done.returncode}, {expected or 0} wanted:\n{done.stdout}")
    print(f"{len(blocks)} blocks ran as {document} says")


main()
