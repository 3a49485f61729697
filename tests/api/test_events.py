# SPDX-License-Identifier: Apache-2.0
"""Events through the tool: told by what happens, kept over restarts, followed, filtered."""
import json
import os
import signal
import subprocess
import time

from quoin_test import BUILD, QUOIN, DaemonTest, main

MIB = 1 << 20
WAIT_S = 30


class Events(DaemonTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.a = self.disk('a.img', 64 * MIB)
        self.b = self.disk('b.img', 64 * MIB)

    def events(self, **ask):
        status, answer = self.request('POST', '/v1/events/list', ask)
        self.assertEqual(status, 200, answer)
        return answer['events']

    def types(self, **ask):
        return [event['type'] for event in self.events(**ask)]

    def wait_for(self, kind, **ask):
        """The first event of the kind: what is watched is told within seconds."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            for event in self.events(**ask):
                if event['type'] == kind:
                    return event
            time.sleep(0.1)
        self.fail(f'no {kind} in {self.types()}')
        return None

    def test_verbs_are_told(self):
        self.done('pool', 'create', 'tank', self.a)
        self.done('volume', 'create', 'tank/v', '--size', '4M')
        self.done('volume', 'snapshot', 'tank/v@1')
        self.done('snapshot', 'hold', 'tank/v@1', 'x')
        self.done('snapshot', 'release', 'tank/v@1', 'x')
        self.done('snapshot', 'rename', 'tank/v@1', '2')
        self.done('volume', 'rollback', 'tank/v@2')
        self.done('volume', 'clone', 'tank/v@2', 'tank/w')
        self.done('volume', 'promote', 'tank/w')
        self.done('volume', 'promote', 'tank/v')
        self.done('volume', 'resize', 'tank/v', '8M')
        self.done('volume', 'set', 'tank/v', 'quota=16M')
        self.done('volume', 'rename', 'tank/w', 'tank/x')
        self.done('volume', 'destroy', 'tank/x')
        self.done('snapshot', 'destroy', 'tank/v@2')
        self.done('pool', 'set', 'tank', 'reserve=30%')
        self.done('target', 'create', 't', 'tank/v')
        self.done('target', 'destroy', 't')
        self.refused('volume', 'create', 'tank/v', '--size', '4M')
        self.done('pool', 'export', 'tank')
        self.done('pool', 'import', 'tank', self.a)
        self.done('pool', 'destroy', 'tank', '--force')
        events = self.events()
        self.assertEqual([event['type'] for event in events], [
            'daemon.started', 'pool.created', 'volume.created', 'snapshot.created',
            'snapshot.held', 'snapshot.released', 'snapshot.renamed', 'volume.rolled_back',
            'volume.cloned', 'volume.promoted', 'volume.promoted', 'volume.resized',
            'volume.changed', 'volume.renamed', 'volume.destroyed', 'snapshot.destroyed',
            'pool.changed', 'target.created', 'target.destroyed', 'pool.exported',
            'pool.imported', 'pool.destroyed'])
        numbers = [event['number'] for event in events]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertEqual({event['severity'] for event in events}, {'notice'})
        self.assertEqual(events[2]['object'], 'tank/v')
        self.assertIn('4194304', events[2]['text'])

    def test_kept_over_restarts(self):
        self.done('pool', 'create', 'tank', self.a)
        self.assertEqual(self.stop(), 0)
        self.start()
        self.assertEqual(self.types(), ['daemon.started', 'pool.created', 'daemon.stopped',
                                        'daemon.started', 'pool.imported'])
        self.assertEqual([e['number'] for e in self.events()], [1, 2, 3, 4, 5])

    def test_after_a_kill(self):
        self.done('pool', 'create', 'tank', self.a)
        last = self.events()[-1]['number']
        # What was told is in the file when its thread had its turn.
        while self.request('POST', '/v1/events/list', {})[1]['unsaved']:
            time.sleep(0.01)
        self.stop(signal.SIGKILL)
        self.start()
        new = self.events(since=last)
        self.assertEqual([e['type'] for e in new][:2], ['daemon.unclean', 'daemon.started'])
        self.assertGreater(new[0]['number'], last + 1000)

    def test_degraded_import(self):
        self.done('pool', 'create', 'tank', 'mirror', self.a, self.b)
        self.done('pool', 'export', 'tank')
        os.rename(self.b, self.b + '.away')
        self.done('pool', 'import', 'tank', self.a)
        event = self.wait_for('pool.degraded')
        self.assertEqual((event['object'], event['severity']), ('tank', 'warning'))
        self.assertIn('missing', event['text'])
        self.assertNotEqual(event['advice'], '')
        event = self.wait_for('drive.lost', severity='error')
        self.assertTrue(event['object'].startswith('tank:'), event)

    def test_full_pool(self):
        """A guest that fills the pool and waits then, until there is space again."""
        self.done('pool', 'create', 'tank', self.a)
        self.done('volume', 'create', 'tank/v', '--size', '256M', '--set', 'full=pause')
        image = self.path('image')
        with open(image, 'wb') as file:
            file.write(os.urandom(80 * MIB))
        socket = self.path('put.sock')
        self.done('target', 'create', 'put', '--listen', socket, 'tank/v')
        guest = subprocess.Popen([os.path.join(BUILD, 'tests/client/nvme-put'), socket, image],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            event = self.wait_for('volume.paused', severity='error')
            self.assertEqual(event['object'], 'tank/v')
            self.assertEqual(self.wait_for('pool.full')['severity'], 'error')
        finally:
            guest.kill()
            guest.wait()
        self.done('target', 'destroy', 'put')
        self.done('volume', 'destroy', 'tank/v')
        self.wait_for('pool.space')
        self.wait_for('volume.resumed')

    def test_refused_writes(self):
        """A guest that gets an error, of a pool that has space again when somebody looks."""
        self.done('pool', 'create', 'tank', self.a)
        self.done('volume', 'create', 'tank/v', '--size', '256M')
        image = self.path('image')
        with open(image, 'wb') as file:
            file.write(os.urandom(80 * MIB))
        socket = self.path('put.sock')
        self.done('target', 'create', 'put', '--listen', socket, 'tank/v')
        run = subprocess.run([os.path.join(BUILD, 'tests/client/nvme-put'), socket, image],
                             check=False, timeout=60, capture_output=True)
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(self.wait_for('pool.refused', severity='error')['object'], 'tank')

    def test_failed_pool_and_target(self):
        self.done('pool', 'create', 'tank', self.a)
        self.done('volume', 'create', 'tank/v', '--size', '4M')
        self.done('target', 'create', 't', 'tank/v')
        self.stop()
        os.unlink(self.a)
        self.start()
        self.assertEqual(self.wait_for('pool.failed')['object'], 'tank')
        self.assertEqual(self.wait_for('target.failed')['object'], 't')

    def test_filters_of_the_tool(self):
        self.done('pool', 'create', 'tank', self.a)
        self.done('pool', 'create', 'lake', self.b)
        self.done('volume', 'create', 'lake/v', '--size', '4M')
        out = self.done('events', '--object', 'lake').out
        self.assertIn('lake/v: volume create lake/v', out)
        self.assertNotIn('tank', out)
        out = self.done('events', '--since', '3', '--json').out
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line['number'] for line in lines], [4])
        self.assertEqual(self.done('events', '--severity', 'error').out, '')
        self.refused('events', '--severity', 'bad', says='severity')
        self.refused('events', '--since', 'yesterday', code=2, says='whole number')

    def test_follow(self):
        """Who follows gets what is there and what comes, over a restart of the daemon."""
        tool = subprocess.Popen([QUOIN, 'events', '--follow', '--json', '--socket', self.socket],
                                stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(json.loads(tool.stdout.readline())['type'], 'daemon.started')
            self.done('pool', 'create', 'tank', self.a)
            self.assertEqual(json.loads(tool.stdout.readline())['type'], 'pool.created')
            self.stop()
            self.start()
            seen = [json.loads(tool.stdout.readline()) for _ in range(3)]
            self.assertEqual([event['number'] for event in seen], [3, 4, 5])
        finally:
            tool.kill()
            tool.wait()
            tool.stdout.close()

    def test_handed_to_a_program(self):
        self.stop()
        program = self.path('program')
        with open(program, 'w', encoding='utf-8') as file:
            file.write(f'#!/bin/sh\necho "$@" >>{self.path("out")}\n')
        os.chmod(program, 0o700)
        self.start('--event-program', program, '--event-severity', 'notice')
        self.done('pool', 'create', 'tank', self.a)
        end = time.monotonic() + WAIT_S
        text = ''
        while time.monotonic() < end and 'pool.created notice tank' not in text:
            time.sleep(0.05)
            if os.path.exists(self.path('out')):
                with open(self.path('out'), encoding='utf-8') as file:
                    text = file.read()
        self.assertEqual(text.splitlines()[-1], 'pool.created notice tank')

    def test_hooks_that_cannot_be(self):
        self.stop()
        for options, words in ((('--event-program', 'relative'), 'absolute path'),
                               (('--event-url', 'ftp://x'), 'http://'),
                               (('--event-severity', 'bad'), 'event-severity')):
            code, log = self.refused_start(*options)
            self.assertEqual(code, 1)
            self.assertIn(words, log)
        self.start('--event-program', '/nonexistent', '--event-severity', 'notice')
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end and 'cannot be handed on' not in self.read_log():
            time.sleep(0.05)
        self.assertIn('cannot be handed on: /nonexistent cannot be run', self.read_log())
        self.done('pool', 'create', 'tank', self.a)
        self.assertEqual(self.stop(), 0)

    def test_no_room_for_the_file(self):
        """The file of events cannot be had: said, and nothing else is disturbed."""
        self.stop()
        os.unlink(os.path.join(self.state, 'events.log'))
        os.mkdir(os.path.join(self.state, 'events.log'))
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.assertIn('pool.created', self.types())
        result = self.quoin('events')
        self.assertEqual(result.code, 0)
        self.assertIn('events are not saved', result.err)
        self.assertIn('events are not saved', self.read_log())
        os.rmdir(os.path.join(self.state, 'events.log'))
        self.assertEqual(self.stop(), 0)
        self.start()
        self.assertEqual(self.types()[:2], ['daemon.started', 'pool.created'])

    def test_damaged_file(self):
        self.done('pool', 'create', 'tank', self.a)
        self.stop()
        with open(os.path.join(self.state, 'events.log'), 'ab') as file:
            file.write(b'\xff\x00nonsense\n{"number":')
        self.start()
        self.assertEqual(self.types()[:3], ['daemon.started', 'pool.created', 'daemon.stopped'])


if __name__ == '__main__':
    main()
