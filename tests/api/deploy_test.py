# SPDX-License-Identifier: Apache-2.0
"""Images that arrive: a web server that can misbehave, and what the tests of them share."""
import http.server
import os
import random
import re
import shutil
import subprocess
import threading
import time
import unittest

from quoin_test import BUILD, DaemonTest

MIB = 1 << 20
SIZE = 12 * MIB


class Web:
    """A web server of one directory, with byte ranges, that can be told to misbehave."""

    def __init__(self, directory, tls=None):
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *words):
                pass

            def do_HEAD(self):
                self.answer(False)

            def do_GET(self):
                self.answer(True)

            def answer(self, body):
                if self.path == '/loop':
                    return self.short(302, ('Location', '/loop'))
                if self.path == '/secret':
                    return self.short(401)
                path = os.path.join(directory, self.path[1:])
                if not os.path.exists(path):
                    return self.short(404)
                with open(path, 'rb') as file:
                    data = file.read()
                first, last = 0, len(data) - 1
                wanted = re.match(r'bytes=(\d+)-(\d+)', self.headers.get('Range', ''))
                if wanted and web.ranges:
                    first, last = int(wanted[1]), min(int(wanted[2]), last)
                self.send_response(206 if wanted and web.ranges else 200)
                if web.ranges:
                    self.send_header('Accept-Ranges', 'bytes')
                self.send_header('ETag', web.etag)
                self.send_header('Content-Length', str(web.claim or last + 1 - first))
                self.end_headers()
                if body:
                    web.requests += 1
                    web.sent += last + 1 - first
                    self.send(data[first:last + 1])
                return None

            def send(self, data):
                if web.cut is not None:
                    data = data[:web.cut]
                    self.close_connection = True
                for at in range(0, len(data), MIB // 4):
                    web.gate.wait(60)
                    self.wfile.write(data[at:at + MIB // 4])

            def short(self, status, *headers):
                self.send_response(status)
                for header in headers:
                    self.send_header(*header)
                self.send_header('Content-Length', '0')
                self.end_headers()

        self.ranges, self.etag, self.sent, self.requests = True, '"1"', 0, 0
        self.cut = None   # so many bytes, then the end
        self.claim = None  # what it says that there are
        self.gate = threading.Event()  # closed: it stalls
        self.gate.set()
        self.handler = Handler
        self.tls = tls
        self.port = 0
        self.start()

    def start(self):
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', self.port), self.handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *words: None
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def url(self, name):
        return f'{"https" if self.tls else "http"}://127.0.0.1:{self.port}/{name}'


@unittest.skipUnless(shutil.which('qemu-nbd') and shutil.which('nbdkit'),
                     'qemu-nbd or nbdkit is not installed')
class DeployTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(1)
        self.start()
        self.done('pool', 'create', 'tank', self.disk('pool', 512 * MIB))

    def web(self, ranges=True):
        web = Web(self.directory)
        web.ranges = ranges
        self.addCleanup(web.stop)
        self.addCleanup(web.gate.set)
        return web

    # --- Images -------------------------------------------------------------------------------

    def raw(self, name='raw', size=SIZE):
        """Data, holes, single blocks."""
        path = self.path(name)
        with open(path, 'wb') as file:
            file.truncate(size)
            for at in range(0, size - MIB, 3 * MIB // 2):
                file.seek(at + self.random.randrange(8) * 4096)
                file.write(self.random.randbytes(MIB - 8 * 4096 - 777))
        return path

    def convert(self, source, form, *options):
        path = self.path(f'image.{form}')
        subprocess.run(['qemu-img', 'convert', '-f', 'raw', '-O', form, *options, source, path],
                       check=True, timeout=60)
        return path

    def chain(self, raw):
        """A qcow2 with a backing file, changed in part, and raw changed alike."""
        base = self.convert(raw, 'qcow2')
        top = self.path('top.qcow2')
        subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', top],
                       check=True, timeout=60)
        for path, form in ((top, 'qcow2'), (raw, 'raw')):
            subprocess.run(['qemu-io', '-f', form, '-c', 'write -P 0x5a 1M 300k', '-c',
                            'write -z 4M 1M', path], check=True, timeout=60,
                           stdout=subprocess.DEVNULL)
        return top

    def target(self, name='t', volume='tank/v'):
        path = self.path(name + '.sock')
        self.done('target', 'create', name, '--listen', path, volume)
        return path

    def read(self, socket):
        out = self.path('out')
        subprocess.run([os.path.join(BUILD, 'tests/client/nvme-get'), socket, out], check=True,
                       timeout=100)
        return out

    def same(self, out, raw):
        result = subprocess.run(['qemu-img', 'compare', '-f', 'raw', '-F', 'raw', out, raw],
                                check=False, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def deployment(self, name='tank/v'):
        return self.request('POST', '/v1/volumes/deploy/info', {'name': name})[1]

    def until(self, *states, name='tank/v'):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            state = self.deployment(name)
            if state['state'] in states:
                return state
            time.sleep(0.05)
        self.fail(f'{state} is not {states}')

    def children(self):
        pid = self.daemon.pid
        out = subprocess.run(['ps', '-o', 'args=', '--ppid', str(pid)], check=False,
                             capture_output=True, text=True).stdout
        return [line for line in out.splitlines() if 'qemu-nbd' in line or 'nbdkit' in line]

    def some_children(self):
        end = time.monotonic() + 30
        while not self.children():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def no_children(self):
        end = time.monotonic() + 10
        while self.children() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.children(), [])

    def sha256(self, path):
        return subprocess.run(['sha256sum', path], check=True, capture_output=True,
                              text=True).stdout.split()[0]

    def arrives(self, image, raw):
        """Online, seen by a guest before it is there; then whole."""
        self.done('volume', 'deploy', 'tank/v', '--from', image, '--rate', '2M')
        socket = self.target()
        self.same(self.read(socket), raw)
        # It may be whole already: the guest read all of it.
        self.quoin('volume', 'resume', 'tank/v', '--rate', '1G')
        self.until('none', 'done')
        self.same(self.read(socket), raw)
        self.done('target', 'destroy', 't')
        self.done('volume', 'snapshot', 'tank/v@whole')
        self.no_children()
        self.done('volume', 'destroy', 'tank/v', '-r')
