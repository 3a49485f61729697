#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/: QUOIN_BUILD and QUOIN_SOURCE set, pictures.py DIR [SECONDS].

Real daemons with guests at work for some time (default 200 s), so that the charts have something to
show; nothing in the pictures is made up.
"""
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ['QUOIN_SOURCE'], 'tests/api'))
from browser import Browser, Forward, Tab  # pylint: disable=wrong-import-position
from quoin_test import BUILD  # pylint: disable=wrong-import-position
from scenes import MIB, SceneTest  # pylint: disable=wrong-import-position

WIDE = (1280, 800)
PHONE = (390, 844)


class Pictures(SceneTest):
    seconds = 200
    to = '.'

    def runTest(self):  # pylint: disable=invalid-name
        self.browser = Browser()
        try:
            for name in ('empty', 'degraded', 'full', 'healthy'):
                self.setUp()
                self.start()
                getattr(self, 'picture_' + name)()
                self.doCleanups()
        finally:
            self.browser.close()

    def tab(self):
        self.forward = Forward(self.socket)
        tab = Tab(self.browser, *WIDE)
        tab.open(self.forward.url)
        return tab

    def shoot(self, tab, name, place='#/', look=WIDE, dark=False):
        tab.look(*look, dark)
        tab.run(f'location.hash = {place!r}')
        time.sleep(3)
        tab.shot(os.path.join(self.to, f'web-{name}.png'))

    def picture_empty(self):
        tab = self.tab()
        tab.wait_text('No pool yet')
        self.shoot(tab, 'empty')

    def picture_degraded(self):
        self.degraded()
        tab = self.tab()
        tab.wait_text('degraded')
        self.shoot(tab, 'degraded')

    def picture_full(self):
        self.full()
        tab = self.tab()
        tab.wait_text('full')
        self.shoot(tab, 'full')

    def work(self, target, pause_s):
        """Writes, then writes again or reads and compares, at times fast."""
        chance = random.Random(target)
        how = []
        while time.monotonic() < self.end:
            subprocess.run([os.path.join(BUILD, 'tests/client/nvme-put'), *how,
                            self.path(target + '.sock'), self.path('load')], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            how = chance.choice(([], ['--compare'], ['--compare']))
            time.sleep(pause_s * chance.random())

    def picture_healthy(self):
        tab = self.tab()
        self.healthy()
        with open(self.path('load'), 'wb') as file:
            file.write(os.urandom(8 * MIB))
        self.end = time.monotonic() + self.seconds
        guests = [threading.Thread(target=self.work, args=each)
                  for each in (('front', 3), ('db', 1.5))]
        for guest in guests:
            guest.start()
        time.sleep(self.seconds / 2)
        self.done('volume', 'snapshot', 'tank/db@nightly')
        image = self.disk('debian.raw', 48 * MIB)
        with open(image, 'r+b') as file:
            file.write(os.urandom(48 * MIB))
        time.sleep(self.seconds / 2 - 15)
        self.done('volume', 'deploy', 'tank/debian', '--from', image, '--rate', '1M', '--no-wait')
        time.sleep(6)
        self.shoot(tab, 'healthy')
        self.shoot(tab, 'pool', '#/pool/tank')
        self.shoot(tab, 'volume-dark', '#/volume/tank/db', dark=True)
        self.shoot(tab, 'phone', look=PHONE)
        self.shoot(tab, 'phone-dark', '#/pool/tank', look=PHONE, dark=True)
        for guest in guests:
            guest.join()


if __name__ == '__main__':
    Pictures.to = sys.argv[1]
    Pictures.seconds = int(sys.argv[2]) if len(sys.argv) > 2 else Pictures.seconds
    Pictures().debug()
