# SPDX-License-Identifier: Apache-2.0
"""quoin volume export and copy: what is written, held against qemu-img; what is refused and left behind."""
import json
import os
import random
import shutil
import signal
import subprocess
import time
import unittest

from quoin_test import BUILD, QUOIN, DaemonTest, main

MIB = 1 << 20
QEMU_IMG = shutil.which('qemu-img')


class ExportTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.done('pool', 'create', 'tank', self.disk('a.img', 512 * MIB))

    def image(self, name, size, pieces):
        """A sparse file of random pieces."""
        path = self.path(name)
        chance = random.Random(1)
        with open(path, 'wb') as file:
            file.truncate(size)
            for offset, length in pieces:
                file.seek(offset)
                for at in range(0, length, MIB):
                    file.write(chance.randbytes(min(MIB, length - at)))
        return path

    def volume(self, name, image):
        self.done('volume', 'create', name, '--size', str(os.path.getsize(image)))
        self.put(name, image)

    def put(self, name, image):
        socket = self.path('put.sock')
        self.done('target', 'create', 'put', '--listen', socket, name)
        subprocess.run([os.path.join(BUILD, 'tests/client/nvme-put'), socket, image], check=True,
                       timeout=100, stdout=subprocess.DEVNULL)
        self.done('target', 'destroy', 'put')

    def same(self, ours, theirs, kind='raw'):
        if QEMU_IMG:
            out = subprocess.run([QEMU_IMG, 'compare', '-f', kind, '-F', 'raw', ours, theirs],
                                 check=False, capture_output=True, text=True, timeout=100)
            self.assertEqual((out.returncode, out.stderr), (0, ''), out.stdout)
        elif kind == 'raw':
            with open(ours, 'rb') as a, open(theirs, 'rb') as b:
                self.assertEqual(a.read(), b.read())

    def snapshots(self):
        return [s['name'] for s in
                self.done('snapshot', 'list', 'tank', '--json').json['snapshots']]

    def left(self):
        """What is beside the files of the test."""
        return sorted(os.listdir(self.directory))


class Exports(ExportTest):
    PIECES = [(0, 4096), (8192, 12288), (2 * MIB - 4096, 8192), (5 * MIB, MIB),
              (40 * MIB + 4096, 70000), (90 * MIB - 8192, 8192)]

    def test_content(self):
        image = self.image('image', 90 * MIB, self.PIECES)
        self.volume('tank/v', image)
        self.done('volume', 'snapshot', 'tank/v@1')
        raw, qcow2 = self.path('out.raw'), self.path('out.qcow2')
        self.done('volume', 'export', 'tank/v@1', '--to', raw)
        self.same(raw, image)
        self.assertEqual(os.path.getsize(raw), 90 * MIB)
        self.assertLess(os.stat(raw).st_blocks * 512, 2 * MIB, 'holes stay holes')
        self.done('volume', 'export', 'tank/v', '--to', qcow2, '--format', 'qcow2')
        self.assertLess(os.path.getsize(qcow2), 3 * MIB)
        self.same(qcow2, image, 'qcow2')
        if QEMU_IMG:
            out = subprocess.run([QEMU_IMG, 'check', '--output', 'json', qcow2], check=True,
                                 capture_output=True, text=True, timeout=100).stdout
            found = json.loads(out)
            self.assertEqual((found['check-errors'], found.get('leaks', 0),
                              found.get('corruptions', 0)), (0, 0, 0))
            self.assertEqual(found['image-end-offset'], os.path.getsize(qcow2))
        self.assertEqual(self.snapshots(), ['tank/v@1'], 'the one it was read from is gone')
        states = [(e['state'], e['format'], e['done_bytes'] <= e['data_bytes'])
                  for e in self.done('export', 'list', '--json').json['exports']]
        self.assertEqual(states, [('done', 'raw', True), ('done', 'qcow2', True)])
        self.assertIn('done', self.done('export', 'list').out)

    def test_what_is_being_written(self):
        """The instant it began is what counts, not what comes meanwhile."""
        image = self.image('image', 8 * MIB, [(0, 8 * MIB)])
        other = self.image('other', 8 * MIB, [(MIB, 7 * MIB)])
        self.volume('tank/v', image)
        self.done('volume', 'snapshot', 'tank/v@1')
        self.put('tank/v', other)
        self.done('volume', 'export', 'tank/v@1', '--to', self.path('1.raw'))
        self.same(self.path('1.raw'), image)
        self.done('volume', 'export', 'tank/v', '--to', self.path('2.raw'))
        with open(image, 'rb') as a, open(other, 'rb') as b:
            first, rest = a.read(MIB), b.read()[MIB:]
        with open(self.path('2.raw'), 'rb') as file:
            self.assertEqual(file.read(), first + rest)

    def test_nothing_and_odd_sizes(self):
        for size in (4096, 64 * 1024, MIB + 4096, 600 * MIB):
            name = 'tank/v%d' % size
            image = self.image('image', size, [(size - 4096, 4096)] if size > MIB else [])
            self.volume(name, image)
            for kind in ('raw', 'qcow2'):
                out = self.path('%d.%s' % (size, kind))
                self.done('volume', 'export', name, '--to', out, '--format', kind)
                self.same(out, image, kind)

    def test_refusals(self):
        self.done('volume', 'create', 'tank/v', '--size', '4M')
        there = self.disk('there', 4096)
        before = self.left()
        self.refused('volume', 'export', 'tank/v', code=2, says='--to')
        self.refused('volume', 'export', 'tank/v', '--to', there, says='give --force')
        self.refused('volume', 'export', 'tank/v', '--to', self.directory, says='is a directory')
        self.refused('volume', 'export', 'tank/v', '--to', self.directory + '/', says='directory')
        self.refused('volume', 'export', 'tank/v', '--to', self.path('no/x'),
                     says='cannot open the directory')
        self.refused('volume', 'export', 'tank/v', '--to', '/dev/null', '--force',
                     says='no regular file')
        self.refused('volume', 'export', 'tank/v', '--to', self.path('a.img'), '--force',
                     says='is a drive of pool "tank"')
        self.refused('volume', 'export', 'tank/v', '--to', self.path('x'), '--format', 'vmdk',
                     says='raw or qcow2')
        self.refused('volume', 'export', 'tank/w', '--to', self.path('x'), says='no such volume')
        self.refused('volume', 'export', 'tank/v@1', '--to', self.path('x'), says='no such')
        self.refused('volume', 'export', 'none/v', '--to', self.path('x'), says='no pool')
        self.done('target', 'create', 't', 'file:' + there)
        self.refused('volume', 'export', 'tank/v', '--to', there, '--force',
                     says='is a volume of target "t"')
        self.done('target', 'destroy', 't')
        self.refused('export', 'cancel', '7', says='no export 7')
        self.refused('volume', 'snapshot', 'tank/v@quoin-export.1', says='for the snapshots of')
        self.done('volume', 'create', 'tank/huge', '--size', '4000T')
        self.refused('volume', 'export', 'tank/huge', '--to', self.path('x'), '--format', 'qcow2',
                     says='export it raw')
        self.assertEqual(self.left(), before)
        self.assertEqual(self.snapshots(), [])
        self.done('volume', 'export', 'tank/v', '--to', there, '--force')
        self.assertEqual(os.path.getsize(there), 4 * MIB)
        self.assertEqual(self.left(), before)


class Copies(ExportTest):
    """By reference; what they hold is seen by exporting them."""

    def held(self, name):
        out = self.path('held')
        self.done('volume', 'export', name, '--to', out, '--force')
        with open(out, 'rb') as file:
            return file.read()

    def test_copies(self):
        image = self.image('image', 8 * MIB, [(0, 4 * MIB), (7 * MIB, 4096)])
        with open(image, 'rb') as file:
            content = file.read()
        self.volume('tank/v', image)
        self.done('volume', 'snapshot', 'tank/v@1')
        self.done('volume', 'copy', 'tank/v', 'tank/w')
        self.done('volume', 'copy', 'tank/v@1', 'tank/dir/x')
        self.assertEqual(self.held('tank/w'), content)
        self.assertEqual(self.held('tank/dir/x'), content)
        status = self.done('pool', 'status', 'tank', '--json').json
        self.assertEqual(status['data_bytes'], 4 * MIB + 4096)
        self.assertEqual(status['shared_bytes'], 2 * status['data_bytes'])
        # What it came from can go, and it shows no origin.
        self.assertIsNone(self.done('volume', 'info', 'tank/w', '--json').json['origin'])
        self.done('volume', 'destroy', 'tank/v', '--recursive')
        self.assertEqual(self.held('tank/w'), content)
        self.done('volume', 'copy', 'tank/dir/x', 'tank/w', '--offset', '1M', '--length', '512K',
                  '--to-offset', '6M')
        expected = bytearray(content)
        expected[6 * MIB:6 * MIB + 512 * 1024] = content[MIB:MIB + 512 * 1024]
        self.assertEqual(self.held('tank/w'), bytes(expected))
        self.assertEqual(self.snapshots(), [])
        self.stop()
        self.start()
        self.assertEqual(self.held('tank/w'), bytes(expected))
        self.assertEqual(self.held('tank/dir/x'), content)
        lines = self.done('pool', 'history', 'tank').out
        self.assertIn('volume copy tank/v@1 tank/dir/x', lines)

    def test_refusals(self):
        self.done('volume', 'create', 'tank/v', '--size', '4M')
        self.done('volume', 'create', 'tank/w', '--size', '4M')
        self.done('pool', 'create', 'other', self.disk('b.img', 64 * MIB))
        self.refused('volume', 'copy', 'tank/v', 'tank/w', says='it is there')
        self.refused('volume', 'copy', 'tank/v', 'tank/x', '--offset', '0', says='no volume')
        self.refused('volume', 'copy', 'tank/v', 'other/x', says='in another pool')
        self.refused('volume', 'copy', 'tank/none', 'tank/x', says='not there')
        self.refused('volume', 'copy', 'tank/v', 'tank/x@1', says='is a snapshot')
        self.refused('volume', 'copy', 'tank/v', 'tank/quoin-copy.1', says='on their way')
        self.refused('volume', 'create', 'tank/quoin-copy.1', '--size', '4M', says='on their way')
        self.refused('volume', 'copy', 'tank/v', 'tank/w', '--offset', '1', says='multiples of 4096')
        self.refused('volume', 'copy', 'tank/v', 'tank/w', '--offset', '4M', '--length', '4K',
                     says='ends before')
        self.refused('volume', 'copy', 'tank/v', 'tank/v', '--to-offset', '1M', '--length', '2M',
                     says='overlap')
        self.refused('volume', 'copy', 'tank/v', 'tank/w', '--offset', 'x', code=2, says='size')
        self.done('target', 'create', 't', 'tank/w')
        self.refused('volume', 'copy', 'tank/v', 'tank/w', '--offset', '0', says='target "t"')
        self.done('target', 'destroy', 't')
        self.done('volume', 'copy', 'tank/v', 'tank/w', '--offset', '0')
        names = [v['name'] for v in self.done('volume', 'list', '--json').json['volumes']]
        self.assertEqual(names, ['tank/v', 'tank/w'])


class Ends(ExportTest):
    """Exports that do not come to their end."""

    def setUp(self):
        super().setUp()
        self.big = self.image('image', 128 * MIB, [(0, 128 * MIB)])
        self.volume('tank/v', self.big)

    def begin(self, name='out.raw'):
        """One that has begun; quoin waits for it."""
        tool = subprocess.Popen([QUOIN, 'volume', 'export', 'tank/v', '--to', self.path(name),
                                 '--socket', self.socket], stderr=subprocess.PIPE, text=True)
        self.addCleanup(tool.kill)
        self.addCleanup(tool.stderr.close)
        return tool

    def begun(self):
        """The API's word for one that runs, or has ended already."""
        return self.request('POST', '/v1/exports', {'name': 'tank/v',
                                                    'to': self.path('out.raw')})[1]

    def end_of(self, number):
        while True:
            export = self.request('GET', '/v1/exports/%d' % number)[1]
            if export['state'] != 'running':
                return export
            time.sleep(0.05)

    def test_interrupted(self):
        tool = self.begin()
        while not self.request('GET', '/v1/exports')[1]['exports']:
            time.sleep(0.01)
        tool.send_signal(signal.SIGINT)
        said = tool.communicate(timeout=60)[1]
        if tool.returncode == 0:
            self.skipTest('it was done before it could be interrupted')
        self.assertIn('was cancelled', said)
        self.assertFalse(os.path.exists(self.path('out.raw')))
        self.assertEqual(self.snapshots(), [])

    def test_cancelled_and_in_the_way(self):
        export = self.begun()
        busy = self.quoin('pool', 'export', 'tank')
        if busy.code == 0:
            self.skipTest('it was done before anything could be in its way')
        self.assertIn('is being exported to', busy.err)
        self.quoin('export', 'cancel', str(export['id']))
        end = self.end_of(export['id'])
        self.assertIn(end['state'], ('cancelled', 'done'))
        self.assertEqual(os.path.exists(self.path('out.raw')), end['state'] == 'done')
        self.assertEqual(self.snapshots(), [])
        self.done('export', 'cancel', str(export['id']))
        self.assertEqual(self.request('GET', '/v1/exports')[1]['exports'], [])
        self.done('pool', 'export', 'tank')

    def test_daemon_ends(self):
        before = self.left()
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.begun()
            self.stop(number)
            left = set(self.left()) - set(before)
            self.assertLessEqual(left, {'out.raw'})
            if left:
                self.same(self.path('out.raw'), self.big)
                os.unlink(self.path('out.raw'))
            self.start()
            self.assertEqual(self.snapshots(), [], 'what a kill left is gone')

    def test_too_many(self):
        for i in range(20):
            status, answer = self.request('POST', '/v1/exports', {
                'name': 'tank/v', 'to': self.path('out%d' % i)})
            if status != 201:
                self.assertIn('exports are under way', answer['error']['message'])
                break
            self.request('DELETE', '/v1/exports/%d' % answer['id'])
        self.assertLessEqual(len(self.request('GET', '/v1/exports')[1]['exports']), 16)


if __name__ == '__main__':
    main()
