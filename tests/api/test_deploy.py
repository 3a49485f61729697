# SPDX-License-Identifier: Apache-2.0
"""Images that arrive: every format against qemu-img, the web, digests, kills, bad input."""
import http.server
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import unittest

from quoin_test import BUILD, DaemonTest, main

MIB = 1 << 20
SIZE = 12 * MIB


class Web:
    """A web server of one directory, with byte ranges, that can be told to misbehave."""

    def __init__(self, directory):
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
                self.send_header('Content-Length', str(last + 1 - first))
                self.end_headers()
                if body:
                    web.sent += last + 1 - first
                    self.wfile.write(data[first:last + 1])
                return None

            def short(self, status, *headers):
                self.send_response(status)
                for header in headers:
                    self.send_header(*header)
                self.send_header('Content-Length', '0')
                self.end_headers()

        self.ranges, self.etag, self.sent = True, '"1"', 0
        self.handler = Handler
        self.port = 0
        self.start()

    def start(self):
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', self.port), self.handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def url(self, name):
        return f'http://127.0.0.1:{self.port}/{name}'


@unittest.skipUnless(shutil.which('qemu-nbd') and shutil.which('nbdkit'),
                     'qemu-nbd or nbdkit is not installed')
class Deploy(DaemonTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(1)
        self.start()
        self.done('pool', 'create', 'tank', self.disk('pool', 512 * MIB))

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

    # --- Formats ------------------------------------------------------------------------------

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

    def test_every_format_is_what_qemu_img_makes_of_it(self):
        raw = self.raw()
        self.arrives(raw, raw)
        for form, options in (('qcow2', ()), ('qcow2', ('-o', 'compat=0.10')), ('qcow2', ('-c',)),
                              ('vmdk', ()), ('vmdk', ('-o', 'subformat=streamOptimized')),
                              ('vhdx', ()), ('vdi', ())):
            with self.subTest(form=form, options=options):
                self.arrives(self.convert(raw, form, *options), raw)

    def test_a_chain_and_odd_sizes(self):
        raw = self.raw()
        self.arrives(self.chain(raw), raw)
        for size in (1, 512, 4097, MIB + 1, 3 * MIB - 1):
            with self.subTest(size=size):
                odd = self.path('odd')
                with open(odd, 'wb') as file:
                    file.write(self.random.randbytes(size))
                self.arrives(odd, odd)

    def test_a_larger_volume(self):
        raw = self.raw()
        self.done('volume', 'deploy', 'tank/v', '--from', raw, '--size', '20M', '--wait')
        out = self.read(self.target())
        self.assertEqual(os.path.getsize(out), 20 * MIB)
        self.same(out, raw)

    # --- The web ------------------------------------------------------------------------------

    def test_the_web(self):
        web = Web(self.directory)
        self.addCleanup(web.stop)
        raw = self.raw()
        self.convert(raw, 'qcow2', '-c')
        self.arrives(web.url('image.qcow2'), raw)
        web.sent = 0
        self.done('volume', 'deploy', 'tank/v', '--from', web.url('raw'), '--wait')
        self.assertLess(web.sent, SIZE * 1.1)
        self.same(self.read(self.target()), raw)

    def test_a_server_that_goes_and_comes_back(self):
        web = Web(self.directory)
        self.addCleanup(web.stop)
        raw = self.raw()
        self.done('volume', 'deploy', 'tank/v', '--from', web.url('raw'), '--rate', '1M')
        web.stop()
        state = self.until('waiting')
        self.assertIn('127.0.0.1', state['problem'])
        web.start()
        self.done('volume', 'resume', 'tank/v', '--rate', '1G')
        self.until('none', 'done')
        self.same(self.read(self.target()), raw)

    def test_another_file_is_not_mixed_in(self):
        web = Web(self.directory)
        self.addCleanup(web.stop)
        self.raw()
        self.done('volume', 'deploy', 'tank/v', '--from', web.url('raw'), '--rate', '64K')
        web.etag = '"2"'
        self.done('volume', 'resume', 'tank/v', '--rate', '1G')
        self.assertIn('changed while it was fetched', self.until('failed')['problem'])
        self.no_children()
        self.done('volume', 'destroy', 'tank/v')

    def test_what_the_web_refuses(self):
        web = Web(self.directory)
        self.addCleanup(web.stop)
        raw = self.raw()
        self.chain(raw)
        shutil.copy(self.path('top.qcow2'), self.path('web.qcow2'))
        for name, why in (('none', '404'), ('secret', '401'), ('loop', 'redirect'),
                          ('web.qcow2', 'names other files')):
            with self.subTest(name=name):
                result = self.quoin('volume', 'deploy', 'tank/v', '--from', web.url(name))
                self.assertEqual(result.code, 1)
                self.assertIn(why, result.err)
        web.ranges = False
        result = self.quoin('volume', 'deploy', 'tank/v', '--from', web.url('raw'))
        self.assertIn('no byte ranges', result.err)
        self.assertEqual(self.done('volume', 'list', '--json').json['volumes'], [])
        self.no_children()

    # --- Trust --------------------------------------------------------------------------------

    def sha256(self, path):
        return subprocess.run(['sha256sum', path], check=True, capture_output=True,
                              text=True).stdout.split()[0]

    def test_sums(self):
        raw = self.raw()
        for image in (raw, self.convert(raw, 'qcow2')):
            with self.subTest(image=image):
                good = self.sha256(image)
                wrong = good[:-1] + ('0' if good[-1] != '0' else '1')
                self.done('volume', 'deploy', 'tank/v', '--from', image, '--mode', 'first',
                          '--sha256', good)
                self.same(self.read(self.target()), raw)
                self.done('target', 'destroy', 't')
                self.done('volume', 'destroy', 'tank/v')
                for mode in ('first', 'online'):
                    result = self.quoin('volume', 'deploy', 'tank/v', '--from', image, '--mode',
                                        mode, '--wait', '--sha256', wrong)
                    self.assertEqual(result.code, 1)
                    self.assertIn('SHA-256', result.err)
                    self.done('volume', 'cancel', 'tank/v')

    def test_first_holds_attachment(self):
        raw = self.raw()
        self.done('volume', 'deploy', 'tank/v', '--from', raw, '--mode', 'first', '--rate', '64K',
                  '--no-wait')
        result = self.quoin('target', 'create', 't', '--listen', self.path('t.sock'), 'tank/v')
        self.assertEqual(result.code, 1)
        self.assertIn('still arriving', result.err)
        self.done('volume', 'resume', 'tank/v', '--rate', '1G')
        self.until('none', 'done')
        self.same(self.read(self.target()), raw)

    def test_lists_of_digests(self):
        raw = self.raw()
        image = self.convert(raw, 'qcow2')
        text = self.done('image', 'digest', image).out
        self.assertEqual(text.splitlines()[:3],
                         ['quoin-digests 1', f'size {SIZE}', 'piece 1048576'])
        good, wrong, short = self.path('good'), self.path('wrong'), self.path('short')
        lines = text.splitlines(keepends=True)
        for path, content in ((good, lines), (wrong, lines[:9] + ['0' * 64 + '\n'] + lines[10:]),
                              (short, lines[:-1])):
            with open(path, 'w', encoding='utf-8') as file:
                file.writelines(content)
        self.done('volume', 'deploy', 'tank/v', '--from', raw, '--digest-list', good, '--wait')
        self.same(self.read(self.target()), raw)
        self.done('target', 'destroy', 't')
        self.done('volume', 'destroy', 'tank/v')
        result = self.quoin('volume', 'deploy', 'tank/v', '--from', image, '--digest-list', wrong,
                            '--wait')
        self.assertIn('piece 6', result.err)
        self.done('volume', 'destroy', 'tank/v')
        result = self.quoin('volume', 'deploy', 'tank/v', '--from', image, '--digest-list', short)
        self.assertIn('12 digests', result.err)

    # --- Restarts -----------------------------------------------------------------------------

    def test_kills(self):
        """What a guest wrote stays, what was recorded is not fetched again, no child is left."""
        raw = self.raw()
        image = self.convert(raw, 'qcow2')
        self.done('volume', 'deploy', 'tank/v', '--from', image, '--rate', '64K')
        change = self.path('change')
        with open(change, 'wb') as file:
            file.write(self.random.randbytes(64 * 1024))
        subprocess.run([os.path.join(BUILD, 'tests/client/nvme-put'), self.target(), change],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        with open(raw, 'r+b') as file, open(change, 'rb') as data:
            file.write(data.read())
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            before = self.deployment()['here_bytes']
            time.sleep(1.5)
            self.some_children()
            pids = subprocess.run(['pgrep', '-f', image], check=False, capture_output=True,
                                  text=True).stdout.split()
            self.stop(number)
            end = time.monotonic() + 10
            self.assertEqual([name for name in os.listdir(os.path.dirname(self.socket))
                              if name.startswith('image-')], [])
            while any(os.path.exists(f'/proc/{pid}') for pid in pids):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.05)
            self.start()
            state = self.deployment()
            self.assertGreaterEqual(state['here_bytes'], before)
            self.assertEqual(state['rate_limit'], 65536)
        here = state['here_bytes']
        self.assertLess(here, SIZE)
        self.same(self.read(self.path('t.sock')), raw)
        self.assertLessEqual(self.deployment()['fetched_bytes'], SIZE - here + MIB)
        self.quoin('volume', 'resume', 'tank/v', '--rate', '1G')
        self.until('none', 'done')
        self.same(self.read(self.path('t.sock')), raw)
        self.stop()
        self.done('inspect', 'check', '--data', self.path('pool'))

    def test_failures_and_pauses_are_remembered(self):
        raw = self.raw()
        self.done('volume', 'deploy', 'tank/v', '--from', raw, '--rate', '64K')
        self.done('volume', 'pause', 'tank/v')
        self.stop()
        self.start()
        self.assertEqual(self.until('paused')['mode'], 'online')
        with open(raw, 'ab') as file:
            file.write(b'more')
        self.done('volume', 'resume', 'tank/v')
        self.assertIn('changed', self.until('failed')['problem'])
        self.stop()
        self.start()
        self.assertIn('changed', self.until('failed')['problem'])
        self.done('volume', 'destroy', 'tank/v')
        self.assertEqual(self.done('volume', 'list', '--json').json['volumes'], [])

    # --- Verbs --------------------------------------------------------------------------------

    def test_what_waits_for_the_image(self):
        raw = self.raw()
        self.done('volume', 'deploy', 'tank/v', '--from', raw, '--rate', '64K')
        for words in (('snapshot', 'tank/v@s'), ('rename', 'tank/v', 'tank/w'),
                      ('resize', 'tank/v', '20M')):
            result = self.quoin('volume', *words)
            self.assertEqual(result.code, 1)
            self.assertIn('still arriving', result.err)
        result = self.quoin('volume', 'deploy', 'tank/v', '--from', raw)
        self.assertIn('a volume of that name', result.err)
        out = self.done('volume', 'info', 'tank/v').out
        self.assertRegex(out, r'image +(arriving|waiting), \d+% \(')
        self.assertEqual(len(self.done('volume', 'list', '--json').json['volumes']), 1)
        self.target()
        self.assertIn('in use', self.quoin('volume', 'cancel', 'tank/v').err)
        self.done('target', 'destroy', 't')
        self.done('volume', 'cancel', 'tank/v')
        self.no_children()
        self.assertEqual(self.done('volume', 'list', '--json').json['volumes'], [])
        self.assertEqual(self.quoin('volume', 'create', 'tank/quoin:x', '--size', '1M').code, 1)

    def test_templates(self):
        raw = self.raw()
        self.done('volume', 'deploy', 'tank/golden', '--from', raw, '--wait')
        self.done('volume', 'snapshot', 'tank/golden@1')
        self.done('volume', 'deploy', 'tank/v', '--from', 'tank/golden@1', '--size', '20M')
        info = self.done('volume', 'info', 'tank/v', '--json').json
        self.assertEqual((info['origin'], info['size_bytes']), ('tank/golden@1', 20 * MIB))
        self.same(self.read(self.target()), raw)
        for source, why in (('tank/golden', 'make a snapshot'), ('tank/golden@2', 'no snapshot'),
                            ('what is this', 'no source')):
            self.assertIn(why, self.quoin('volume', 'deploy', 'tank/x', '--from', source).err)

    def test_bad_input(self):
        raw = self.raw()
        qcow2 = self.convert(raw, 'qcow2')
        with open(qcow2, 'r+b') as file:
            file.seek(40)  # where the L1 table is
            file.write(b'\xff' * 8)
        sparse = self.disk('large', 1 << 30)
        with open(sparse, 'r+b') as file:
            for at in range(0, 1 << 30, 64 << 20):
                file.seek(at)
                file.write(b'x' * 40 * MIB)
        for words, why in (
                (('--from', self.directory), 'is a directory'),
                (('--from', self.disk('empty', 0)), 'is empty'),
                (('--from', self.path('none')), 'No such file'),
                (('--from', '/dev/null'), 'neither a file nor'),
                (('--from', 'http://127.0.0.1:9/x'), 'onnect'),
                (('--from', 'http://name.invalid/x'), 'name.invalid'),
                (('--from', 'nbd://127.0.0.1:9/'), 'refused'),
                (('--from', qcow2), 'L1'),
                (('--from', sparse), 'available'),
                (('--from', raw, '--size', '8M'), 'larger --size'),
                (('--from', raw, '--size', '4097'), '4096'),
                (('--from', raw, '--sha256', 'abc'), '64 hexadecimal'),
                (('--from', raw, '--digest-list', self.path('none')), 'No such file'),
                (('--from', raw, '--digest-list', raw), 'no list of digests')):
            with self.subTest(words=words):
                result = self.quoin('volume', 'deploy', 'tank/v', *words)
                self.assertEqual(result.code, 1, result.out)
                self.assertIn(why, result.err)
                self.assertEqual(len(result.err.splitlines()), 1)
        for words in ((), ('--from', raw, '--mode', 'second'), ('--from', raw, '--rate', 'x')):
            self.assertEqual(self.quoin('volume', 'deploy', 'tank/v', *words).code, 2)
        self.assertEqual(self.done('volume', 'list', '--json').json['volumes'], [])
        self.no_children()


if __name__ == '__main__':
    main()
