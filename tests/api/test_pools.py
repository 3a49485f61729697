# SPDX-License-Identifier: Apache-2.0
"""Pools through the tool: made, shown, remembered, moved; volumes and snapshots; refusals."""
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from quoin_test import BUILD, DaemonTest, main

MIB = 1 << 20


class PoolTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.a = self.disk('a.img', 64 * MIB)
        self.b = self.disk('b.img', 64 * MIB)

    def pool(self, *words):
        self.done('pool', 'create', 'tank', *(words or (self.a,)))

    def volume(self, name='tank/v', size='4M'):
        self.done('volume', 'create', name, '--size', size)

    def names(self, noun, *words):
        return [o['name'] for o in self.done(noun, 'list', *words, '--json').json[noun + 's']]

    def status(self, name='tank'):
        return self.done('pool', 'status', name, '--json').json

    def image(self, name, size, at=0):
        """A file with random bytes from `at` on."""
        image = self.path(name)
        with open(image, 'wb') as file:
            file.seek(at)
            file.write(os.urandom(size))
        return image

    def guest(self, socket, image, *options):
        """Writes the image to a target's disk; a process."""
        return subprocess.Popen([os.path.join(BUILD, 'tests/client/nvme-put'), *options, socket,
                                 image], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def guest_done(self, *words):
        with self.guest(*words) as guest:
            self.assertEqual((guest.wait(60), guest.stderr.read()), (0, b''))

    def put(self, volume, size):
        """Random bytes on a volume, through a target on it as a guest would."""
        image = self.image('image', size)
        socket = self.path('put.sock')
        self.done('target', 'create', 'put', '--listen', socket, volume)
        self.guest_done(socket, image)
        self.done('target', 'destroy', 'put')

    def restart(self, number=signal.SIGTERM):
        self.stop(number)
        self.start()


class Pools(PoolTest):
    def test_life(self):
        self.done('pool', 'create', 'tank', 'mirror', 'a.img', 'b.img', '--set', 'reserve=12.5%',
                  '--set', 'autotrim=on', cwd=self.directory)
        status = self.status()
        self.assertEqual((status['health'], status['reserve_permille'], status['autotrim']),
                         ('online', 125, True))
        self.assertEqual([d['path'] for d in status['drives']], [self.a, self.b])
        self.assertIn('online', self.done('pool', 'list').out)
        out = self.done('pool', 'status').out
        for word in ('tank', 'online', self.a, self.b):
            self.assertIn(word, out)
        self.done('pool', 'set', 'tank', 'reserve=30%', 'autotrim=off')
        self.assertEqual(self.done('pool', 'get', 'tank', 'reserve').out, '30.0%\n')
        self.assertIn('off', self.done('pool', 'get', 'tank').out)
        self.done('pool', 'destroy', 'tank')
        self.assertEqual(self.names('pool'), [])
        self.assertIn('there are no pools', self.done('pool', 'status').out)
        # Its drives are free and hold nothing.
        self.pool(self.a, self.b)

    def test_history(self):
        self.pool()
        self.volume()
        self.done('volume', 'snapshot', 'tank/v@1')
        lines = [line['text'] for line in
                 self.done('pool', 'history', 'tank', '--json').json['history']]
        self.assertEqual(lines[0], 'pool create tank ' + self.a)
        self.assertIn('volume create tank/v --size 4194304', lines)
        self.assertIn('volume snapshot tank/v@1', lines)
        self.assertIn('volume snapshot tank/v@1', self.done('pool', 'history', 'tank').out)

    def test_trim(self):
        """What a drive held before the pool, it need not hold any more."""
        with open(self.a, 'wb') as file:
            file.write(b'x' * (64 << 20))
        self.pool()
        self.volume()
        self.put('tank/v', 1 << 20)
        self.assertIsNone(self.status()['trim'])
        self.assertNotIn('trim', self.done('pool', 'status', 'tank').out)
        before = os.stat(self.a).st_blocks
        self.assertEqual(self.done('pool', 'trim', 'tank', '--wait').out, '')
        trim = self.status()['trim']
        self.assertEqual((trim['state'], trim['failed_bytes'], trim['passed_bytes']),
                         ('done', 0, trim['total_bytes']))
        self.assertGreater(trim['trimmed_bytes'], 16 << 20)
        self.assertLess(os.stat(self.a).st_blocks, before - (trim['trimmed_bytes'] >> 10))
        self.assertIn('trim          done, ', self.done('pool', 'status', 'tank').out)
        self.refused('pool', 'trim', 'tank', '--stop', says='under way')
        self.refused('pool', 'trim', 'none', says='none')
        history = self.done('pool', 'history', 'tank').out
        self.assertIn('pool trim tank\n', history)
        self.assertIn('trim done: %d bytes' % trim['trimmed_bytes'], history)
        self.assertEqual(self.done('pool', 'trim', 'tank', '--json', '--wait').json['name'],
                         'tank')
        self.restart()
        self.assertIsNone(self.status()['trim'])

    def remembered(self, number):
        self.pool('mirror', self.a, self.b)
        self.volume()
        self.done('volume', 'snapshot', 'tank/v@1')
        self.done('target', 'create', 'vm1', 'tank/v')
        guid = self.status()['guid']
        self.restart(number)
        self.assertEqual(self.status()['guid'], guid)
        self.assertEqual(self.names('volume'), ['tank/v'])
        self.assertEqual(self.names('snapshot'), ['tank/v@1'])
        self.assertEqual(self.done('target', 'info', 'vm1', '--json').json['state'], 'running')

    def test_remembered_after_sigterm(self):
        self.remembered(signal.SIGTERM)

    def test_remembered_after_kill(self):
        self.remembered(signal.SIGKILL)

    def test_missing_pool_is_kept_as_failed(self):
        self.pool()
        self.volume()
        self.done('target', 'create', 'vm1', 'tank/v')
        self.stop()
        os.rename(self.a, self.a + '.away')
        self.start()
        self.assertEqual(self.status()['health'], 'failed')
        self.assertIn('failed', self.done('pool', 'list').out)
        self.assertIn('pool import tank', self.done('pool', 'status', 'tank').out)
        self.assertIn('not imported', self.read_log())
        info = self.done('target', 'info', 'vm1', '--json').json
        self.assertEqual(info['state'], 'failed')
        self.assertIn('tank', info['failure'])
        self.refused('volume', 'create', 'tank/w', '--size', '1M', says='not imported')
        self.refused('pool', 'import', 'tank', says='tank')
        self.refused('pool', 'create', 'tank', self.b, says='exists')
        # Its drive comes back, and with it the target.
        os.rename(self.a + '.away', self.a)
        self.done('pool', 'import', 'tank')
        self.assertEqual(self.status()['health'], 'online')
        self.assertEqual(self.done('target', 'info', 'vm1', '--json').json['state'], 'running')

    def test_failed_can_be_forgotten(self):
        self.pool()
        self.stop()
        os.unlink(self.a)
        self.start()
        self.done('pool', 'export', 'tank')
        self.restart()
        self.assertEqual(self.names('pool'), [])

    def test_export_and_import(self):
        self.pool('mirror', self.a, self.b)
        self.volume()
        guid = self.status()['guid']
        self.done('pool', 'export', 'tank')
        self.assertEqual(self.names('pool'), [])
        self.restart()
        self.assertEqual(self.names('pool'), [])
        self.refused('pool', 'import', 'tank', says='--dir')
        found = self.done('pool', 'import', '--dir', self.directory, '--json').json['pools']
        self.assertEqual([(p['name'], p['guid'], p['exported'], p['drives_found'], p['drives'])
                          for p in found], [('tank', guid, True, 2, 2)])
        self.assertIn('can be imported', self.done('pool', 'import', '--dir', '.',
                                                   cwd=self.directory).out)
        self.done('pool', 'import', guid, '--dir', self.directory)
        self.assertEqual(self.names('volume'), ['tank/v'])
        self.refused('pool', 'import', 'tank', '--dir', self.directory, says='imported already')
        self.done('pool', 'import', 'tank')
        self.done('pool', 'export', 'tank')
        os.mkdir(self.path('moved'))
        for path in (self.a, self.b):
            os.rename(path, os.path.join(self.directory, 'moved', os.path.basename(path)))
        self.done('pool', 'import', 'tank', 'moved/a.img', 'moved/b.img', cwd=self.directory)
        self.restart()
        self.assertEqual(self.status()['health'], 'online')

    def test_many_volumes_are_listed_at_once(self):
        """A listing goes to the pool once for hundreds of volumes, not for each of them."""
        self.done('pool', 'create', 'tank', self.a)

        def messages():
            return sum(w['messages'] for w in self.request('GET', '/v1')[1]['workers'])

        def listing():
            before = messages()
            count = len(self.request('GET', '/v1/volumes')[1]['volumes'])
            return count, messages() - before

        self.done('volume', 'create', 'tank/v0', '--size', '4M')
        count, few = listing()
        self.assertEqual(count, 1)
        for i in range(1, 20):
            self.request('POST', '/v1/volumes', {'name': f'tank/v{i}', 'size': '4M'})
        count, many = listing()
        self.assertEqual((count, many), (20, few))
        # Printed without being read, in the form in which all answers are.
        text = self.quoin('volume', 'list', '--json').out
        self.assertEqual(text, json.dumps(json.loads(text), indent=2) + '\n')
        self.assertEqual(len(json.loads(text)['volumes']), 20)
        self.assertNotEqual(self.quoin('volume', 'list', 'nothing', '--json').code, 0)

    def test_odd_files_beside_a_pool(self):
        """What a directory holds besides drives is nobody's concern."""
        self.pool()
        self.done('pool', 'export', 'tank')
        odd = os.path.join(os.fsencode(self.directory), b'\xff\xfe.img')
        shutil.copyfile(os.fsencode(self.a), odd)
        os.unlink(self.a)
        os.mkfifo(self.path('fifo'))
        self.disk('blank', 64 * MIB)
        found = self.done('pool', 'import', '--dir', self.directory, '--json').json['pools']
        self.assertEqual(found, [])
        os.symlink(odd, os.fsencode(self.a))
        self.done('pool', 'import', 'tank', '--dir', self.directory)

    def test_read_only_import(self):
        self.pool()
        self.volume()
        self.done('pool', 'export', 'tank')
        self.done('pool', 'import', 'tank', self.a, '--read-only')
        self.assertTrue(self.status()['read_only'])
        self.assertIn('read-only', self.done('pool', 'status', 'tank').out)
        self.assertEqual(self.names('volume'), ['tank/v'])
        self.refused('volume', 'create', 'tank/w', '--size', '1M', says='tank/w')
        self.refused('pool', 'destroy', 'tank', '--force', says='read-only')

    def test_two_pools_of_one_name(self):
        self.pool()
        self.done('pool', 'export', 'tank')
        self.done('pool', 'create', 'tank', self.b)
        self.refused('pool', 'import', self.guid_of(self.a), self.a, says='another pool')
        self.done('pool', 'export', 'tank')
        self.refused('pool', 'import', 'tank', '--dir', self.directory, says='GUID')
        self.done('pool', 'import', self.guid_of(self.a), '--dir', self.directory)
        self.assertEqual(self.status()['drives'][0]['path'], self.a)

    def guid_of(self, path):
        body = {'paths': [path]}
        return self.request('POST', '/v1/scan', body)[1]['pools'][0]['guid']


class Volumes(PoolTest):
    def setUp(self):
        super().setUp()
        self.pool()
        self.volume()

    def info(self, name='tank/v'):
        return self.done('volume', 'info', name, '--json').json

    def test_properties(self):
        self.done('volume', 'create', 'tank/dir/w', '--size', '8M', '--set', 'quota=16M', '--set',
                  'full=pause')
        info = self.info('tank/dir/w')
        self.assertEqual((info['size_bytes'], info['quota_bytes'], info['full']),
                         (8 * MIB, 16 * MIB, 'pause'))
        self.done('volume', 'set', 'tank/dir/w', 'quota=none', 'readonly=on', 'full=error')
        info = self.info('tank/dir/w')
        self.assertEqual((info['quota_bytes'], info['read_only'], info['full']),
                         (0, True, 'error'))
        self.assertEqual(self.done('volume', 'get', 'tank/dir/w', 'readonly').out, 'on\n')
        self.assertIn('refreservation', self.done('volume', 'get', 'tank/dir/w').out)
        self.assertEqual(self.names('volume'), ['tank/v', 'tank/dir/w'])
        self.assertIn('tank/dir/w', self.done('volume', 'list', 'tank').out)

    def test_snapshots(self):
        self.volume('tank/w')
        self.done('volume', 'snapshot', 'tank/v@1', 'tank/w@1')
        self.assertEqual(sorted(self.names('snapshot')), ['tank/v@1', 'tank/w@1'])
        self.assertEqual(self.names('snapshot', 'tank/w'), ['tank/w@1'])
        self.assertEqual(len(self.names('snapshot', 'tank')), 2)
        self.refused('volume', 'snapshot', 'tank/w@2', 'tank/v@1', says='tank/w@2')
        self.assertEqual(self.names('snapshot', 'tank/w'), ['tank/w@1'])
        self.done('snapshot', 'hold', 'tank/v@1', 'backup')
        self.assertIn('backup', self.done('snapshot', 'list').out)
        self.refused('snapshot', 'destroy', 'tank/v@1', says='tank/v@1')
        self.done('snapshot', 'release', 'tank/v@1', 'backup')
        self.done('snapshot', 'rename', 'tank/w@1', 'one')
        self.assertEqual(self.names('snapshot', 'tank/w'), ['tank/w@one'])
        self.done('snapshot', 'destroy', 'tank/v@1', 'tank/w@one')
        self.assertEqual(self.names('snapshot'), [])
        self.done('volume', 'snapshot', 'tank/v@1')
        self.refused('volume', 'destroy', 'tank/v', says='tank/v')
        self.done('volume', 'destroy', 'tank/v', '-r')
        self.assertEqual(self.names('volume'), ['tank/w'])

    def test_clones(self):
        self.done('volume', 'snapshot', 'tank/v@1')
        self.done('volume', 'clone', 'tank/v@1', 'tank/c')
        self.assertEqual(self.info('tank/c')['origin'], 'tank/v@1')
        self.assertIn('tank/v@1', self.done('volume', 'list').out)
        self.refused('snapshot', 'destroy', 'tank/v@1', says='tank/v@1')
        self.done('volume', 'promote', 'tank/c')
        self.assertIsNone(self.info('tank/c')['origin'])
        self.done('volume', 'rename', 'tank/c', 'tank/d')
        self.assertEqual(sorted(self.names('volume')), ['tank/d', 'tank/v'])

    def test_rollback(self):
        for name in ('1', '2'):
            self.done('volume', 'snapshot', 'tank/v@' + name)
        self.done('volume', 'rollback', 'tank/v@2')
        self.refused('volume', 'rollback', 'tank/v@1', says='tank/v@1')
        self.done('volume', 'rollback', 'tank/v@1', '--recursive')
        self.assertEqual(self.names('snapshot'), ['tank/v@1'])

    def test_resize(self):
        self.refused('volume', 'resize', 'tank/v', '1M', says='--force')
        self.done('volume', 'resize', 'tank/v', '1M', '--force')
        self.assertEqual(self.info()['size_bytes'], MIB)
        self.done('target', 'create', 'vm1', 'tank/v')
        self.done('volume', 'resize', 'tank/v', '8M')
        namespace = self.done('target', 'info', 'vm1', '--json').json['namespaces'][0]
        self.assertEqual(namespace['capacity_bytes'], 8 * MIB)
        self.done('target', 'resize', 'vm1', '1', '16M')
        self.assertEqual(self.info()['size_bytes'], 16 * MIB)
        self.refused('target', 'resize', 'vm1', '1', '1M', says='--force')

    def test_targets(self):
        self.done('volume', 'snapshot', 'tank/v@1')
        self.done('target', 'create', 'vm1', 'tank/v', '--block-size', '4096')
        self.assertEqual(self.info()['target'], 'vm1')
        namespace = self.done('target', 'info', 'vm1', '--json').json['namespaces'][0]
        self.assertEqual((namespace['capacity_bytes'], namespace['block_size'],
                          namespace['read_only']), (4 * MIB, 4096, False))
        self.refused('target', 'create', 'vm2', 'tank/v', says='"vm1"')
        self.refused('target', 'create', 'vm2', 'tank/none', says='none')
        for words in (('volume', 'destroy', 'tank/v', '-r'), ('pool', 'export', 'tank'),
                      ('volume', 'rollback', 'tank/v@1'), ('pool', 'destroy', 'tank', '--force'),
                      ('volume', 'rename', 'tank/v', 'tank/w')):
            self.refused(*words, says='"vm1"')
        # A snapshot is read only, and two may read it.
        self.done('target', 'create', 'vm2', 'tank/v@1')
        self.done('target', 'create', 'vm3', 'tank/v@1,ro')
        namespace = self.done('target', 'info', 'vm2', '--json').json['namespaces'][0]
        self.assertTrue(namespace['read_only'])
        self.refused('snapshot', 'destroy', 'tank/v@1', says='"vm2"')
        self.done('target', 'destroy', 'vm1')
        self.done('volume', 'rollback', 'tank/v@1')
        self.done('target', 'destroy', 'vm2')
        self.done('target', 'destroy', 'vm3')
        self.done('pool', 'export', 'tank')

    def test_target_goes_where_the_pool_is(self):
        self.done('pool', 'export', 'tank')
        self.stop()
        self.start('--workers', '2')
        self.done('pool', 'import', 'tank', self.a)
        self.done('pool', 'create', 'pond', self.b)
        self.volume('pond/v')
        self.assertNotEqual(self.status('tank')['worker'], self.status('pond')['worker'])
        for name in ('tank', 'pond'):
            self.done('target', 'create', name, name + '/v')
            self.assertEqual(self.done('target', 'info', name, '--json').json['worker'],
                             self.status(name)['worker'])
        # One that has volumes of both is anywhere.
        self.volume('tank/w')
        self.volume('pond/w')
        self.done('target', 'create', 'both', 'tank/w', 'pond/w')


class Amiss(PoolTest):
    """Drives that are away, twice there, too small: what the user is told, and what works then."""

    def test_stripe_without_a_drive(self):
        self.pool(self.a, self.b)
        guid = self.status()['drives'][1]['guid']
        self.stop()
        os.rename(self.b, self.b + '.away')
        self.start()
        self.assertEqual(self.status()['health'], 'failed')
        out = self.done('pool', 'status', 'tank').out
        for word in ('drive 2', guid, 'missing', 'connect', 'pool import tank'):
            self.assertIn(word, out)
        self.refused('pool', 'import', 'tank', says=guid)
        os.rename(self.b + '.away', self.b)
        self.done('pool', 'import', 'tank')
        self.assertEqual(self.status()['health'], 'online')

    def test_mirror_without_a_drive(self):
        self.pool('mirror', self.a, self.b)
        self.volume()
        self.stop()
        os.rename(self.b, self.b + '.away')
        self.start()
        status = self.status()
        self.assertEqual(status['health'], 'degraded')
        self.assertEqual([d['state'] for d in status['drives']], ['online', 'missing'])
        self.assertIn('missing', self.done('pool', 'status', 'tank').out)
        self.assertEqual(self.names('volume'), ['tank/v'])

    def test_copied_drive(self):
        self.pool('mirror', self.a, self.b)
        self.done('pool', 'export', 'tank')
        copy = self.path('copy.img')
        shutil.copy(self.a, copy)
        told = self.refused('pool', 'import', 'tank', '--dir', self.directory, says=copy).err
        self.assertIn(self.a, told)
        os.unlink(copy)
        self.done('pool', 'import', 'tank', '--dir', self.directory)
        self.assertEqual(self.status()['health'], 'online')

    def test_drive_that_shrank(self):
        self.pool('mirror', self.a, self.b)
        self.stop()
        os.truncate(self.b, 40 * MIB)
        self.start()
        self.assertEqual(self.status()['health'], 'failed')
        out = self.done('pool', 'status', 'tank').out
        for word in (self.b, str(40 * MIB), str(64 * MIB)):
            self.assertIn(word, out)
        self.done('pool', 'import', 'tank', self.a)
        self.assertEqual(self.status()['health'], 'degraded')

    def newer(self, word):
        subprocess.run([os.path.join(BUILD, 'tests/api/pool-newer'), self.a, word], check=True)

    def test_pool_of_a_newer_version(self):
        self.pool()
        self.volume()
        for word in ('version', 'incompat'):
            self.done('pool', 'export', 'tank')
            shutil.copy(self.a, self.path('before'))
            self.newer(word)
            told = f'{self.a} has a newer format than this version knows; use a newer quoind'
            self.refused('pool', 'import', 'tank', self.a, says=told)
            self.refused('pool', 'import', 'tank', self.a, '--read-only', says=told)
            self.assertEqual(self.names('pool'), [])
            # A pool that nobody can read is still somebody's.
            self.refused('pool', 'create', 'pond', self.a, says='--force')
            shutil.copy(self.path('before'), self.a)
            self.done('pool', 'import', 'tank', self.a)

    def test_newer_pool_at_start(self):
        self.pool()
        self.stop()
        self.newer('incompat')
        self.start()
        self.assertEqual(self.status()['health'], 'failed')
        self.assertIn('use a newer quoind', self.done('pool', 'status', 'tank').out)

    def test_features_that_are_for_reading_only(self):
        self.pool()
        self.volume()
        self.done('pool', 'export', 'tank')
        self.newer('ro_compat')
        self.refused('pool', 'import', 'tank', self.a, says='import it read-only, or use a newer')
        self.done('pool', 'import', 'tank', self.a, '--read-only')
        self.assertEqual(self.names('volume'), ['tank/v'])

    def test_features_that_do_not_matter(self):
        self.pool()
        self.done('pool', 'export', 'tank')
        self.newer('compat')
        self.done('pool', 'import', 'tank', self.a)
        self.assertEqual(self.status()['health'], 'online')

    def test_rewind_too_far(self):
        self.pool()
        for name in 'vwxyz':
            self.volume('tank/' + name)
        self.done('pool', 'export', 'tank')
        self.refused('pool', 'import', 'tank', self.a, '--rewind', '1', says='newest')


class Full(PoolTest):
    def paused(self):
        """A guest whose write waits for space in a full pool; what it flushed before."""
        self.pool()
        self.done('volume', 'create', 'tank/v', '--size', '256M', '--set', 'full=pause')
        flushed = self.image('flushed', 8 * MIB)
        socket = self.path('vm.sock')
        self.done('target', 'create', 'vm', '--listen', socket, 'tank/v')
        self.guest_done(socket, flushed)
        guest = self.guest(socket, self.image('more', 80 * MIB, at=8 * MIB))
        self.addCleanup(guest.stderr.close)
        self.addCleanup(guest.wait)
        self.addCleanup(guest.kill)
        end = time.monotonic() + 60
        while not self.done('volume', 'info', 'tank/v', '--json').json['paused']:
            self.assertIsNone(guest.poll(), 'the guest\'s writes did not wait')
            self.assertLess(time.monotonic(), end, 'the volume does not pause')
            time.sleep(0.05)
        return guest, socket, flushed

    def test_stop_with_a_paused_volume(self):
        """A write that waits for space keeps nobody from stopping, and what was flushed stays."""
        guest, socket, flushed = self.paused()
        self.daemon.send_signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(10), 0)
        self.daemon = None
        self.assertNotIn('without waiting', self.read_log())
        guest.kill()
        self.start()
        self.assertEqual(self.status()['replayed_records'], 0)
        self.guest_done(socket, flushed, '--compare')
        self.stop()
        self.assertEqual(self.quoin('inspect', 'check', self.a).code, 0)

    def test_kill_with_a_paused_volume(self):
        _, socket, flushed = self.paused()
        self.restart(signal.SIGKILL)
        self.guest_done(socket, flushed, '--compare')


class Refusals(PoolTest):
    def test_names(self):
        self.refused('pool', 'create', 'a/b', self.a, says='name')
        self.refused('pool', 'create', '', self.a, says='name')
        self.refused('pool', 'create', 'x' * 64, self.a, says='name')
        self.pool()
        for name in ('tank', 'tank/', 'tank//a', 'tank/a@b', 'tank/' + 'x' * 64):
            self.refused('volume', 'create', name, '--size', '1M', says='POOL/NAME')
        self.refused('volume', 'create', 'pond/a', '--size', '1M', says='no pool "pond"')
        self.refused('volume', 'snapshot', 'tank/a', says='POOL/NAME@SNAP')
        self.refused('volume', 'info', 'tank/none', says='no such volume')
        self.refused('pool', 'status', 'none', says='no pool "none"')
        self.refused('pool', 'status', 'no/ne', says='not the name')

    def test_words(self):
        """What failed, on which object, and what to do."""
        self.pool()
        self.volume()
        self.done('volume', 'snapshot', 'tank/v@s')
        self.done('volume', 'clone', 'tank/v@s', 'tank/c')
        for words, says in (
                (('volume', 'create', 'tank/v', '--size', '4M'), "volume 'v' exists; choose"),
                (('volume', 'create', 'tank/w', '--size', '4097'), 'multiple of 4096 bytes'),
                (('volume', 'create', 'tank/w', '--size', '999999T'), 'up to 4 PiB'),
                (('volume', 'create', 'tank/w', '--size', '4M', '--set', 'reservation=20M',
                  '--set', 'quota=10M'), 'its quota of 10.0 MiB; raise the quota'),
                (('volume', 'set', 'tank/v', 'reservation=1T'), 'available; reserve less'),
                (('volume', 'resize', 'tank/v', '5000'), 'multiple of 4096 bytes'),
                (('volume', 'resize', 'tank/none', '8M'), 'see quoin volume list'),
                (('volume', 'snapshot', 'tank/v@s'), "snapshot 'v@s' exists; choose"),
                (('volume', 'snapshot', 'tank/none@s'), 'see quoin volume list'),
                (('volume', 'clone', 'tank/v@none', 'tank/d'), 'see quoin snapshot list'),
                (('volume', 'clone', 'tank/v@s', 'tank/c'), "volume 'c' exists; choose"),
                (('volume', 'rollback', 'tank/v@none'), 'see quoin snapshot list'),
                (('volume', 'promote', 'tank/v'), 'only clones are promoted'),
                (('volume', 'rename', 'tank/v', 'tank/c'), "volume 'c' exists; choose"),
                (('volume', 'destroy', 'tank/v'), 'all together with --recursive'),
                (('volume', 'destroy', 'tank/v', '-r'), 'destroy or promote them first'),
                (('volume', 'destroy', 'tank/none'), 'see quoin volume list'),
                (('snapshot', 'destroy', 'tank/v@s'), "1 clone, 'c' among them; destroy or"),
                (('snapshot', 'release', 'tank/v@s', 'x'), 'see quoin snapshot list'),
                (('target', 'create', 't', 'tank/v@none'), 'see quoin snapshot list')):
            result = self.refused(*words, says=says)
            self.assertIn(words[-1] if words[1] == 'clone' else words[2], result.err)
        self.assertEqual(sorted(self.names('volume')), ['tank/c', 'tank/v'])

    def test_limits_below_use(self):
        self.pool()
        self.volume()
        self.put('tank/v', 3 * MIB)
        self.done('volume', 'set', 'tank/v', 'full=pause')  # A checkpoint: the numbers are exact.
        for key in ('quota', 'refquota'):
            result = self.refused('volume', 'set', 'tank/v', key + '=1M',
                                  says=f'more than the {key} of 1.0 MiB; give a larger one')
            self.assertRegex(result.err, r'3\.[01] MiB')
        self.done('volume', 'set', 'tank/v', 'quota=4M', 'refquota=3M')

    def test_mirror_without_a_drive(self):
        self.pool('mirror', self.a, self.b)
        self.done('pool', 'export', 'tank')
        os.rename(self.b, self.b + '.away')
        self.done('pool', 'import', 'tank', self.a)
        status = self.status()
        self.assertEqual(status['health'], 'degraded')
        self.assertIn('connect it, then export and import', status['problem'])
        self.done('pool', 'export', 'tank')
        # It was away while the pool was in use, and nothing brings it up to date.
        os.rename(self.b + '.away', self.b)
        self.done('pool', 'import', 'tank', self.a, self.b)
        status = self.status()
        self.assertEqual([d['state'] for d in status['drives']], ['online', 'stale'])
        self.assertIn('copy the volumes to another pool', status['problem'])

    def test_drives(self):
        self.refused('pool', 'create', 'tank', self.path('none'), says='truncate')
        self.refused('pool', 'create', 'tank', self.directory, says=self.directory)
        self.refused('pool', 'create', 'tank', self.disk('small', MIB), says='small')
        self.refused('pool', 'create', 'tank', self.a, self.a, says='twice')
        self.refused('pool', 'create', 'tank', self.a, 'mirror', self.b, self.disk('c', 64 * MIB),
                     says='one copy')
        self.pool()
        self.refused('pool', 'create', 'pond', self.a, says=self.a)
        self.refused('pool', 'create', 'tank', self.b, says='exists')
        self.refused('target', 'create', 'vm1', 'file:' + self.a, says=self.a)

    @unittest.skipUnless(shutil.which('mkfs.ext4'), 'mkfs.ext4 is not installed')
    def test_file_system_is_not_lost(self):
        subprocess.run(['mkfs.ext4', '-q', self.a], check=True)
        with open(self.a, 'rb') as file:
            before = file.read()
        self.refused('pool', 'create', 'tank', self.a, says='ext4')
        with open(self.a, 'rb') as file:
            self.assertEqual(file.read(), before)
        self.done('pool', 'create', 'tank', self.a, '--force')

    def test_pool_is_not_lost(self):
        self.pool()
        self.volume()
        self.refused('pool', 'destroy', 'tank', says='--force')
        self.done('pool', 'export', 'tank')
        self.refused('pool', 'create', 'pond', self.a, says='"tank"')
        self.done('pool', 'create', 'pond', self.a, '--force')
        self.done('pool', 'destroy', 'pond')

    def test_no_memory(self):
        self.stop()
        self.start('--memory', '96M')
        self.pool()
        self.done('pool', 'create', 'pond', self.b)
        self.refused('pool', 'create', 'lake', self.disk('c.img', 64 * MIB), says='--memory')
        number = 0
        while self.quoin('target', 'create', f't{number}', 'null:1G').code == 0:
            number += 1
        self.assertLess(number, 12)
        self.stop()
        self.start('--memory', '96M')
        for name in ('tank', 'pond'):
            self.assertEqual(self.status(name)['health'], 'online')

    def test_state_that_cannot_be_saved(self):
        os.mkdir(os.path.join(self.state, 'pools.json.new'))
        self.refused('pool', 'create', 'tank', self.a, says='cannot save')
        self.assertEqual(self.names('pool'), [])
        os.rmdir(os.path.join(self.state, 'pools.json.new'))
        self.pool()

    def test_damaged_state(self):
        self.stop()
        with open(os.path.join(self.state, 'pools.json'), 'w', encoding='utf-8') as file:
            json.dump({'version': 1, 'pools': [{'name': 'tank', 'guid': 'x', 'drives': []}]}, file)
        code, words = self.refused_start()
        self.assertEqual(code, 1)
        self.assertIn('pools.json', words)

    def test_usage(self):
        for words, says in ((('pool',), 'pool what'),
                            (('pool', 'creat'), 'did you mean "create"'),
                            (('pool', 'create', 'tank'), 'too few'),
                            (('pool', 'create', 'tank', 'mirror', self.a), 'two drives'),
                            (('pool', 'create', 'tank', 'raidz1', self.a), 'later version'),
                            (('pool', 'create', 'tank', self.a, '--set', 'x=1'), 'property'),
                            (('pool', 'set', 'tank', 'reserve=200%'), 'percentage'),
                            (('pool', 'set', 'tank', 'autotrim'), 'KEY=VALUE'),
                            (('volume', 'create', 'tank/a'), '--size'),
                            (('volume', 'create', 'tank/a', '--size', 'x'), '--size'),
                            (('volume', 'set', 'tank/a', 'quoat=1'), 'did you mean "quota"'),
                            (('volume', 'set', 'tank/a', 'full=no'), 'error or pause'),
                            (('volume', 'info', 'tank/a', '-r'), 'unknown option'),
                            (('snapshot', 'hold', 'tank/a@1'), 'too few')):
            self.refused(*words, code=2, says=says)


if __name__ == '__main__':
    main()
