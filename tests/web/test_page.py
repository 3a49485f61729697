# SPDX-License-Identifier: Apache-2.0
"""The web page in Chromium: it shows what the API says, in every state of a pool, on a phone and in
the dark; names are only text; behind TLS it asks for the token.

QUOIN_WEB_SHOTS=DIR leaves a picture of each state there.
"""
import json
import math
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.environ['QUOIN_SOURCE'], 'tests/api'))
from browser import Browser, Forward, Tab, program  # pylint: disable=wrong-import-position
from quoin_test import main  # pylint: disable=wrong-import-position
from scenes import MIB, WAIT_S, SceneTest  # pylint: disable=wrong-import-position

PHONE = 360
SHOTS = os.environ.get('QUOIN_WEB_SHOTS')
BROWSER = []  # one for all

# What is lighter, and how much of it: WCAG 2, 1.4.3.
CONTRAST = '''(() => {
  const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = name => {
    paint.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].map(c => c / 255)
      .map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  return [['--text', '--sheet'], ['--muted', '--sheet'], ['--muted', '--ground'],
    ['--muted', '--warn-wash'], ['--muted', '--bad-wash'], ['--link', '--sheet'],
    ['--ok', '--ok-wash'], ['--warn', '--warn-wash'], ['--bad', '--bad-wash']]
    .map(([a, b]) => [a, b, light(a) > light(b) ? light(a) / light(b) : light(b) / light(a)]);
})()'''


def size_text(value):
    """As format.js has it."""
    units = ('B', 'KiB', 'MiB', 'GiB')
    unit = 0
    while value >= 1023.5:
        value, unit = value / 1024, unit + 1
    places = 0 if value >= 100 or value == int(value) else 1
    return f'{math.floor(value * 10 ** places + 0.5) / 10 ** places:.{places}f} {units[unit]}'


@unittest.skipUnless(program(), 'chromium is not installed')
class Page(SceneTest):
    @classmethod
    def setUpClass(cls):
        BROWSER.append(Browser())

    @classmethod
    def tearDownClass(cls):
        BROWSER.pop().close()

    def tab(self, **keywords):
        tab = Tab(BROWSER[0], **keywords)
        self.addCleanup(tab.close)
        return tab

    def open(self, **keywords):
        """The page as ssh -L would bring it."""
        forward = Forward(self.socket)
        self.addCleanup(forward.close)
        tab = self.tab(**keywords)
        tab.open(forward.url)
        self.url = forward.url
        return tab

    def go(self, tab, where, *words):
        tab.run(f'location.hash = {json.dumps(where)}')
        tab.wait_text(*words)

    def fits(self, tab, where=''):
        """Nothing to scroll sideways."""
        width = tab.run('document.documentElement.scrollWidth')
        self.assertLessEqual(width, tab.run('innerWidth'), where)

    def quiet(self, tab):
        self.assertEqual(tab.complaints(), [])

    def shoot(self, tab, name):
        if SHOTS:
            tab.shot(os.path.join(SHOTS, name + '.png'))

    def every_look(self, tab, name, places):
        """Bright and dark, wide and on a phone."""
        for width, height, dark in ((1280, 800, False), (1280, 800, True), (PHONE, 780, False),
                                    (PHONE, 780, True)):
            tab.look(width, height, dark)
            for place, words in places:
                self.go(tab, place, *words)
                self.fits(tab, (place, width))
                self.shoot(tab, '-'.join([name, place.strip('#/').replace('/', '.') or 'overview',
                                          'phone' if width == PHONE else 'wide',
                                          'dark' if dark else 'bright']))
            background = tab.run('getComputedStyle(document.documentElement).backgroundColor')
            self.assertEqual(sum(map(int, background[4:-1].split(', '))) < 384, dark, background)

    def test_empty(self):
        self.start()
        tab = self.open()
        tab.wait_text('No pool yet', 'quoin pool create tank', 'All is well', 'daemon.started')
        self.every_look(tab, 'empty', [('#/', ['No pool yet']), ('#/events', ['daemon.started'])])
        self.quiet(tab)
        # All of it came from here.
        self.assertGreater(len(tab.asked()), 10)
        self.assertEqual([url for url in tab.asked() if not url.startswith(self.url)], [])

    def test_healthy(self):
        self.start()
        tab = self.open()
        tab.wait_text('No pool yet')
        pool = self.healthy()['pools'][0]
        tab.wait_text('All is well', 'tank', 'web/front', 'monday.qcow2', 'done')
        tab.wait('document.querySelectorAll(".card .drive.passed").length === 4')
        self.assertEqual(tab.run('document.querySelectorAll(".card .group").length'), 2)
        tab.wait_text(f'of {size_text(pool["size_bytes"])}')
        self.agrees(tab)
        # What a guest writes now is in the charts: the page has seen the pool before.
        self.assertEqual(self.writer('db', 4 * MIB).wait(WAIT_S), 0)
        self.go(tab, '#/pool/tank', 'IOPS', 'Throughput', 'p99', 'Last checkpoint')
        drawn = '[...document.querySelectorAll(".chart .line.two")].every(p => p.getAttribute("d"))'
        tab.wait(drawn)
        self.assertRegex(tab.run('document.querySelector(".plot .top").textContent'), r'^\d')
        self.go(tab, '#/volume/tank/db', 'IOPS', 'Throughput', 'mean', 'p99')
        tab.wait(drawn)
        self.go(tab, '#/volume/tank/web/front', '@monday', '@tuesday', 'Only here')
        self.go(tab, '#/events', 'volume.created', 'snapshot.created')
        tab.type('#with', 'monday')
        tab.wait('!document.body.innerText.includes("volume.created")')
        tab.wait_text('snapshot.created')
        tab.run('document.querySelector("#with").value = ""')
        self.every_look(tab, 'healthy', [
            ('#/', ['web/front', 'monday.qcow2']), ('#/pool/tank', ['Last checkpoint']),
            ('#/volume/tank/web/front', ['@monday']), ('#/events', ['Severity'])])
        self.quiet(tab)

    def agrees(self, tab):
        """Names and numbers of volumes are those of the API, in the end."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            volumes = self.request('GET', '/v1/volumes')[1]['volumes']
            shown = tab.text()
            if all(v['name'] in shown and f'{size_text(v["used_bytes"])} · ' in shown
                   for v in volumes):
                return
            time.sleep(0.1)
        self.fail(f'{volumes}\n{shown}')

    def test_degraded(self):
        self.start()
        problems = self.degraded()['problems']
        tab = self.open()
        tab.wait_text('Needs attention', 'degraded', 'missing')
        for problem in problems:
            tab.wait_text(problem['object'], problem['reason'], problem['advice'])
        self.assertEqual(tab.run('document.querySelectorAll(".card .drive.warning").length'), 1)
        self.every_look(tab, 'degraded', [('#/', ['missing']), ('#/pool/tank', ['missing'])])
        self.quiet(tab)

    def test_full(self):
        self.start()
        problems = self.full()['problems']
        tab = self.open()
        tab.wait_text('Failing', 'full', 'guests cannot write', 'Free to guests')
        for problem in problems:
            tab.wait_text(problem['reason'], problem['advice'])
        self.every_look(tab, 'full', [('#/', ['guests cannot write']),
                                      ('#/pool/tank', ['waits for space'])])
        self.quiet(tab)

    def test_names_are_only_text(self):
        """A drive and a file whose names are markup, and whatever the address says."""
        bad = '<img src=x onerror=window.hacked=1>'
        self.start()
        self.done('pool', 'create', 'tank', self.disk(bad, 64 * MIB))
        self.done('volume', 'create', 'tank/v', '--size', '1M')
        self.done('volume', 'export', 'tank/v', '--to', self.path(bad + '.raw'))
        tab = self.open()
        tab.wait_text(bad, bad + '.raw')
        for place in ('#/pool/' + bad, '#/volume/' + bad, '#/volume/%', '#/' + bad, '#/pool/tank'):
            tab.run(f'location.hash = {json.dumps(place)}')
            tab.run('new Promise(done => requestAnimationFrame(() => setTimeout(done)))')
        tab.wait_text(bad)
        self.assertEqual(tab.run('document.querySelectorAll("img:not([src=\'icon.svg\'])").length'),
                         0)
        self.assertIsNone(tab.run('window.hacked || null'))
        # And the policy would refuse who tried.
        self.assertIn('TypeError', tab.run(
            '(() => { try { document.body.innerHTML = "<b>x</b>"; return "done"; }'
            ' catch (error) { return error.name; } })()'))

    def test_daemon_goes_and_comes_back(self):
        self.start()
        tab = self.open()
        tab.wait_text('No pool yet')
        self.stop()
        tab.wait_text('The daemon does not answer')
        self.start()
        tab.wait('!document.body.innerText.includes("does not answer")')

    def test_behind_tls(self):
        self.start('--listen', '127.0.0.1:0')
        url = self.request('GET', '/v1')[1]['url']
        tab = self.tab()
        tab.call('Security.enable')
        tab.call('Security.setIgnoreCertificateErrors', {'ignore': True})
        tab.open(url)
        tab.wait_text('Sign in')
        self.shoot(tab, 'login')
        tab.type('#token', 'x' * 64)
        tab.click('form button')
        tab.wait_text('not the right one')
        self.assertNotIn('No pool yet', tab.text())
        with open(os.path.join(self.state, 'web.token'), encoding='ascii') as file:
            token = file.read().strip()
        tab.run('document.querySelector("#token").value = ""')
        tab.type('#token', token)
        tab.click('form button')
        tab.wait_text('No pool yet', 'Sign out')
        tab.click('button.quiet')
        tab.wait_text('Sign in')
        self.assertNotIn('No pool yet', tab.text())

    def test_numbers(self):
        """Quantiles of a histogram, rates out of counters, and how numbers are written."""
        self.start()
        tab = self.open()
        tab.wait_text('No pool yet')
        values = tab.run('''import('./store.js').then(m => [
          m.quantile([0, 10, 0], 0.5), m.quantile([50, 49, 1], 0.99), m.quantile([0, 5], 0.5),
          Number.isNaN(m.quantile([0, 0], 0.5))])''')
        self.assertEqual(values, [1.5e-6, 2e-6, 1e-6, True])
        # Two answers of /v1/top, between which the counters of a bucket wrapped.
        sample = tab.run('''import('./store.js').then(m => {
          const kind = n => ({requests: n, bytes: 4096 * n, ns: 3000 * n});
          const top = (n, ms, latency) => m.topTake({daemon: {verb_running: false}, pools: [],
            volumes: [{name: 'x/v', age_ms: 500, io: {reads: kind(n), writes: kind(2 * n),
              others: kind(0), latency}}]}, ms);
          top(0, 10500, [7, 4294967295, 3]);
          top(100, 12500, [7, 99, 203]);
          return m.state.series.get('volume/x/v').samples[0];
        })''')
        self.assertEqual(sample['ms'], 12000)
        self.assertEqual((sample['reads'], sample['writes'], sample['readBytes']),
                         (50, 100, 50 * 4096))
        self.assertAlmostEqual(sample['mean'], 3e-6)
        self.assertEqual((sample['p50'], sample['p99']), (2e-6, 2e-6))
        # No request since the import, and then some.
        sample = tab.run('''import('./store.js').then(m => {
          const kind = n => ({requests: n, bytes: 4096 * n, ns: 3000 * n});
          const top = (io, ms) => m.topTake({daemon: {verb_running: false}, pools: [],
            volumes: [{name: 'x/w', age_ms: 500, io}]}, ms);
          top(null, 10500);
          top(null, 12500);
          top({reads: kind(10), writes: kind(0), others: kind(0), latency: [0, 10]}, 14500);
          return m.state.series.get('volume/x/w').samples.map(s => [s.reads, s.p50]);
        })''')
        self.assertEqual(sample, [[0, None], [5, 1e-6]])
        for value, words in (('bytes(1023)', '1023 B'), ('bytes(1536)', '1.5 KiB'),
                             ('bytes(2 ** 40)', '1 TiB'), ('latency(0.00012)', '120 µs'),
                             ('latency(0.0123)', '12.3 ms'), ('duration(90061)', '1 d 1 h'),
                             ('count(12345)', '12.3 k'), ('percent(1, 300)', '0.3 %')):
            self.assertEqual(tab.run(f'import("./format.js").then(m => m.{value})'), words)

    def test_contrast(self):
        self.start()
        tab = self.open()
        tab.wait_text('No pool yet')
        for dark in (False, True):
            tab.look(1280, 800, dark)
            for text, ground, ratio in tab.run(CONTRAST):
                self.assertGreaterEqual(ratio, 4.5, (text, ground, dark))


if __name__ == '__main__':
    main()
