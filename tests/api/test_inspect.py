# SPDX-License-Identifier: Apache-2.0
"""quoin inspect: pools looked at without the daemon, whole and damaged; it never writes."""
import hashlib
import os

from quoin_test import DaemonTest, main

MIB = 1 << 20
PAGE = 4096


class Inspect(DaemonTest):
    """A mirror of two files with volumes, snapshots and a clone; the daemon is stopped."""

    def setUp(self):
        super().setUp()
        self.known = None
        self.drives = [self.disk('a.img', 32 * MIB), self.disk('b.img', 32 * MIB)]
        self.start()
        self.done('pool', 'create', 'tank', 'mirror', *self.drives)
        self.done('volume', 'create', 'tank/v', '--size', '16M')
        self.done('volume', 'snapshot', 'tank/v@1')
        self.done('volume', 'clone', 'tank/v@1', 'tank/c')

    def hashes(self):
        found = []
        for path in self.drives:
            with open(path, 'rb') as file:
                found.append(hashlib.blake2b(file.read()).hexdigest())
        return found

    def untouched(self):
        """Nothing was written since the first look after the last change of our own."""
        if self.known is not None:
            self.assertEqual(self.hashes(), self.known)
        self.known = None

    def tearDown(self):
        self.untouched()
        super().tearDown()

    def inspect(self, *words, code=0):
        """One run over the drives, which stay as they are."""
        self.known = self.known or self.hashes()
        result = self.quoin('inspect', *words, *self.drives)
        self.assertEqual(result.code, code, result.err + result.out)
        return result

    def check(self, *words, code=0):
        return self.inspect('check', '--json', *words, code=code).json

    def codes(self, *words):
        report = self.check(*words, code=1)
        self.assertFalse(report['clean'])
        return {finding['code'] for finding in report['findings']}

    def flip(self, drive, offset):
        self.untouched()
        with open(self.drives[drive], 'r+b') as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 0x10]))

    def places(self, slot):
        """Where the columns of a slot are."""
        return [column['offset'] for column in
                self.inspect('dump', 'block', slot, '--json').json]

    def table(self):
        """The slot of the root of the table of volumes."""
        return self.inspect('dump', 'super', '--json').json['volumes']['slot']

    def test_clean(self):
        self.stop()
        report = self.check('--data')
        self.assertEqual((report['pool'], report['clean'], report['damage'], report['copies']),
                         ('tank', True, 0, 0))
        self.assertEqual((report['counts']['volumes'], report['counts']['snapshots']), (2, 1))
        self.assertEqual(report['counts']['leaked'], 0)
        self.assertIn('clean', self.inspect('check').out)

    def test_checkpoints(self):
        self.stop()
        newest = self.check()['checkpoint']
        self.assertEqual(self.check('--checkpoint', str(newest - 1))['checkpoint'], newest - 1)
        self.assertIn('no superblock of checkpoint 12345',
                      self.inspect('check', '--checkpoint', '12345', code=1).err)

    def test_pool_in_use(self):
        result = self.quoin('inspect', 'check', *self.drives)
        self.assertEqual(result.code, 1)
        self.assertIn('--live', result.err)
        # Nothing is written to it meanwhile, but its heartbeat.
        live = self.quoin('inspect', 'check', '--live', *self.drives)
        self.assertEqual(live.code, 0, live.out)

    def test_rotten_copy(self):
        self.stop()
        self.flip(1, self.places(self.table())[1] + 100)
        report = self.check(code=1)
        self.assertEqual((report['damage'], report['copies']), (0, 1))
        finding = [f for f in report['findings'] if f['severity'] == 'copy'][0]
        self.assertEqual((finding['code'], finding['drive'], finding['structure']),
                         ('copy-damaged', self.drives[1], 'volumes'))
        self.assertEqual(finding['offset'], self.places(self.table())[1])

    def test_both_copies(self):
        self.stop()
        for drive, offset in enumerate(self.places(self.table())):
            self.flip(drive, offset + 100)
        self.assertIn('damaged', self.codes())
        self.assertIn('NOT CLEAN', self.inspect('check', code=1).out)

    def test_superblock(self):
        self.stop()
        # Of a checkpoint that was overtaken: nothing is written there when power is cut.
        self.flip(0, 256 * 1024 + 1 * PAGE + 8)
        self.assertEqual(self.codes(), {'label-damaged'})

    def test_drive_away(self):
        self.stop()
        self.drives.pop()
        self.assertEqual(self.codes(), {'drive-away'})

    def test_dumps(self):
        self.stop()
        names = [v['name'] for v in self.inspect('dump', 'volumes', '--json').json]
        self.assertEqual(names, ['v', 'c'])
        snapshots = self.inspect('dump', 'snapshots', '--json').json
        self.assertEqual([s['name'] for s in snapshots], ['1'])
        lines = [line['text'] for line in self.inspect('dump', 'history', '--json').json]
        self.assertIn('volume clone tank/v@1 tank/c', lines)
        self.assertEqual([d['path'] for d in self.inspect('dump', 'drives', '--json').json],
                         self.drives)
        for what in ('label', 'super', 'segments', 'log'):
            self.assertIsNotNone(self.inspect('dump', what, '--json').json)
            self.inspect('dump', what)
        for what in ('map', 'deadlist'):
            for name in ('v', 'v@1', '#1', '@1'):
                self.assertEqual(self.inspect('dump', what, name, '--json').json, [])
        meta = [s for s in self.inspect('dump', 'segments', '--json').json
                if s['class'] == 'meta' and s['used']][0]
        runs = self.inspect('dump', 'bitmap', str(meta['number']), '--json').json
        self.assertEqual(sum(run['slots'] for run in runs), meta['used'])

    def test_dumps_that_are_none(self):
        self.stop()
        for words in (('dump', 'map', 'x'), ('dump', 'map', 'v@x'), ('dump', 'map', '#9'),
                      ('dump', 'bitmap', '999999'), ('dump', 'block', '1:999999')):
            self.assertIn('tank', self.inspect(*words, code=1).err)
        self.inspect('dump', 'nonsense', code=2)

    def test_space(self):
        self.stop()
        bill = self.inspect('space', '--json').json
        self.assertEqual([o['name'] for o in bill['objects']], ['v', 'v@1', 'c'])
        for entry in bill['objects']:
            self.assertEqual(entry['found'], entry['stored'])
        space = bill['space']
        self.assertEqual(space['meta_used_bytes'],
                         space['maps_bytes'] + space['deadlists_bytes'] + space['tables_bytes'] +
                         space['bitmaps_bytes'])
        self.assertIn('v@1', self.inspect('space').out)

    def test_no_pool(self):
        self.stop()
        blank = self.disk('blank.img', 32 * MIB)
        self.refused('inspect', 'check', blank, says='no superblock')
        self.refused('inspect', 'check', self.path('nothing'), says='does not exist')
        self.refused('inspect', 'check', self.drives[0], self.drives[0], says='same drive')
        self.refused('inspect', 'check', code=2)
        copy = self.path('copy.img')
        with open(self.drives[0], 'rb') as old, open(copy, 'wb') as new:
            new.write(old.read())
        self.refused('inspect', 'check', self.drives[0], copy, says='same drive')
        os.unlink(copy)


if __name__ == '__main__':
    main()
