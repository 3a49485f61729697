# SPDX-License-Identifier: Apache-2.0
"""Drives through the tool: recorded answers, verdicts, events, self-tests, one that hangs."""
import json
import os
import time

from quoin_test import DaemonTest, main

MIB = 1 << 20
WAIT_S = 30
GOOD = {'smartctl': {'exit_status': 0}, 'device': {'protocol': 'ATA'}, 'model_name': 'M 1',
        'serial_number': 'S1', 'smart_status': {'passed': True}, 'temperature': {'current': 31},
        'ata_smart_attributes': {'table': [
            {'id': 5, 'name': 'Reallocated_Sector_Ct', 'value': 100, 'worst': 100, 'thresh': 10,
             'flags': {'prefailure': True}, 'raw': {'value': 0}}]}}


class Drives(DaemonTest):
    def setUp(self):
        super().setUp()
        self.recorded = self.path('recorded')
        os.mkdir(self.recorded)
        self.a = self.disk('a.img', 64 * MIB)
        self.b = self.disk('b.img', 64 * MIB)

    def record(self, name, answer):
        with open(os.path.join(self.recorded, name), 'w', encoding='utf-8') as file:
            file.write(answer if isinstance(answer, str) else json.dumps(answer))

    def drives(self):
        return {d['path']: d for d in self.request('GET', '/v1/drives')[1]['drives']}

    def wait(self, good):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            drives = self.drives()
            if good(drives):
                return drives
            time.sleep(0.05)
        self.fail(f'not seen: {self.drives()}')
        return None

    def test_verdicts(self):
        self.record('a.img.json', GOOD)
        self.record('b.img.json', {**GOOD, 'smart_status': {'passed': False}})
        self.start('--test-smart', self.recorded)
        self.assertEqual(self.drives(), {})
        self.done('pool', 'create', 'tank', 'mirror', self.a, self.b)
        drives = self.wait(lambda d: d[self.b]['verdict'] == 'failing' and
                           d[self.a]['verdict'] == 'passed')
        self.assertEqual(drives[self.a]['temperature_c'], 31)
        self.assertEqual(drives[self.a]['reallocated_sectors'], 0)
        self.assertIsNone(drives[self.a]['used_percent'])
        out = self.done('drive', 'list').out
        for word in (self.a, self.b, 'passed', 'failing', 'the drive says that it fails'):
            self.assertIn(word, out)
        out = self.done('drive', 'info', self.a).out
        for word in ('M 1', 'S1', 'Reallocated_Sector_Ct', 'passed'):
            self.assertIn(word, out)
        self.assertEqual(self.done('drive', 'info', self.a, '--json').json['serial'], 'S1')
        out = self.done('events', '--severity', 'error').out
        self.assertIn(f'drive.failing  tank:{self.b}', out)
        self.refused('drive', 'info', '/none', says='no drive')
        self.done('pool', 'export', 'tank')
        self.assertEqual(self.drives(), {})

    def test_files_say_what_they_can(self):
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        drives = self.wait(lambda d: d[self.a]['asked_ms'] > 0)
        self.assertEqual((drives[self.a]['protocol'], drives[self.a]['verdict']),
                         ('file', 'unknown'))
        self.assertGreater(drives[self.a]['free_below_bytes'], 0)
        self.assertIn('free below', self.done('drive', 'info', self.a).out)
        self.refused('drive', 'test', self.a, says='is a file: it has no self-test')
        self.refused('drive', 'test', self.a, '--long', '--stop', code=2, says='exclude')
        self.refused('drive', 'test', '/none', says='no drive of a pool')

    def test_nonsense(self):
        self.record('a.img.json', 'smartctl 7.3 says hello')
        self.start('--test-smart', self.recorded)
        self.done('pool', 'create', 'tank', self.a)
        drives = self.wait(lambda d: d[self.a]['collector'])
        self.assertIn('not JSON', drives[self.a]['collector'])
        self.assertEqual(drives[self.a]['verdict'], 'unknown')

    def test_one_that_hangs_disturbs_nobody(self):
        self.record('a.img.hang', '')
        self.record('b.img.json', GOOD)
        self.start('--test-smart', self.recorded)
        self.done('pool', 'create', 'tank', self.a, self.b)
        self.wait(lambda d: d[self.b]['verdict'] == 'passed')
        self.assertEqual(self.drives()[self.a]['asked_ms'], 0)
        self.done('volume', 'create', 'tank/v', '--size', '4M')
        drives = self.wait(lambda d: d[self.a]['collector'])
        self.assertEqual(drives[self.a]['collector'], 'collector: timed out')
        self.assertEqual(self.stop(), 0)


if __name__ == '__main__':
    main()
