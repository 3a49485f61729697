# SPDX-License-Identifier: Apache-2.0
"""Targets through the tool: made, shown, changed, remembered, and everything that is refused."""
import json
import os
import resource
import signal
import stat

from quoin_test import DaemonTest, main, sanitized


class Targets(DaemonTest):
    def test_life(self):
        self.start()
        disk = self.disk('d.img', 3 << 20)
        out = self.done('target', 'create', 'vm1', 'null:10G', 'file:' + disk).out
        self.assertIn('share=on', out)
        self.assertIn('vm1.sock', out)
        socket = os.path.join(self.directory, 'run', 'vm1.sock')
        mode = os.stat(socket).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.socket).st_mode), 0o600)

        listed = self.done('target', 'list', '--json').json['targets']
        self.assertEqual([t['name'] for t in listed], ['vm1'])
        self.assertEqual(listed[0]['state'], 'running')
        self.assertIn('vm1', self.done('target', 'list').out)

        info = self.done('target', 'info', 'vm1', '--json').json
        self.assertEqual([n['capacity_bytes'] for n in info['namespaces']], [10 << 30, 3 << 20])
        self.assertEqual(info['client']['connected'], False)
        self.assertIn(disk, self.done('target', 'info', 'vm1').out)

        self.done('target', 'destroy', 'vm1')
        self.assertFalse(os.path.exists(socket))
        self.assertEqual(self.done('target', 'list', '--json').json['targets'], [])
        self.assertEqual(self.stop(), 0)
        self.assertFalse(os.path.exists(self.socket))

    def test_options_arrive(self):
        self.start()
        listen = self.path('other.sock')
        self.done('target', 'create', 'a', '--listen', listen, '--queues', '4',
                  '--queue-entries', '64', '--max-namespaces', '3', '--doorbells', 'mapped',
                  '--intx', 'off', '--poll-us', '70', '--serial', 'S 1', '--model', 'M',
                  '--uuid', '01234567-89ab-cdef-0123-456789abcdef', '--read-only',
                  '--block-size', '4096', 'null:1G')
        info = self.done('target', 'info', 'a', '--json').json
        for key, value in {'socket': listen, 'queues': 4, 'queue_entries': 64,
                           'max_namespaces': 3, 'doorbells': 'mapped', 'intx': False,
                           'poll_us': 70, 'serial': 'S 1', 'model': 'M',
                           'uuid': '01234567-89ab-cdef-0123-456789abcdef'}.items():
            self.assertEqual(info[key], value, key)
        self.assertEqual(info['namespaces'][0]['block_size'], 4096)
        self.assertTrue(info['namespaces'][0]['read_only'])
        self.assertTrue(stat.S_ISSOCK(os.stat(listen).st_mode))

    def test_namespaces_live(self):
        self.start()
        disk = self.disk('d.img')
        self.done('target', 'create', 'a', 'null:1G')
        attached = self.done('target', 'attach', 'a', 'file:d.img', '--nsid', '7', '--json',
                             cwd=self.directory).json
        self.assertEqual((attached['nsid'], attached['volume']), (7, 'file:' + disk))
        self.assertEqual(self.done('target', 'attach', 'a', 'null:1M', '--json').json['nsid'], 2)
        self.done('target', 'resize', 'a', '7', '2M')
        self.assertEqual(os.path.getsize(disk), 2 << 20)
        self.done('target', 'resize', 'a', '1', '2G')
        os.truncate(disk, 4 << 20)
        self.assertIn('4.0 MiB', self.done('target', 'rescan', 'a').out)
        self.done('target', 'detach', 'a', '2')
        info = self.done('target', 'info', 'a', '--json').json
        self.assertEqual([(n['nsid'], n['capacity_bytes']) for n in info['namespaces']],
                         [(1, 2 << 30), (7, 4 << 20)])
        # A detached file is free for others, and sizes outlive the daemon.
        self.done('target', 'detach', 'a', '7')
        self.done('target', 'create', 'b', 'file:' + disk)
        self.stop()
        self.start()
        info = self.done('target', 'info', 'a', '--json').json
        self.assertEqual([(n['nsid'], n['capacity_bytes']) for n in info['namespaces']],
                         [(1, 2 << 30)])

    def remembered(self, number):
        self.start()
        disk = self.disk('d.img')
        self.done('target', 'create', 'a', 'file:' + disk)
        self.done('target', 'create', 'b', 'null:1G')
        self.done('target', 'create', 'c', 'null:1G')
        self.done('target', 'destroy', 'b')
        before = self.done('target', 'list', '--json').json
        self.stop(number)
        self.start()
        self.assertEqual(self.done('target', 'list', '--json').json, before)

    def test_remembered_after_sigterm(self):
        self.remembered(signal.SIGTERM)

    def test_remembered_after_kill(self):
        self.remembered(signal.SIGKILL)

    def test_missing_volume_is_kept_as_failed(self):
        self.start()
        disk = self.disk('d.img')
        self.done('target', 'create', 'a', 'file:' + disk)
        self.done('target', 'create', 'b', 'null:1G')
        identity = self.done('target', 'info', 'a', '--json').json['namespaces'][0]['nguid']
        self.stop()
        os.rename(disk, disk + '.away')
        self.start()
        info = self.done('target', 'info', 'a', '--json').json
        self.assertEqual(info['state'], 'failed')
        self.assertIn(disk, info['failure'])
        self.assertIsNone(info['worker'])
        self.assertIn('failed', self.done('target', 'list').out)
        self.assertIn('not running', self.read_log())
        self.assertEqual(self.done('target', 'info', 'b', '--json').json['state'], 'running')
        self.refused('target', 'start', 'a', says=disk)
        self.refused('target', 'attach', 'a', 'null:1G', says='not running')
        self.refused('target', 'resize', 'a', '1', '4M', says='not running')
        os.rename(disk + '.away', disk)
        self.done('target', 'start', 'a')
        info = self.done('target', 'info', 'a', '--json').json
        self.assertEqual((info['state'], info['namespaces'][0]['nguid']), ('running', identity))

    def test_failed_can_be_mended_or_destroyed(self):
        self.start()
        disk = self.disk('d.img')
        self.done('target', 'create', 'a', 'null:1G', 'file:' + disk)
        self.done('target', 'create', 'b', 'file:' + self.disk('e.img'))
        self.stop()
        os.unlink(disk)
        os.unlink(self.path('e.img'))
        self.start()
        self.done('target', 'destroy', 'b')
        self.done('target', 'detach', 'a', '2')
        self.done('target', 'start', 'a')
        self.assertEqual([t['state'] for t in
                          self.done('target', 'list', '--json').json['targets']], ['running'])


class Refusals(DaemonTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.done('target', 'create', 'a', 'null:1G', 'file:' + self.disk('d.img'))
        self.before = self.state_now()

    def state_now(self):
        with open(os.path.join(self.state, 'targets.json'), encoding='utf-8') as file:
            return file.read()

    def tearDown(self):
        """Nothing that was refused left a trace."""
        self.assertEqual(self.state_now(), self.before)
        self.assertEqual(len(self.done('target', 'list', '--json').json['targets']), 1)

    def create(self, *words, says):
        self.refused('target', 'create', *words, says=says)

    def test_names(self):
        self.create('a', 'null:1G', says='exists')
        self.create('b/c', 'null:1G', says='name')
        self.create('', 'null:1G', says='name')
        self.create('x' * 64, 'null:1G', says='name')
        self.refused('target', 'info', 'zz', says='no target "zz"')
        self.refused('target', 'info', 'z/z', says='not the name')
        self.refused('target', 'destroy', 'zz', says='no target "zz"')

    def test_volumes(self):
        self.create('b', 'null:0', says='zero')
        self.create('b', 'null:12x', says='size')
        self.create('b', 'tank/vm1', says='no pool "tank"')
        self.create('b', 'tank//vm1', says='not a name')
        self.create('b', 'tank/vm1,block=4096', says='"ro" only')
        self.create('b', 'what', says='file:/PATH')
        self.create('b', 'file:' + self.path('none'), says=self.path('none'))
        self.create('b', 'file:' + self.directory, says=self.directory)
        self.create('b', 'file:/dev/null', says='/dev/null')
        self.create('b', 'error:op=read:null:1G', says='tests')
        self.create('b', 'null:1G', '--block-size', '1000', says='512 or 4096')
        self.create('b', 'null:' + 'x' * 2000, says='longer')
        self.create('b', 'file:' + self.disk('empty', 0), says='empty')

    def test_busy(self):
        disk = self.path('d.img')
        os.symlink(disk, self.path('link'))
        os.link(disk, self.path('hard'))
        for name in ('d.img', 'link', 'hard'):
            self.create('b', 'file:' + self.path(name), says='target "a"')
            self.refused('target', 'attach', 'a', 'file:' + self.path(name), says='target "a"')
        other = 'file:' + self.disk('e.img')
        self.create('b', other, other, says='twice')

    def test_numbers(self):
        for option, value, says in (('--queues', '0', '1 to 64'), ('--queues', '65', '1 to 64'),
                                    ('--queue-entries', '3', 'power of two'),
                                    ('--max-namespaces', '65', '1 to 64'),
                                    ('--doorbells', 'x', 'shadow'),
                                    ('--transport', 'nbd', 'vfio-user'),
                                    ('--serial', 'x' * 21, 'longer'),
                                    ('--model', 'x' * 41, 'longer'),
                                    ('--uuid', '1', 'UUID'),
                                    ('--listen', 'x.sock', 'absolute'),
                                    ('--listen', '/' + 'x' * 200, 'longer')):
            self.create('b', 'null:1G', option, value, says=says)
        self.create('b', *['null:1G'] * 17, says='maximum')
        self.create('b', *['null:1G'] * 65, says='64')

    def test_sockets(self):
        self.create('b', '--listen', '/nowhere/at/all.sock', 'null:1G', says='/nowhere/at/all')
        self.create('b', '--listen', os.path.join(self.directory, 'run', 'a.sock'), 'null:1G',
                    says='target "a"')
        self.create('b', '--listen', self.path('d.img'), 'null:1G', says=self.path('d.img'))
        self.assertEqual(os.path.getsize(self.path('d.img')), 1 << 20)

    def test_namespaces(self):
        self.refused('target', 'attach', 'a', 'null:1G', '--nsid', '1', says='there already')
        self.refused('target', 'attach', 'a', 'null:1G', '--nsid', '17', says='1 to 16')
        self.refused('target', 'detach', 'a', '3', says='no namespace 3')
        self.refused('target', 'resize', 'a', '3', '1G', says='no namespace 3')
        self.refused('target', 'resize', 'a', '1', '1000', says='multiple of')
        self.refused('target', 'resize', 'a', '2', '512K', says='smaller')
        self.refused('target', 'rescan', 'a', '3', says='no namespace 3')

    def test_usage(self):
        for words, says in ((('target',), 'target what'),
                            (('target', 'crate'), 'did you mean "create"'),
                            (('targte', 'list'), 'did you mean "target"'),
                            (('pol', 'list'), 'did you mean "pool"'),
                            (('target', 'create', 'b'), 'too few'),
                            (('target', 'info'), 'too few'),
                            (('target', 'info', 'a', 'b'), 'too many'),
                            (('target', 'list', '--jsno'), 'did you mean "--json"'),
                            (('target', 'list', '--json=yes'), 'takes no value'),
                            (('target', 'list', '-j'), 'unknown option'),
                            (('target', 'create', 'b', 'null:1G', '--queues', 'x'), '--queues'),
                            (('target', 'create', 'b', 'null:1G', '--queues', '-1'), '--queues'),
                            (('target', 'create', 'b', 'null:1G', '--intx', 'x'), 'on or off'),
                            (('target', 'resize', 'a', '1', 'big'), 'SIZE'),
                            (('target', 'resize', 'a', 'x', '1G'), 'NSID'),
                            (('help', 'nothing'), 'no help')):
            self.refused(*words, code=2, says=says)


class Room(DaemonTest):
    def test_no_space_for_the_state(self):
        """A state that cannot be written: the verb is refused and undone."""
        self.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900)))
        self.done('target', 'create', 'a', 'null:1G')
        self.refused('target', 'create', 'b', 'null:1G', 'null:1G', 'null:1G',
                     says='cannot save')
        self.assertFalse(os.path.exists(os.path.join(self.directory, 'run', 'b.sock')))
        self.assertEqual(len(self.done('target', 'list', '--json').json['targets']), 1)
        for _ in range(9):
            result = self.quoin('target', 'attach', 'a', 'null:1G')
        self.assertEqual(result.code, 1)
        self.assertIn('cannot save', result.err)
        count = len(self.done('target', 'info', 'a', '--json').json['namespaces'])
        self.stop()
        self.start()
        info = self.done('target', 'info', 'a', '--json').json
        self.assertEqual(len(info['namespaces']), count)

    def test_memory_is_a_bound(self):
        self.start('--memory', '96M')
        for number in range(12):
            self.done('target', 'create', f't{number}', 'null:1G')
        self.refused('target', 'create', 'more', 'null:1G', says='--memory')
        self.done('target', 'destroy', 't3')
        self.done('target', 'create', 'more', 'null:1G')

    def test_memory_of_the_daemon(self):
        """With one target: at most 32 MiB of its own."""
        self.start()
        self.done('target', 'create', 'a', 'null:1G')
        with open(f'/proc/{self.daemon.pid}/status', encoding='utf-8') as file:
            anonymous = [line.split()[1] for line in file if line.startswith('RssAnon')]
        if not sanitized():
            self.assertLess(int(anonymous[0]), 32 << 10)

    def test_identities_are_unique(self):
        self.start()
        nguid = '01234567-89ab-cdef-0123-456789abcdef'
        body = {'name': 'a', 'namespaces': [{'volume': 'null:1G', 'nguid': nguid}]}
        self.assertEqual(self.request('POST', '/v1/targets', body)[0], 201)
        self.assertEqual(self.request('POST', '/v1/targets', {**body, 'name': 'b'})[0], 409)
        self.assertEqual(self.request('POST', '/v1/targets/a/namespaces',
                                      body['namespaces'][0])[0], 409)
        body = {'name': 'c', 'namespaces': [{'volume': 'null:1G', 'nguid': 'f' * 32}] * 2}
        self.assertEqual(self.request('POST', '/v1/targets', body)[0], 400)
        self.assertEqual(len(self.request('GET', '/v1/targets')[1]['targets']), 1)

    def test_spread_over_workers(self):
        self.start('--workers', '2')
        for name in 'abcd':
            self.done('target', 'create', name, 'null:1G')
        workers = self.done('daemon', 'status', '--json').json['workers']
        self.assertEqual([w['targets'] for w in workers], [2, 2])
        self.done('target', 'destroy', 'a')
        self.done('target', 'create', 'e', 'null:1G')
        workers = self.done('daemon', 'status', '--json').json['workers']
        self.assertEqual([w['targets'] for w in workers], [2, 2])

    def test_state_file_is_json_and_versioned(self):
        self.start()
        self.done('target', 'create', 'a', 'null:1G')
        with open(os.path.join(self.state, 'targets.json'), encoding='utf-8') as file:
            self.assertEqual(json.load(file)['version'], 1)


if __name__ == '__main__':
    main()
