# SPDX-License-Identifier: Apache-2.0
"""GET /metrics: the text is what Prometheus reads, the numbers are right, the alert rules fit."""
import json
import math
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

from quoin_test import BUILD, QUOIN, SOURCE, DaemonTest, main

MIB = 1 << 20
WAIT_S = 30
NAME = re.compile(r'^[a-z][a-z0-9_]*$')
SAMPLE = re.compile(r'^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\[\\"n])*)"(?:,|$)')
UNITS = ('_bytes', '_seconds', '_ratio', '_celsius', '_total')


class Text:
    """The exposition format read strictly: each breach is an error."""

    def __init__(self, text):
        self.samples = {}  # (name, labels) -> value
        self.types = {}
        self.family = None
        assert text.endswith('\n')
        for line in text[:-1].split('\n'):
            self.line(line)
        for family, kind in self.types.items():
            if kind == 'histogram':
                self.histogram(family)

    def line(self, line):
        if line.startswith('# HELP '):
            name, text = line[7:].split(' ', 1)
            assert NAME.match(name) and name not in self.types and text, line
            self.family = name
        elif line.startswith('# TYPE '):
            name, kind = line[7:].split(' ')
            assert name == self.family and kind in ('gauge', 'counter', 'histogram'), line
            assert (kind == 'counter') == name.endswith('_total'), line
            self.types[name] = kind
        else:
            self.sample(line)

    def sample(self, line):
        match = SAMPLE.match(line)
        assert match, line
        name, inside, value = match.groups()
        base = re.sub('_(bucket|sum|count)$', '', name)
        histogram = self.types.get(base) == 'histogram'
        assert (base if histogram else name) == self.family and self.family in self.types, line
        labels = LABEL.findall(inside or '')
        assert ','.join(f'{k}="{v}"' for k, v in labels) == (inside or ''), line
        assert len({k for k, _ in labels}) == len(labels), line
        key = (name, tuple(sorted(labels)))
        assert key not in self.samples, line
        self.samples[key] = float(value)
        assert math.isfinite(self.samples[key]), line

    def histogram(self, family):
        """Buckets rise, the last one is all, and that is the count."""
        rows = {}
        for (name, labels), value in self.samples.items():
            if name == family + '_bucket':
                rest = tuple(pair for pair in labels if pair[0] != 'le')
                rows.setdefault(rest, []).append((float(dict(labels)['le']), value))
        for rest, buckets in rows.items():
            values = [value for _, value in sorted(buckets)]
            assert values == sorted(values), (family, rest)
            assert sorted(buckets)[-1][0] == math.inf
            assert self.samples[(family + '_count', rest)] == values[-1]
            assert (family + '_sum', rest) in self.samples

    def value(self, name, **labels):
        return self.samples.get((name, tuple(sorted(labels.items()))))

    def names(self):
        return {name for name, _ in self.samples}


class Reader(unittest.TestCase):
    """The checker itself misses nothing of what it is for."""

    def test_breaches_are_seen(self):
        head = '# HELP a_total x\n# TYPE a_total counter\n'
        Text(head + 'a_total{b="c\\"d"} 1\n')
        for bad in (head + 'a_total 1', head + 'b_total 1\n', 'a_total 1\n',
                    head + 'a_total{b="c"} 1\na_total{b="c"} 2\n',
                    head + 'a_total{b="c"d"} 1\n', head + 'a_total nan\n',
                    head.replace('counter', 'gauge') + 'a_total 1\n', head + head,
                    '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 2\n'
                    'h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'):
            with self.assertRaises((AssertionError, ValueError, KeyError), msg=bad):
                Text(bad)


class Metrics(DaemonTest):
    def setUp(self):
        super().setUp()
        self.a = self.disk('a.img', 64 * MIB)
        self.b = self.disk('b".img', 64 * MIB)

    def metrics(self):
        status, kind, text = self.plain('/metrics')
        self.assertEqual((status, kind), (200, 'text/plain; version=0.0.4; charset=utf-8'))
        return Text(text)

    def wait(self, good):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            metrics = self.metrics()
            if good(metrics):
                return metrics
            time.sleep(0.1)
        self.fail('not seen: ' + self.plain('/metrics')[2])
        return None

    def test_nothing_there(self):
        self.start()
        metrics = self.metrics()
        self.assertEqual(metrics.value('quoin_build_info', version='0.1.0'), 1)
        self.assertGreater(metrics.value('quoin_worker_turns_total', worker='0'), 0)

    def test_numbers(self):
        self.start()
        self.done('pool', 'create', 'tank', 'mirror', self.a, self.b)
        self.done('volume', 'create', 'tank/dir/v', '--size', '16M')
        image = self.path('image')
        with open(image, 'wb') as file:
            file.write(os.urandom(4 * MIB))
        path = self.path('t.sock')
        self.done('target', 'create', 't', '--listen', path, 'tank/dir/v')
        subprocess.run([os.path.join(BUILD, 'tests/client/nvme-put'), path, image],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        # Pools, volumes and targets are looked at one after the other.
        m = self.wait(lambda m: 4 * MIB == m.value('quoin_volume_request_bytes_total', pool='tank',
                                                   volume='dir/v', kind='write')
                      == m.value('quoin_pool_request_bytes_total', pool='tank', kind='write')
                      == m.value('quoin_target_written_bytes_total', target='t'))
        self.assertEqual(m.value('quoin_pool_state', pool='tank', state='online'), 1)
        self.assertEqual(m.value('quoin_pool_state', pool='tank', state='degraded'), 0)
        self.assertGreater(m.value('quoin_pool_size_bytes', pool='tank'), 32 * MIB)
        self.assertEqual(m.value('quoin_volume_size_bytes', pool='tank', volume='dir/v'), 16 * MIB)
        self.assertEqual(m.value('quoin_volume_paused', pool='tank', volume='dir/v'), 0)
        self.assertEqual(m.value('quoin_drive_online', pool='tank', drive=self.a), 1)
        escaped = self.b.replace('"', '\\"')
        self.assertEqual(m.value('quoin_drive_errors_total', pool='tank', drive=escaped,
                                 kind='check'), 0)
        self.assertEqual(m.value('quoin_drive_verdict', drive=self.a, verdict='unknown'), 1)
        writes = m.value('quoin_pool_request_duration_seconds_count', pool='tank', kind='write')
        self.assertEqual(writes, m.value('quoin_volume_requests_total', pool='tank',
                                         volume='dir/v', kind='write'))
        self.assertGreater(writes, 0)

    def test_while_a_verb_hangs(self):
        """A verb waits for a volume: questions are answered, and targets left out meanwhile."""
        self.start('--test-volumes')
        self.done('pool', 'create', 'tank', self.a)
        self.wait(lambda m: m.value('quoin_pool_state', pool='tank', state='online') == 1)
        image = self.path('image')
        with open(image, 'wb') as file:
            file.write(os.urandom(MIB))
        path = self.path('t.sock')
        self.done('target', 'create', 't', '--listen', path, 'delay:ms=3000:null:1G')
        self.assertEqual(self.metrics().value('quoin_verb_running'), 0)
        guest = subprocess.Popen([os.path.join(BUILD, 'tests/client/nvme-put'), path, image],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.wait(lambda m: m.value('quoin_target_connected', target='t') == 1)
            time.sleep(0.3)
            verb = subprocess.Popen([QUOIN, 'target', 'destroy', 't', '--socket', self.socket],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            m = self.wait(lambda m: m.value('quoin_verb_running') == 1)
            self.assertIsNone(m.value('quoin_target_running', target='t'))
            self.assertEqual(m.value('quoin_pool_state', pool='tank', state='online'), 1)
            self.assertEqual(self.request('GET', '/v1/health')[1]['verdict'], 'passed')
            self.assertEqual(self.request('GET', '/nothing')[0], 404)
            verb.wait()
        finally:
            guest.kill()
            guest.wait()
        self.assertEqual(self.metrics().value('quoin_verb_running'), 0)

    def test_many_volumes(self):
        """What is sent in pieces is whole; who goes in the midst of it is missed by nobody."""
        count = 40
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        for i in range(count):
            ask = {'name': f'tank/{i:060d}', 'size': '4M'}
            self.assertEqual(self.request('POST', '/v1/volumes', ask)[0], 201)
        m = self.wait(lambda m: m.value('quoin_volume_size_bytes', pool='tank',
                                        volume=f'{count - 1:060d}') == 4 * MIB)
        self.assertGreater(len(self.plain('/metrics')[2]), 64 * 1024)
        per_volume = {}
        for name, labels in m.samples:
            if 'volume' in dict(labels):
                per_volume.setdefault(dict(labels)['volume'], []).append(name)
        self.assertEqual(len(per_volume), count)
        self.assertEqual({len(names) for names in per_volume.values()}, {15})
        for _ in range(3):
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.socket)
            client.sendall(b'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
            self.assertTrue(client.recv(100))
            client.close()
        self.metrics()

    def test_a_pool_that_failed(self):
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.stop()
        os.unlink(self.a)
        self.start()
        self.assertEqual(self.metrics().value('quoin_pool_state', pool='tank', state='failed'), 1)

    def test_drives_that_were_never_seen(self):
        """Two of them have no path, and are two samples all the same."""
        c, d = self.disk('c.img', 64 * MIB), self.disk('d.img', 64 * MIB)
        self.start()
        self.done('pool', 'create', 'tank', 'mirror', self.a, self.b, 'mirror', c, d)
        self.done('pool', 'export', 'tank')
        self.stop()
        self.start()
        self.done('pool', 'import', 'tank', self.a, c)
        m = self.wait(lambda m: m.value('quoin_pool_state', pool='tank', state='degraded') == 1)
        self.assertEqual(sum(1 for name, _ in m.samples if name == 'quoin_drive_online'), 4)

    def test_rules_and_dashboard_name_what_there_is(self):
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.done('volume', 'create', 'tank/v', '--size', '4M')
        self.done('target', 'create', 't', 'tank/v')
        known = set(self.wait(lambda m: m.value('quoin_volume_paused', pool='tank',
                                                volume='v') == 0).types)
        for path in ('dist/prometheus/quoin.rules.yml', 'dist/grafana/quoin.json'):
            with open(os.path.join(SOURCE, path), encoding='utf-8') as file:
                text = file.read()
            named = set(re.findall(r'\bquoin_[a-z_]+', text))
            self.assertGreater(len(named), 8)
            bases = {re.sub('_(bucket|sum|count)$', '', name) for name in named}
            self.assertEqual(bases - known, set(), path)
        with open(os.path.join(SOURCE, 'docs/METRICS.md'), encoding='utf-8') as file:
            page = file.read()
        self.assertEqual({name for name in known if f'`{name}`' not in page}, set())
        self.assertEqual(set(re.findall(r'`(quoin_[a-z_]+)`', page)) - known, set())

    def test_dashboard(self):
        """Each panel has a place of its own and a question."""
        with open(os.path.join(SOURCE, 'dist/grafana/quoin.json'), encoding='utf-8') as file:
            panels = json.load(file)['panels']
        self.assertEqual(len({p['id'] for p in panels}), len(panels))
        places = set()
        for panel in panels:
            at = panel['gridPos']
            cells = {(x, y) for x in range(at['x'], at['x'] + at['w'])
                     for y in range(at['y'], at['y'] + at['h'])}
            self.assertEqual(places & cells, set(), panel['title'])
            self.assertLessEqual(at['x'] + at['w'], 24)
            places |= cells
            for target in panel.get('targets', []):
                self.assertEqual(target['expr'].count('('), target['expr'].count(')'))
                self.assertIn('$instance', target['expr'])
            self.assertEqual(panel['type'] != 'row', bool(panel.get('targets')))

    @unittest.skipUnless(shutil.which('promtool'), 'promtool is not installed')
    def test_promtool(self):
        self.start()
        self.done('pool', 'create', 'tank', self.a)
        self.wait(lambda m: m.value('quoin_pool_state', pool='tank', state='online') == 1)
        subprocess.run(['promtool', 'check', 'metrics'], check=True, text=True,
                       input=self.plain('/metrics')[2])
        subprocess.run(['promtool', 'check', 'rules',
                        os.path.join(SOURCE, 'dist/prometheus/quoin.rules.yml')], check=True)


if __name__ == '__main__':
    main()
