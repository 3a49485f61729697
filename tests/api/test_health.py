# SPDX-License-Identifier: Apache-2.0
"""quoin health: the verdict per object, its reason and advice; counters; what hangs is said."""
import json
import os
import subprocess
import time

from quoin_test import BUILD, QUOIN, DaemonTest, main

MIB = 1 << 20
WAIT_S = 30


class Health(DaemonTest):
    def setUp(self):
        super().setUp()
        self.a = self.disk('a.img', 64 * MIB)
        self.b = self.disk('b.img', 64 * MIB)

    def health(self):
        status, answer = self.request('GET', '/v1/health')
        self.assertEqual(status, 200)
        return answer

    def pool(self):
        pools = self.health()['pools']
        return pools[0] if pools else None

    def wait(self, good):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            answer = self.health()
            if good(answer):
                return answer
            time.sleep(0.05)
        self.fail(f'not seen: {self.health()}')
        return None

    def put(self, volume, size):
        image = self.path('image')
        with open(image, 'wb') as file:
            file.write(os.urandom(size))
        socket = self.path('put.sock')
        self.done('target', 'create', 'put', '--listen', socket, volume)
        subprocess.run([os.path.join(BUILD, 'tests/client/nvme-put'), socket, image],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        self.done('target', 'destroy', 'put')

    def test_all_is_well(self):
        self.start()
        self.assertEqual(self.done('health').out, 'verdict: passed\n')
        self.done('pool', 'create', 'tank', 'mirror', self.a, self.b)
        self.wait(lambda h: h['pools'])
        out = self.done('health').out
        for word in ('verdict: passed', 'tank', 'online'):
            self.assertIn(word, out)
        pool = self.pool()
        self.assertEqual((pool['name'], pool['verdict'], pool['collector']),
                         ('tank', 'passed', None))
        known = self.request('GET', '/v1/pools/tank')[1]
        self.assertEqual((pool['guid'], pool['worker']), (known['guid'], known['worker']))
        self.assertEqual([pool[key] for key in ('scrub', 'resilver', 'squash')], [None] * 3)
        self.assertEqual(self.done('health', '--json').json['verdict'], 'passed')
        self.done('pool', 'export', 'tank')
        self.assertIsNone(self.pool())

    def test_requests_are_counted(self):
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.done('volume', 'create', 'tank/v', '--size', '16M')
        self.put('tank/v', 4 * MIB)
        pool = self.wait(lambda h: h['pools'][0]['io']['writes']['requests'] >= 32 and
                         h['pools'][0]['io']['others']['requests'] >= 1)['pools'][0]
        self.assertEqual(pool['io']['writes']['bytes'], 4 * MIB)
        self.assertEqual((pool['io']['in_flight'], pool['io']['errors']), (0, 0))
        self.assertGreater(pool['worst_of_the_hour']['ns'], 0)
        self.assertIn(pool['worst_of_the_hour']['kind'], ('read', 'write', 'other'))
        self.assertIn(pool['worst_of_the_hour']['why'], (
            'drives', 'checkpoint', 'pacing', 'space', 'verb', 'repair', 'memory'))
        out = self.done('pool', 'status', '-v').out
        for words in ('checkpoint ', 'records are in no checkpoint yet', ' min ago: ',
                      'none known', 'scrub '):
            self.assertIn(words, out)

    def unwell(self, verdict, *words):
        result = self.quoin('health')
        self.assertEqual((result.code, result.err), (1, ''))
        self.assertIn(f'verdict: {verdict}\n', result.out)
        self.assertIn('what to do: ', result.out)
        for word in words:
            self.assertIn(word, result.out)

    def test_degraded(self):
        self.start()
        self.done('pool', 'create', 'tank', 'mirror', self.a, self.b)
        self.done('pool', 'export', 'tank')
        os.rename(self.b, self.b + '.away')
        self.done('pool', 'import', 'tank', self.a)
        self.wait(lambda h: h['verdict'] == 'warning')
        self.unwell('warning', 'tank', 'degraded', 'tank:(a drive that was never seen)', 'it is missing')

    def rot(self, block):
        """Spoils each place of the drive that holds this content."""
        with open(self.a, 'r+b') as file:
            content = file.read()
            at = content.find(block)
            while at >= 0:
                file.seek(at)
                file.write(bytes(len(block)))
                at = content.find(block, at + 1)

    def get(self, volume):
        """Reads all of it, as far as it can be read."""
        socket = self.path('get.sock')
        self.done('target', 'create', 'get', '--listen', socket, volume)
        code = subprocess.run([os.path.join(BUILD, 'tests/client/nvme-get'), socket,
                               self.path('out')], check=False, timeout=60,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        self.done('target', 'destroy', 'get')
        return code

    def test_damaged(self):
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.done('volume', 'create', 'tank/v', '--size', '4M')
        self.put('tank/v', 4 * MIB)
        self.done('pool', 'export', 'tank')
        with open(self.path('image'), 'rb') as file:
            file.seek(MIB)
            self.rot(file.read(4096))
        self.done('pool', 'import', 'tank', self.a)
        self.assertEqual(self.pool()['damage'], {'ranges': [], 'more_bytes': 0})
        self.assertNotEqual(self.get('tank/v'), 0)
        place = {'object': 'tank/v', 'offset': MIB, 'length_bytes': 4096}
        pool = self.wait(lambda h: h['pools'][0]['damage']['ranges'])['pools'][0]
        self.assertEqual(pool['damage'], {'ranges': [place], 'more_bytes': 0})
        self.unwell('failing', f'tank/v: 4096 bytes at {MIB} cannot be read from any copy')
        out = self.done('pool', 'status', 'tank', '-v').out
        self.assertIn(f'tank/v: 4.0 KiB at byte {MIB}', out)
        answer = self.done('pool', 'status', '--verbose', 'tank', '--json').json
        self.assertEqual(answer['damage']['ranges'], [place])
        out = self.done('events', '--severity', 'error').out
        self.assertIn(f'pool.damaged  tank: 1 times a block of a volume could not be read from '
                      f'any copy, at last 4096 bytes at {MIB} of tank/v', out)
        self.refused('pool', 'status', '-v', 'none', says='there is no pool "none"')
        # Written anew it is well, and the drive had an error.
        self.put('tank/v', 4 * MIB)
        self.wait(lambda h: not h['pools'][0]['damage']['ranges'])
        self.unwell('warning', 'it had errors, and is used')

    def test_failed(self):
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.stop()
        os.rename(self.a, self.a + '.away')
        self.start()
        self.unwell('failing', 'tank', 'failed', 'quoin pool import')
        pool = self.pool()
        self.assertEqual((pool['verdict'], pool['age_ms']), ('failing', None))
        os.rename(self.a + '.away', self.a)
        self.done('pool', 'import', 'tank')
        self.wait(lambda h: h['verdict'] == 'passed')

    def test_failed_and_let_go(self):
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.stop()
        os.unlink(self.a)
        self.start()
        self.done('pool', 'export', 'tank')
        self.assertEqual(self.done('health').out, 'verdict: passed\n')

    def test_drive_that_fails(self):
        recorded = self.path('recorded')
        os.mkdir(recorded)
        with open(os.path.join(recorded, 'a.img.json'), 'w', encoding='utf-8') as file:
            json.dump({'smartctl': {'exit_status': 8}, 'smart_status': {'passed': False}}, file)
        self.start('--test-smart', recorded)
        self.done('pool', 'create', 'tank', self.a)
        self.wait(lambda h: h['verdict'] == 'failing')
        self.unwell('failing', f'tank:{self.a}: the drive says that it fails')

    def test_watched(self):
        """Printed again when something changes; the watcher outlives the daemon."""
        self.start()
        self.done('pool', 'create', 'tank', 'mirror', self.a, self.b)
        self.wait(lambda h: h['pools'])
        for words in ((), ('--json',)):
            with subprocess.Popen([QUOIN, 'health', '--watch', *words, '--socket', self.socket],
                                  stdout=subprocess.PIPE, text=True) as watch:
                first = watch.stdout.readline()
                self.assertIn('passed', first)
                self.done('pool', 'export', 'tank')
                os.rename(self.b, self.b + '.away')
                self.assertEqual(self.stop(), 0)
                self.start()
                self.done('pool', 'import', 'tank', self.a)
                line = watch.stdout.readline()
                while 'is missing' not in line:
                    line = watch.stdout.readline()
                if words:
                    self.assertEqual(json.loads(line)['verdict'], 'warning')
                watch.terminate()
            # Stale when it is back: another one for the next round.
            self.done('pool', 'destroy', 'tank', '--force')
            os.rename(self.b + '.away', self.b)
            self.done('pool', 'create', 'tank', '--force', 'mirror', self.a, self.b)
            self.wait(lambda h: h['verdict'] == 'passed' and h['pools'])
        self.stop()
        self.refused('health', '--watch', says='')

    def test_hook_that_fails(self):
        hook = self.path('hook')
        with open(hook, 'w', encoding='utf-8') as file:
            file.write('#!/bin/sh\ntest -e ' + self.path('well') + '\n')
        os.chmod(hook, 0o755)
        self.start('--event-program', hook, '--event-severity', 'notice')
        answer = self.wait(lambda h: h['verdict'] == 'failing')
        self.assertEqual([(h['kind'], h['delivered']) for h in answer['hooks']],
                         [('program', 0)])
        self.unwell('failing', 'quoind: ', '--event-program')
        self.assertIn('hook.failing  quoind', self.done('events').out)
        with open(self.path('well'), 'w', encoding='utf-8'):
            pass
        self.wait(lambda h: h['verdict'] == 'passed')
        self.assertIn('hook.well', self.done('events').out)
        self.assertEqual(self.done('events').out.count('hook.failing'), 1)

    def test_events_cannot_be_saved(self):
        os.mkdir(self.state, 0o700)
        os.mkdir(os.path.join(self.state, 'events.log'))
        self.start()
        self.wait(lambda h: h['verdict'] == 'warning')
        self.unwell('warning', 'quoind: events are not saved')


if __name__ == '__main__':
    main()
