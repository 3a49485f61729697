# SPDX-License-Identifier: Apache-2.0
"""quoin top: what it counts, how it is drawn, on a terminal and without one."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from quoin_test import BUILD, QUOIN, DaemonTest, main

MIB = 1 << 20
WAIT_S = 60


class Terminal:
    """quoin top on a terminal of a size; what it draws, screen by screen."""

    def __init__(self, test, rows, columns, *words):
        self.test = test
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.top = subprocess.Popen([QUOIN, 'top', '--socket', test.socket, *words],
                                    stdin=self.slave, stdout=self.slave, stderr=self.slave)
        self.text = ''
        test.addCleanup(self.close)

    def close(self):
        if self.top.poll() is None:
            self.top.kill()
        self.top.wait()
        os.close(self.master)
        os.close(self.slave)

    def key(self, key):
        os.write(self.master, key.encode())

    def screen(self, wanted):
        """The first whole screen from now on that has this in it, as lines."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            if select.select([self.master], [], [], 1)[0]:
                self.text += os.read(self.master, 65536).decode()
            *screens, self.text = self.text.split('\x1b[J')
            for screen in screens:
                if wanted in screen:
                    screen = re.sub(r'\x1b\[[?0-9]*[a-zA-Z]', '', screen)
                    return screen.replace('\r', '').split('\n')[:-1]
        self.test.fail(f'{wanted} does not appear in {self.text}')
        return None

    def end(self):
        code = self.top.wait(WAIT_S)
        return code, termios.tcgetattr(self.slave) == self.before


class Top(DaemonTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.done('pool', 'create', 'tank', self.disk('a.img', 256 * MIB))
        self.done('volume', 'create', 'tank/v', '--size', '64M')
        self.looked(1)

    def looked(self, volumes):
        """Waits until the daemon has had a look at so many volumes."""
        end = time.monotonic() + WAIT_S
        while len(self.top()['volumes']) < volumes and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(len(self.top()['volumes']), volumes)

    def put(self):
        """A guest that writes to the volume."""
        image = self.path('image')
        socket = self.path('put.sock')
        with open(image, 'wb') as file:
            file.write(os.urandom(4 * MIB))
        subprocess.run([os.path.join(BUILD, 'tests/client/nvme-put'), socket, image], check=True,
                       timeout=100, stdout=subprocess.DEVNULL)

    def top(self):
        status, answer = self.request('GET', '/v1/top')
        self.assertEqual(status, 200)
        return answer

    def test_counts(self):
        self.done('target', 'create', 'put', '--listen', self.path('put.sock'), 'tank/v')
        before = self.top()
        self.assertIsNone(before['volumes'][0]['io'])
        self.put()
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            after = self.top()
            writes = (after['volumes'][0]['io'] or {}).get('writes', {'bytes': 0})
            if writes['bytes'] >= 4 * MIB:
                break
            time.sleep(0.1)
        self.assertEqual(after['volumes'][0]['name'], 'tank/v')
        self.assertGreaterEqual(writes['bytes'], 4 * MIB)
        self.assertGreater(writes['ns'], 0)
        io = after['volumes'][0]['io']
        self.assertEqual(sum(io['latency']),
                         sum(io[kind]['requests'] for kind in ('reads', 'writes', 'others')))
        self.assertGreaterEqual(after['pools'][0]['io']['writes']['bytes'], 4 * MIB)
        self.assertEqual(after['targets'][0]['name'], 'put')
        self.assertGreaterEqual(after['targets'][0]['written_bytes'], 4 * MIB)
        self.assertGreater(after['daemon']['cpu_ns'], before['daemon']['cpu_ns'])
        self.assertGreater(after['daemon']['memory_bytes'], MIB)
        self.assertGreater(after['time_ns'], before['time_ns'])

    def test_rates(self):
        """Load between the two looks shows as rates; it goes on until it does."""
        self.done('target', 'create', 'put', '--listen', self.path('put.sock'), 'tank/v')
        seen = {'volumes': False, 'targets': False}
        for _ in range(10):
            with subprocess.Popen([QUOIN, 'top', '--once', '--json', '--interval', '3',
                                   '--socket', self.socket], stdout=subprocess.PIPE) as top:
                while top.poll() is None:
                    self.put()
                answer = json.loads(top.stdout.read())
            self.assertEqual(top.returncode, 0)
            for kind in seen:
                row = answer[kind][0]
                seen[kind] |= row['written_bytes_per_s'] > 0 and row['writes_per_s'] > 0
            if answer['volumes'][0]['p99_us']:
                self.assertGreater(answer['volumes'][0]['average_us'], 0)
            if all(seen.values()):
                break
        self.assertEqual(seen, {'volumes': True, 'targets': True})
        self.assertGreater(answer['daemon']['cpu_percent'], 0)

    def test_without_a_terminal(self):
        out = self.done('top', '--interval', '0.1').out
        for word in ('quoind', 'POOL', 'tank', 'online', 'VOLUME', 'tank/v', 'volume create'):
            self.assertIn(word, out)
        self.assertNotIn('\x1b', out)
        self.assertNotIn('TARGET', out)
        self.refused('top', '--interval', '0', code=2, says='--interval')
        self.refused('top', '--interval', 'x', code=2, says='--interval')

    def test_on_a_terminal(self):
        screen = Terminal(self, 40, 80, '--interval', '0.2')
        lines = screen.screen('tank/v')
        self.assertLess(len(lines), 40)
        self.assertTrue(all(len(line) <= 80 for line in lines), lines)
        self.assertIn('by requests', lines[0])
        for word in ('by bytes', 'by latency', 'by name', 'by requests'):
            screen.key('s')
            screen.screen(word)
        screen.key('q')
        self.assertEqual(screen.end(), (0, True))

    def test_ends_with_a_signal(self):
        screen = Terminal(self, 24, 80, '--interval', '60')
        screen.screen('tank/v')
        screen.top.terminate()
        self.assertEqual(screen.end(), (0, True))

    def test_fits(self):
        for number in range(30):
            self.done('volume', 'create', f'tank/many/{number}', '--size', '1M')
        self.looked(31)
        lines = Terminal(self, 14, 60).screen('tank/')
        self.assertEqual(len(lines), 13)
        self.assertTrue(all(len(line) <= 60 for line in lines), lines)
        for word in ('POOL', 'VOLUME'):
            self.assertTrue(any(line.startswith(word) for line in lines), lines)
        out = self.done('top', '--interval', '0.1').out
        self.assertEqual(out.count('\ntank/many/'), 30)

    def test_jobs(self):
        image = self.path('image')
        with open(image, 'wb') as file:
            file.write(os.urandom(8 * MIB))
        self.done('volume', 'deploy', 'tank/i', '--from', image, '--rate', '1K')
        end = time.monotonic() + WAIT_S
        while not self.top()['jobs'] and time.monotonic() < end:
            time.sleep(0.1)
        job = self.top()['jobs'][0]
        self.assertEqual((job['kind'], job['object'], job['total_bytes']),
                         ('deploy', 'tank/i', 8 * MIB))
        out = self.done('top', '--interval', '0.1').out
        self.assertRegex(out, r'tank/i +deploy \[[#.]+\] +\d+% .* of 8.0 MiB')
        out = self.done('volume', 'info', 'tank/i').out
        self.assertRegex(out, r'image +arriving, \d+% \(.* of 8.0 MiB\)')
        self.assertRegex(out, r'of it +.* fetched, .* written, .* verified')


if __name__ == '__main__':
    main()
