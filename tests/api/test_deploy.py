# SPDX-License-Identifier: Apache-2.0
"""Images that arrive: every format against qemu-img, the web, digests, kills, bad input."""
import os
import shutil
import signal
import subprocess
import time

from deploy_test import MIB, SIZE, DeployTest
from quoin_test import BUILD, main


class Deploy(DeployTest):
    # --- Formats ------------------------------------------------------------------------------

    def test_every_format_is_what_qemu_img_makes_of_it(self):
        raw = self.raw()
        self.arrives(raw, raw)
        for form, options in (('qcow2', ()), ('qcow2', ('-o', 'compat=0.10')), ('qcow2', ('-c',)),
                              ('vmdk', ()), ('vmdk', ('-o', 'subformat=streamOptimized')),
                              ('vmdk', ('-o', 'subformat=monolithicFlat')),
                              ('vhdx', ()), ('vhdx', ('-o', 'subformat=fixed')), ('vdi', ())):
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
        # Formats count in sectors.
        odd = self.raw(size=3 * MIB + 512)
        self.arrives(self.convert(odd, 'qcow2'), odd)

    def test_a_larger_volume(self):
        raw = self.raw()
        self.done('volume', 'deploy', 'tank/v', '--from', raw, '--size', '20M', '--wait')
        out = self.read(self.target())
        self.assertEqual(os.path.getsize(out), 20 * MIB)
        self.same(out, raw)

    # --- The web ------------------------------------------------------------------------------

    def test_the_web(self):
        web = self.web()
        raw = self.raw()
        self.convert(raw, 'qcow2', '-c')
        self.arrives(web.url('image.qcow2'), raw)
        web.sent = 0
        self.done('volume', 'deploy', 'tank/v', '--from', web.url('raw'), '--wait')
        self.assertLess(web.sent, SIZE * 1.1)
        self.same(self.read(self.target()), raw)

    def test_compressed_clusters_are_not_asked_for_one_by_one(self):
        web = self.web()
        raw, clusters = self.path('raw'), 128
        with open(raw, 'wb') as file:
            for _ in range(clusters):
                file.write(self.random.randbytes(30000).ljust(65536, b'x'))
        image = self.convert(raw, 'qcow2', '-c')
        self.assertLess(os.path.getsize(image), 5 * MIB)
        self.done('volume', 'deploy', 'tank/v', '--from', web.url('image.qcow2'), '--wait')
        self.same(self.read(self.target()), raw)
        # Each MiB once, though qemu-img looks at it first: one nbdkit serves both.
        self.assertLessEqual(web.requests, os.path.getsize(image) // MIB + 2)
        self.assertLess(web.sent, os.path.getsize(image) * 1.1)

    def test_a_server_that_goes_and_comes_back(self):
        web = self.web()
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
        web = self.web()
        self.raw()
        self.done('volume', 'deploy', 'tank/v', '--from', web.url('raw'), '--rate', '64K')
        web.etag = '"2"'
        self.done('volume', 'resume', 'tank/v', '--rate', '1G')
        self.assertIn('changed while it was fetched', self.until('failed')['problem'])
        self.no_children()
        self.done('volume', 'destroy', 'tank/v')

    def test_what_the_web_refuses(self):
        web = self.web()
        raw = self.raw()
        self.chain(raw)
        shutil.copy(self.path('top.qcow2'), self.path('web.qcow2'))
        for name, why in (('none', '404'), ('secret', '401'), ('loop', 'redirect'),
                          ('web.qcow2', 'names other files')):
            with self.subTest(name=name):
                result = self.quoin('volume', 'deploy', 'tank/v', '--from', web.url(name))
                self.assertEqual(result.code, 1)
                self.assertIn(why, result.err)
        self.assertEqual(self.done('volume', 'list', '--json').json['volumes'], [])
        self.no_children()

    # --- Trust --------------------------------------------------------------------------------

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
        # Whether it was open already: it is looked at when it is opened, and at the end.
        self.done('volume', 'resume', 'tank/v', '--rate', '1G')
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

    def test_bad_input(self):
        raw = self.raw()
        qcow2 = self.convert(raw, 'qcow2')
        with open(qcow2, 'r+b') as file:
            file.seek(40)  # where the L1 table is
            file.write(b'\xff' * 8)
        none = self.path('none.qcow2')
        subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', none, '0'], check=True)
        cut = []
        for form in ('vmdk', 'vhdx', 'vdi'):
            image = self.convert(raw, form)
            cut.append(image)
            os.truncate(image, 200)
        web = self.web(ranges=False)
        web.claim = 1 << 40
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
                (('--from', none), 'is empty'),
                *((('--from', image), image) for image in cut),
                (('--from', sparse), 'available'),
                (('--from', web.url('raw')), 'available'),
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
