# SPDX-License-Identifier: Apache-2.0
"""The real quoind and quoin in a directory of their own: shared by the tests of this folder."""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ['QUOIN_BUILD']
SOURCE = os.environ['QUOIN_SOURCE']
QUOIND = os.path.join(BUILD, 'src/quoind/quoind')
QUOIN = os.path.join(BUILD, 'src/quoin/quoin')
START_S = 30


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path):
        super().__init__('localhost', timeout=30)
        self.unix_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(self.unix_path)


def told(text):
    """Without what AddressSanitizer says of itself in programs with fibers."""
    return ''.join(line for line in text.splitlines(keepends=True)
                   if 'ASan doesn\'t fully support makecontext' not in line)


class Result:
    """What a run of quoin left."""

    def __init__(self, run):
        self.code = run.returncode
        self.out = run.stdout
        self.err = told(run.stderr)

    @property
    def json(self):
        return json.loads(self.out)


class DaemonTest(unittest.TestCase):
    """Each test has a fresh directory; start() runs quoind in it."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix='quoin-api-')
        self.state = os.path.join(self.directory, 'state')
        self.socket = os.path.join(self.directory, 'run', 'quoind.sock')
        os.mkdir(os.path.dirname(self.socket), 0o700)
        self.log = os.path.join(self.directory, 'log')
        self.daemon = None
        self.spawned = []
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.addCleanup(self.kill)

    def path(self, name):
        return os.path.join(self.directory, name)

    def disk(self, name, size=1 << 20):
        path = self.path(name)
        with open(path, 'wb') as file:
            file.truncate(size)
        return path

    def read_log(self):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return file.read()

    # --- The daemon -------------------------------------------------------------------------

    def spawn(self, *options, **keywords):
        """quoind as a process, one at a time; returns at once. It ends with this process, too."""
        self.assertFalse(self.daemon and self.daemon.poll() is None, 'quoind runs already')
        with open(self.log, 'w', encoding='utf-8') as log:
            self.daemon = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', QUOIND, '--state-dir', self.state, '--socket',
                 self.socket, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **keywords)
        self.spawned.append(self.daemon)
        return self.daemon

    def start(self, *options, **keywords):
        """quoind, ready."""
        self.spawn(*options, **keywords)
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.daemon.poll() is not None:
                self.fail('quoind ended: ' + self.read_log())
            try:
                self.request('GET', '/v1')
                return
            except OSError:
                time.sleep(0.02)
        self.fail('quoind does not answer: ' + self.read_log())

    def refused_start(self, *options):
        """quoind that must not start, beside one that may run: its exit code and words."""
        first, self.daemon = self.daemon, None
        code = self.spawn(*options).wait(START_S)
        self.daemon = first
        return code, self.read_log()

    def stop(self, number=signal.SIGTERM):
        self.daemon.send_signal(number)
        code = self.daemon.wait(START_S)
        self.daemon = None
        return code

    def kill(self):
        for daemon in self.spawned:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()

    # --- Talking to it ----------------------------------------------------------------------

    def request(self, method, path, body=None):
        """(status, decoded JSON or None). A body that is not bytes is sent as JSON."""
        connection = UnixConnection(self.socket)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def plain(self, path):
        """GET of what is no JSON: status, content type, text."""
        connection = UnixConnection(self.socket)
        try:
            connection.request('GET', path)
            answer = connection.getresponse()
            return answer.status, answer.getheader('Content-Type'), answer.read().decode(errors='replace')
        finally:
            connection.close()

    def quoin(self, *words, **keywords):
        return Result(subprocess.run([QUOIN, *words, '--socket', self.socket], check=False,
                                     capture_output=True, text=True, timeout=120, **keywords))

    def done(self, *words, **keywords):
        """quoin that must succeed."""
        result = self.quoin(*words, **keywords)
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(result.err, '')
        return result

    def refused(self, *words, code=1, says=''):
        """quoin that must fail with one clear line, the daemon undisturbed."""
        result = self.quoin(*words)
        self.assertEqual(result.code, code, result.out + result.err)
        self.assertEqual(result.err.count('\n'), 1, result.err)
        self.assertTrue(result.err.startswith('quoin: '), result.err)
        self.assertIn(says, result.err)
        self.assertEqual(result.out, '')
        if self.daemon:
            self.assertIsNone(self.daemon.poll(), 'quoind died: ' + self.read_log())
        return result


def sanitized():
    """True when the daemon carries AddressSanitizer, which takes memory of its own."""
    with open(QUOIND, 'rb') as file:
        return b'__asan_init' in file.read()


def main():
    unittest.main(verbosity=2, argv=[sys.argv[0], *sys.argv[1:]])
