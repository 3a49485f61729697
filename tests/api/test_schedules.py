# SPDX-License-Identifier: Apache-2.0
"""Schedules: set, kept over restarts, missed runs made up, self-tests of recorded drives told."""
import json
import os
import time

from quoin_test import DaemonTest, main

MIB = 1 << 20
WAIT_S = 30
DAY_S = 86400
GOOD = {'smartctl': {'exit_status': 0}, 'device': {'protocol': 'ATA'},
        'smart_status': {'passed': True},
        'ata_smart_data': {'capabilities': {'self_tests_supported': True}}}


def newest(passed):
    return {'ata_smart_self_test_log': {'standard': {'table': [{'status': {'passed': passed}}]}}}


class Schedules(DaemonTest):
    def setUp(self):
        super().setUp()
        self.recorded = self.path('recorded')
        os.mkdir(self.recorded)
        self.a = self.disk('a.img', 64 * MIB)
        self.b = self.disk('b.img', 64 * MIB)

    def record(self, name, answer):
        """At once: a reader sees the old one or the new one."""
        path = os.path.join(self.recorded, name)
        with open(path + '.new', 'w', encoding='utf-8') as file:
            json.dump(answer, file)
        os.rename(path + '.new', path)

    def schedule(self):
        return self.request('GET', '/v1/schedules')[1]['schedules'][0]

    def drive(self, path):
        return {d['path']: d for d in self.schedule()['drives']}[path]

    def wait(self, good):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            found = good()
            if found:
                return found
            time.sleep(0.05)
        self.fail(f'not seen: {self.request("GET", "/v1/schedules")}')
        return None

    def told(self, kind):
        events = self.request('POST', '/v1/events/list', {})[1]['events']
        return [event for event in events if event['type'] == kind]

    def overdue(self):
        """As if the time of every run had come while the daemon was away."""
        path = os.path.join(self.state, 'schedules.json')
        with open(path, encoding='utf-8') as file:
            saved = json.load(file)
        for schedule in saved['schedules']:
            for due in schedule['dues']:
                due['due_s'] = 1000
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(saved, file)

    def planned(self):
        return self.wait(lambda: [d for d in self.schedule()['drives']
                                  if d['next_short_test_s']])

    def test_set_and_kept(self):
        self.record('a.img.json', GOOD)
        self.start('--test-smart', self.recorded)
        self.assertEqual(self.request('GET', '/v1/schedules')[1], {'schedules': []})
        self.done('pool', 'create', 'tank', self.a)
        drive = self.planned()[0]
        now = time.time()
        self.assertTrue(now < drive['next_short_test_s'] < now + 7 * DAY_S / 4 + 60, drive)
        self.assertEqual((self.schedule()['short_test_s'], self.schedule()['long_test_s'],
                          self.schedule()['trim_s'], self.schedule()['scrub_s']),
                         (7 * DAY_S, 0, 0, None))
        out = self.done('schedule', 'list').out
        self.assertRegex(out, rf'tank +short-test +weekly +20\d\d-\S+ \S+ +{self.a}')
        self.assertRegex(out, r'tank +long-test +off +- +-')
        self.done('schedule', 'set', 'tank', 'long-test=36h', 'short-test=daily')
        self.wait(lambda: self.drive(self.a)['next_long_test_s'])
        self.planned()
        before = self.schedule()
        self.assertEqual((before['short_test_s'], before['long_test_s']), (DAY_S, 36 * 3600))
        self.wait(lambda: 'long-test' in str(self.saved()['dues']))
        self.assertEqual(self.stop(), 0)
        self.start('--test-smart', self.recorded)
        self.wait(lambda: self.schedule() == before)
        self.assertIn('36h', self.done('schedule', 'list').out)

    def saved(self):
        with open(os.path.join(self.state, 'schedules.json'), encoding='utf-8') as file:
            return json.load(file)['schedules'][0]

    def test_refused(self):
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.refused('schedule', 'set', 'none', 'short-test=daily', says='no pool "none"')
        self.refused('schedule', 'set', 'tank', 'short-test=often', code=2, says='must be off')
        self.refused('schedule', 'set', 'tank', 'short=daily', code=2, says='no property')
        self.refused('schedule', 'set', 'tank', 'short-test=400d', says='every hour to every')
        self.refused('schedule', 'set', 'tank', 'scrub=weekly', says='not done by this version')
        self.done('schedule', 'set', 'tank', 'scrub=off', 'short-test=off')
        self.assertRegex(self.done('schedule', 'list').out, r'tank +short-test +off')

    def test_missed_run_is_made_up(self):
        """One drive of the mirror after the other; the end of a test is told."""
        for name in ('a.img.json', 'b.img.json'):
            self.record(name, {**GOOD, **newest(True)})
        self.start('--test-smart', self.recorded)
        self.done('pool', 'create', 'tank', 'mirror', self.a, self.b)
        self.wait(lambda: len(self.planned()) == 2)
        self.wait(lambda: len(self.saved()['dues']) == 2)
        self.assertEqual(self.stop(), 0)
        self.overdue()
        self.start('--test-smart', self.recorded)
        tests = [os.path.join(self.recorded, f'{name}.img.test') for name in 'ab']
        self.wait(lambda: self.told('drive.test_started'))
        begun = [path for path in tests if os.path.exists(path)]
        self.assertEqual(len(begun), 1)
        first = self.a if begun[0] == tests[0] else self.b
        other = self.b if first == self.a else self.a
        self.assertEqual(self.told('drive.test_started')[0]['object'], f'tank:{first}')
        self.record(os.path.basename(first) + '.json', {**GOOD, 'ata_smart_data': {
            **GOOD['ata_smart_data'], 'self_test': {'status': {'remaining_percent': 50}}}})
        self.wait(lambda: [d for d in self.request('GET', '/v1/drives')[1]['drives']
                           if d['self_test'] == 'running'])
        self.assertTrue(self.drive(first)['running'])
        self.assertFalse(os.path.exists(tests[0]) and os.path.exists(tests[1]))
        self.record(os.path.basename(first) + '.json', {**GOOD, **newest(False)})
        self.wait(lambda: self.told('drive.test_failed'))
        self.assertIn('the short self-test has ended: failed',
                      self.told('drive.test_failed')[0]['text'])
        # Now the other one has its turn, and the first has had it.
        self.wait(lambda: len(self.told('drive.test_started')) == 2)
        self.assertEqual(self.told('drive.test_started')[1]['object'], f'tank:{other}')
        for path in tests:
            with open(path, encoding='utf-8') as file:
                self.assertEqual(file.read(), '--test=short\n')
        self.assertGreater(self.drive(first)['next_short_test_s'], time.time() + 6 * DAY_S)

    def test_trim(self):
        """A trim that was missed is made up, once."""
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.assertIsNone(self.schedule()['next_trim_s'])
        self.done('schedule', 'set', 'tank', 'trim=weekly')
        self.wait(lambda: self.schedule()['next_trim_s'])
        self.wait(lambda: 'trim' in str(self.saved()['dues']))
        self.assertRegex(self.done('schedule', 'list').out, r'tank +trim +weekly +20\d\d-\S+ \S+ +-')
        self.assertEqual(self.stop(), 0)
        self.overdue()
        self.start()
        self.wait(lambda: self.request('GET', '/v1/pools/tank')[1]['trim']['state'] == 'done')
        self.assertGreater(self.schedule()['next_trim_s'], time.time() + 6 * DAY_S)
        self.assertIn('pool trim tank', self.done('pool', 'history', 'tank').out)

    def test_drives_without_self_tests(self):
        """Files have none, and nobody hears of it every week."""
        self.start('--test-smart', self.recorded)
        self.done('pool', 'create', 'tank', self.a)
        self.wait(lambda: self.request('GET', '/v1/drives')[1]['drives'][0]['asked_ms'])
        drive = self.drive(self.a)
        self.assertEqual((drive['has_self_tests'], drive['next_short_test_s']), (False, None))

    def test_damaged_file(self):
        os.mkdir(self.state, 0o700)
        with open(os.path.join(self.state, 'schedules.json'), 'w', encoding='utf-8') as file:
            file.write('{"version": 1, "schedules": [{"pool": 7}')
        self.start()
        self.assertIn('schedules begin anew', self.read_log())
        self.done('pool', 'create', 'tank', self.a)
        self.done('schedule', 'set', 'tank', 'short-test=daily')
        self.assertEqual(self.saved()['every_s']['short-test'], DAY_S)


if __name__ == '__main__':
    main()
