# SPDX-License-Identifier: Apache-2.0
"""Daemons in the states the page is looked at in: empty, healthy, degraded, full."""
import os
import subprocess
import time

from quoin_test import BUILD, DaemonTest

MIB = 1 << 20
WAIT_S = 30


class SceneTest(DaemonTest):
    """A daemon, and how it comes into a state."""

    def until(self, good):
        """GET /v1/health once it is as wanted: the counters are looked at every two seconds."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            answer = self.request('GET', '/v1/health')[1]
            if good(answer):
                return answer
            time.sleep(0.05)
        self.fail(f'not seen: {answer}')
        return None

    def guest(self, target, volume, size):
        """Somebody who writes to a volume, at work."""
        self.done('target', 'create', target, '--listen', self.path(target + '.sock'), volume)
        return self.writer(target, size)

    def writer(self, target, size):
        image = self.path('image')
        with open(image, 'wb') as file:
            file.write(os.urandom(size))
        return subprocess.Popen([os.path.join(BUILD, 'tests/client/nvme-put'),
                                 self.path(target + '.sock'), image],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def put(self, target, volume, size):
        self.assertEqual(self.guest(target, volume, size).wait(WAIT_S), 0)

    def healthy(self):
        drives = [self.disk(name, 128 * MIB) for name in ('nvme0', 'nvme1', 'nvme2', 'nvme3')]
        self.done('pool', 'create', 'tank', 'mirror', *drives[:2], 'mirror', *drives[2:],
                  '--set', 'autotrim=on')
        for name, size in (('web/front', '64M'), ('web/back', '32M'), ('db', '128M')):
            self.done('volume', 'create', 'tank/' + name, '--size', size)
        self.done('volume', 'set', 'tank/db', 'refreservation=32M')
        self.put('front', 'tank/web/front', 24 * MIB)
        self.done('volume', 'snapshot', 'tank/web/front@monday')
        self.done('target', 'destroy', 'front')
        self.put('front', 'tank/web/front', 6 * MIB)
        self.done('volume', 'snapshot', 'tank/web/front@tuesday')
        self.done('volume', 'clone', 'tank/web/front@monday', 'tank/test')
        self.put('db', 'tank/db', 12 * MIB)
        self.done('volume', 'export', 'tank/web/front@monday', '--to', self.path('monday.qcow2'),
                  '--format', 'qcow2')
        return self.until(lambda h: h['pools'] and h['pools'][0]['data_bytes'] >= 40 * MIB)

    def degraded(self):
        a, b = self.disk('nvme0', 64 * MIB), self.disk('nvme1', 64 * MIB)
        self.done('pool', 'create', 'tank', 'mirror', a, b)
        self.done('volume', 'create', 'tank/vm1', '--size', '32M')
        self.put('vm1', 'tank/vm1', 8 * MIB)
        self.done('target', 'destroy', 'vm1')
        self.done('pool', 'export', 'tank')
        os.rename(b, b + '.away')
        self.done('pool', 'import', 'tank', a)
        return self.until(lambda h: h['verdict'] == 'warning')

    def full(self):
        """A guest that waits for space."""
        self.done('pool', 'create', 'tank', self.disk('nvme0', 64 * MIB))
        self.done('volume', 'create', 'tank/vm1', '--size', '256M', '--set', 'full=pause')
        guest = self.guest('vm1', 'tank/vm1', 80 * MIB)
        self.addCleanup(guest.wait)
        self.addCleanup(guest.kill)
        return self.until(lambda h: h['pools'] and h['pools'][0]['paused_volumes'])
