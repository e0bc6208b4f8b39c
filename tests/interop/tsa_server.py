#!/usr/bin/env python3
"""A timestamp authority on the loopback: openssl ts behind HTTP, and every way in which one can misbehave.

usage: tsa_server.py FOLDER      with tsa.cnf (section t), tsa.pem and tsa.key in it; prints "listening on PORT"
The path of the URL chooses: /good, /good-after/N/NAME (fails N times before), or one of MISBEHAVIOURS."""
import http.server
import os
import subprocess
import sys
import tempfile
import threading
import time

FOLDER = sys.argv[1]
OTHER_DIGEST = "00" * 31 + "01"
failures = {}
lock = threading.Lock()


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def reply_to(query, *more):
    with lock, tempfile.TemporaryDirectory() as scratch:   # one at a time: openssl ts counts serial numbers in a file
        question, answer = os.path.join(scratch, "q"), os.path.join(scratch, "r")
        with open(question, "wb") as f:
            f.write(query)
        openssl("ts", "-reply", "-config", os.path.join(FOLDER, "tsa.cnf"), "-section", "t", "-queryfile", question, "-signer",
                os.path.join(FOLDER, "tsa.pem"), "-inkey", os.path.join(FOLDER, "tsa.key"), "-out", answer, *more)
        with open(answer, "rb") as f:
            return f.read()


def query_of(*arguments):
    with tempfile.TemporaryDirectory() as scratch:
        question = os.path.join(scratch, "q")
        openssl("ts", "-query", *arguments, "-cert", "-out", question)
        with open(question, "rb") as f:
            return f.read()


def digest_in(query):
    """The SHA-256 octets of the message imprint, where openssl shows them."""
    at = query.index(bytes.fromhex("0420")) + 2
    return query[at:at + 32].hex()


class Authority(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, content_type="application/timestamp-reply", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        query = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Content-Type") != "application/timestamp-query":
            return self.answer(b"what is this?", 415, "text/plain")
        name, *rest = self.path.strip("/").split("/")
        if name == "good-after":
            with lock:
                failures[self.path] = failures.get(self.path, 0) + 1
                failed_enough = failures[self.path] > int(rest[0])
            return self.answer(reply_to(query)) if failed_enough else self.answer(b"busy", 503, "text/plain")
        return getattr(self, "do_" + name)(query)

    def do_good(self, query):
        self.answer(reply_to(query))

    def do_parameters(self, query):   # a content type may have some
        self.answer(reply_to(query), content_type="Application/Timestamp-Reply; charset=binary")

    def do_html(self, _):
        self.answer(b"<html>please log in</html>", content_type="text/html")

    def do_redirect(self, _):
        self.answer(b"", 302, "text/plain", [("Location", "/good")])

    def do_error(self, _):
        self.answer(b"oh", 500, "text/plain")

    def do_garbage(self, _):
        self.answer(bytes(range(256)))

    def do_empty(self, _):
        self.answer(b"")

    def do_huge(self, _):
        self.answer(bytes(8 << 20))

    def do_endless(self, _):
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:   # until the other side has enough
            self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    def do_headers(self, _):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"a" * 100000 + b"\r\n\r\n")

    def do_noise(self, _):
        self.wfile.write(b"\x00\x01\x02 this is not HTTP\r\n\r\n")

    def do_close(self, _):
        self.close_connection = True

    def do_short(self, query):   # ends before it said it would
        body = reply_to(query)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: 9999\r\n\r\n" + body)
        self.close_connection = True

    def do_slow(self, query):
        time.sleep(60)
        self.do_good(query)

    def do_drip(self, query):
        body = reply_to(query)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: %d\r\n\r\n" % len(body))
        for octet in body:
            self.wfile.write(bytes([octet]))
            time.sleep(0.2)

    def do_nonce(self, query):   # a good timestamp of the same digest, asked by somebody else
        self.answer(reply_to(query_of("-digest", digest_in(query), "-sha256")))

    def do_nononce(self, query):
        self.answer(reply_to(query_of("-digest", digest_in(query), "-sha256", "-no_nonce")))

    def do_imprint(self, _):
        self.answer(reply_to(query_of("-digest", OTHER_DIGEST, "-sha256")))

    def do_policy(self, query):
        self.answer(reply_to(query, "-tspolicy", "1.2.3.5"))

    def do_rejected(self, _):   # an algorithm that this authority does not take
        self.answer(reply_to(query_of("-digest", "00" * 64, "-sha512")))

    def do_tampered(self, query):
        body = bytearray(reply_to(query))
        body[-1] ^= 1
        self.answer(bytes(body))

    def do_trailing(self, query):
        self.answer(reply_to(query) + b"\x00")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):   # clients that hang up are what this is for
        pass


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Authority)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
