# SPDX-License-Identifier: Apache-2.0
"""Where images come from, besides files and good web servers: servers without byte ranges, that
hang, end early or cannot be trusted; NBD servers; volumes and snapshots of pools."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import unittest

from deploy_test import MIB, SIZE, DeployTest, Web
from quoin_test import main


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class InOrder(DeployTest):
    """A web server that sends files only as a whole."""

    def staged(self):
        return os.listdir(os.path.join(self.state, 'staging'))

    def test_raw_is_read_as_it_passes(self):
        web = self.web(ranges=False)
        raw = self.raw()
        out = self.done('volume', 'deploy', 'tank/v', '--from', web.url('raw'), '--rate', '2M').out
        self.assertIn('It is read in order', out)
        state = self.deployment()
        self.assertEqual((state['access'], state['again'], state['original_bytes']),
                         ('sequential', False, SIZE))
        # The guest is ahead of the stream, and waits.
        self.same(self.read(self.target()), raw)
        self.quoin('volume', 'resume', 'tank/v', '--rate', '1G')
        self.until('none', 'done')
        self.assertLess(web.sent, SIZE * 1.1)
        self.done('target', 'destroy', 't')
        for digest, why in ((self.sha256(raw), None), ('0' * 64, 'SHA-256')):
            web.sent = 0
            result = self.quoin('volume', 'deploy', 'tank/w', '--from', web.url('raw'), '--wait',
                                '--sha256', digest)
            self.assertEqual(result.code, 1 if why else 0, result.err)
            self.assertIn(why or '', result.err)
            self.assertLess(web.sent, SIZE * 1.1)
            self.done('volume', 'destroy', 'tank/w')
        self.no_children()

    def test_a_restart_begins_again(self):
        web = self.web(ranges=False)
        raw = self.raw()
        self.done('volume', 'deploy', 'tank/v', '--from', web.url('raw'), '--rate', '512K')
        wait_for(lambda: self.deployment()['here_bytes'] >= 2 * MIB)
        before = self.deployment()['here_bytes']
        time.sleep(1.2)  # the record is written each second
        self.stop(signal.SIGKILL)
        self.start()
        self.done('volume', 'pause', 'tank/v')
        wait_for(lambda: self.deployment()['again'])
        self.assertGreaterEqual(self.deployment()['here_bytes'], before)
        self.assertIn('from the beginning again', self.done('volume', 'info', 'tank/v').out)
        self.assertIn('from its beginning again', self.read_log())
        self.done('volume', 'resume', 'tank/v', '--rate', '1G')
        self.until('none', 'done')
        self.same(self.read(self.target()), raw)

    def test_early_ends_stalls_and_changes(self):
        web = self.web(ranges=False)
        raw = self.raw()
        web.cut = 5 * MIB
        self.done('volume', 'deploy', 'tank/v', '--from', web.url('raw'))
        state = self.until('waiting')
        self.assertIn(f'ended early, after {5 * MIB} of {SIZE} bytes', state['problem'])
        web.cut = None
        self.done('volume', 'resume', 'tank/v')
        self.until('none', 'done')
        self.same(self.read(self.target()), raw)
        self.done('target', 'destroy', 't')
        # One that stalls holds nobody up who wants to be rid of it.
        web.gate.clear()
        result = self.request('POST', '/v1/volumes/deploy', {'name': 'tank/w',
                                                             'source': web.url('raw')})
        self.assertEqual(result[0], 202)
        self.assertEqual(self.deployment('tank/w')['state'], 'opening')
        self.done('volume', 'cancel', 'tank/w')
        web.gate.set()
        self.done('volume', 'deploy', 'tank/w', '--from', web.url('raw'), '--rate', '64K')
        web.etag = '"2"'
        self.stop()
        self.start()
        self.assertIn('changed', self.until('failed', name='tank/w')['problem'])

    def test_formats_are_staged(self):
        web = self.web(ranges=False)
        raw = self.raw()
        for form in ('qcow2', 'vhdx'):
            with self.subTest(form=form):
                image = self.convert(raw, form)
                self.done('volume', 'deploy', 'tank/v', '--from', web.url(f'image.{form}'),
                          '--wait', '--sha256', self.sha256(image))
                self.same(self.read(self.target()), raw)
                self.done('target', 'destroy', 't')
                self.done('volume', 'destroy', 'tank/v')
                self.assertEqual(self.staged(), [])
        web.sent = 0
        result = self.quoin('volume', 'deploy', 'tank/v', '--from', web.url('image.vhdx'),
                            '--sha256', '0' * 64)
        self.assertIn('does not have the SHA-256', result.err)
        self.assertLess(web.sent, os.path.getsize(image) * 1.1)
        self.assertEqual((self.staged(), self.done('volume', 'list', '--json').json['volumes']),
                         ([], []))
        self.no_children()
        # With byte ranges nothing need be staged, but for one reading in the place of two.
        web = self.web()
        image = self.convert(raw, 'qcow2')
        self.done('volume', 'deploy', 'tank/v', '--from', web.url('image.qcow2'), '--mode',
                  'first', '--sha256', self.sha256(image))
        self.same(self.read(self.target()), raw)
        # What qemu-img looks at comes on top.
        self.assertLess(web.sent, os.path.getsize(image) * 1.4)
        self.assertEqual(self.staged(), [])

    def test_staging_can_be_watched_given_up_and_killed(self):
        web = self.web(ranges=False)
        self.convert(self.raw(), 'qcow2')
        ask = {'name': 'tank/v', 'source': web.url('image.qcow2'), 'rate': MIB}

        def half():
            state = self.deployment()
            return state['access'] == 'staged' and state['passed_bytes'] > 0

        self.assertEqual(self.request('POST', '/v1/volumes/deploy', ask)[0], 202)
        wait_for(half)
        self.assertEqual(self.deployment()['state'], 'opening')
        self.assertEqual(len(self.staged()), 1)
        self.done('volume', 'cancel', 'tank/v')
        self.assertEqual(self.staged(), [])
        self.assertEqual(self.request('POST', '/v1/volumes/deploy', ask)[0], 202)
        wait_for(half)
        self.stop(signal.SIGKILL)
        self.assertEqual(len(self.staged()), 1)
        self.start()
        self.assertEqual(self.staged(), [])
        # It cannot be more than there is room for, and that is told before it is fetched.
        web.claim, web.sent = 1 << 50, 0
        result = self.quoin('volume', 'deploy', 'tank/v', '--from', web.url('image.qcow2'))
        self.assertIn('are free there', result.err)
        self.assertEqual(len(result.err.splitlines()), 1)


class Others(DeployTest):
    def free_port(self):
        with socket.socket() as place:
            place.bind(('127.0.0.1', 0))
            return place.getsockname()[1]

    def listens(self, port):
        with socket.socket() as client:
            return client.connect_ex(('127.0.0.1', port)) == 0

    def serve(self, *words):
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)

    def test_nbd_servers(self):
        raw = self.raw()
        image = self.convert(raw, 'qcow2', '-c')
        port, place = self.free_port(), self.path('nbd.sock')
        self.serve('nbdkit', '-f', '-r', '-i', '127.0.0.1', '-p', str(port), 'file', raw)
        self.serve('qemu-nbd', '-r', '-t', '-e', '8', '-x', 'disk', '-f', 'qcow2', '-k', place,
                   image)
        wait_for(lambda: os.path.exists(place) and self.listens(port))
        self.arrives(f'nbd://127.0.0.1:{port}/', raw)
        self.arrives(f'nbd+unix:///disk?socket={place}', raw)
        for source, why in ((f'nbd+unix:///other?socket={place}', 'other'),
                            (f'nbd+unix:///?socket={self.path("none")}', 'No such file'),
                            ('nbd://name.invalid/', 'name.invalid')):
            with self.subTest(source=source):
                self.refused('volume', 'deploy', 'tank/v', '--from', source, says=why)

        port = self.free_port()
        words = ('nbdkit', '-f', '-r', '-i', '127.0.0.1', '-p', str(port), 'file', raw)
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        wait_for(lambda: self.listens(port))
        self.done('volume', 'deploy', 'tank/v', '--from', f'nbd://127.0.0.1:{port}/', '--rate',
                  '64K')
        child.kill()
        child.wait()
        self.until('waiting')
        self.serve(*words)
        wait_for(lambda: self.listens(port))
        self.done('volume', 'resume', 'tank/v', '--rate', '1G')
        self.until('none', 'done')
        self.same(self.read(self.target()), raw)

    @unittest.skipUnless(shutil.which('openssl'), 'openssl is not installed')
    def test_a_certificate_that_does_not_verify(self):
        self.raw()
        key, certificate = self.path('key'), self.path('certificate')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj',
                        '/CN=localhost', '-keyout', key, '-out', certificate], check=True,
                       capture_output=True, timeout=60)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        web = Web(self.directory, tls)
        self.addCleanup(web.stop)
        self.refused('volume', 'deploy', 'tank/v', '--from', web.url('raw'), says='certificate')

    def test_a_server_that_hangs_holds_nobody_up(self):
        """Verbs, an export of the pool, the end of the daemon."""
        with socket.socket() as place:
            place.bind(('127.0.0.1', 0))
            place.listen(8)
            ask = {'name': 'tank/v', 'source': f'http://127.0.0.1:{place.getsockname()[1]}/x'}
            for end in (lambda: self.done('volume', 'cancel', 'tank/v'),
                        lambda: self.done('pool', 'export', 'tank')):
                self.assertEqual(self.request('POST', '/v1/volumes/deploy', ask)[0], 202)
                wait_for(lambda: self.deployment()['state'] == 'opening')
                end()
            self.done('pool', 'import', 'tank', self.path('pool'))
            self.assertEqual(self.request('POST', '/v1/volumes/deploy', ask)[0], 202)
            self.assertEqual(self.stop(), 0)
            self.start()
            self.assertEqual(self.done('volume', 'list', '--json').json['volumes'], [])

    def test_targets_start_when_their_volume_is_there(self):
        raw = self.raw()
        self.done('volume', 'create', 'tank/v', '--size', '12M')
        self.target()
        self.stop()
        # Its volume is one that there is not.
        with open(os.path.join(self.state, 'targets.json'), encoding='utf-8') as file:
            text = file.read()
        with open(os.path.join(self.state, 'targets.json'), 'w', encoding='utf-8') as file:
            file.write(text.replace('tank/v', 'tank/w'))
        self.start()
        failure = self.request('GET', '/v1/targets/t')[1]
        self.assertNotEqual(failure['failure'], None, json.dumps(failure))
        self.done('volume', 'deploy', 'tank/w', '--from', raw, '--mode', 'first')
        wait_for(lambda: self.request('GET', '/v1/targets/t')[1]['failure'] is None)
        self.same(self.read(self.path('t.sock')), raw)


class Pools(DeployTest):
    def setUp(self):
        super().setUp()
        self.done('pool', 'create', 'tub', self.disk('other', 512 * MIB))
        self.raw_path = self.raw()
        self.done('volume', 'deploy', 'tub/src', '--from', self.raw_path, '--wait')

    def snapshots(self, pool='tub'):
        answer = self.request('POST', '/v1/snapshots/list', {'name': pool})[1]
        return [one['name'] for one in answer['snapshots']]

    def test_volumes_and_snapshots_of_another_pool(self):
        self.done('volume', 'snapshot', 'tub/src@s')
        for source in ('tub/src@s', 'tub/src'):
            with self.subTest(source=source):
                self.done('volume', 'deploy', 'tank/v', '--from', source, '--wait', '--size',
                          '20M', '--sha256', self.sha256(self.raw_path))
                self.same(self.read(self.target()), self.raw_path)
                self.done('target', 'destroy', 't')
                self.done('volume', 'destroy', 'tank/v')
                wait_for(lambda: self.snapshots() == ['tub/src@s'])
        # Nothing is held any more.
        self.done('volume', 'destroy', 'tub/src', '-r')
        for source, why in (('tub/none', 'tub/none: there is no such'), ('tub/src@s', 'no such'),
                            ('none/src', 'no pool'), ('what is this', 'no source')):
            self.refused('volume', 'deploy', 'tank/v', '--from', source, says=why)

    def test_it_goes_on_after_a_kill(self):
        self.done('volume', 'deploy', 'tank/v', '--from', 'tub/src', '--rate', '64K')
        self.assertEqual(len(self.snapshots()), 1)
        self.same(self.read(self.target()), self.raw_path)
        self.done('target', 'destroy', 't')
        self.done('volume', 'deploy', 'tank/w', '--from', 'tub/src', '--rate', '64K')
        for number in (signal.SIGKILL, signal.SIGTERM):
            self.stop(number)
            self.start()
            self.assertIn(len(self.snapshots()), (1, 2))
        self.refused('pool', 'export', 'tub', says='being copied to a volume of another pool')
        self.quoin('volume', 'resume', 'tank/v', '--rate', '1G')
        self.done('volume', 'resume', 'tank/w', '--rate', '1G')
        for name in ('tank/v', 'tank/w'):
            self.until('none', 'done', name=name)
        wait_for(lambda: self.snapshots() == [])
        self.done('pool', 'export', 'tub')
        self.same(self.read(self.target(volume='tank/w')), self.raw_path)

    def test_its_pool_comes_back(self):
        self.done('volume', 'deploy', 'tank/v', '--from', 'tub/src', '--rate', '64K')
        self.stop()
        os.rename(self.path('other'), self.path('away'))
        self.start()
        self.assertIn('not imported', self.until('waiting')['problem'])
        os.rename(self.path('away'), self.path('other'))
        self.done('pool', 'import', 'tub')
        self.until('arriving')
        self.done('volume', 'cancel', 'tank/v')
        wait_for(lambda: self.snapshots() == [])
        # Nor does it stay for a pool that there is no more.
        self.done('volume', 'deploy', 'tank/v', '--from', 'tub/src', '--rate', '64K')
        self.assertEqual(len(self.snapshots()), 1)
        self.done('pool', 'destroy', 'tank', '--force')
        self.assertEqual(self.snapshots(), [])

    def test_the_same_pool_and_templates(self):
        self.done('volume', 'deploy', 'tub/copy', '--from', 'tub/src', '--size', '20M')
        info = self.done('volume', 'info', 'tub/copy', '--json').json
        self.assertEqual((info['origin'], info['size_bytes']), (None, 20 * MIB))
        self.same(self.read(self.target(volume='tub/copy')), self.raw_path)
        self.assertEqual(self.snapshots(), [])
        for words, why in ((('--rate', '1M'), 'no rate'), (('--size', '4M'), 'larger --size')):
            self.refused('volume', 'deploy', 'tub/x', '--from', 'tub/src', *words, says=why)
        self.done('target', 'destroy', 't')
        self.done('volume', 'destroy', 'tub/copy')
        self.done('volume', 'snapshot', 'tub/src@1')
        self.done('snapshot', 'hold', 'tub/src@1', 'mine')
        self.done('snapshot', 'set', 'tub/src@1', 'template=on')
        self.done('snapshot', 'set', 'tub/src@1', 'template=on')
        self.done('snapshot', 'release', 'tub/src@1', 'mine')
        for round_number in range(2):
            listed = self.done('snapshot', 'list', 'tub', '--json').json['snapshots'][0]
            self.assertEqual((listed['template'], listed['holds']), (True, []))
            self.assertRegex(self.done('snapshot', 'list', 'tub').out, r'tub/src@1 .* yes +-')
            self.done('volume', 'deploy', 'tub/v', '--from', 'tub/src@1', '--size', '20M')
            info = self.done('volume', 'info', 'tub/v', '--json').json
            self.assertEqual((info['origin'], info['size_bytes']), ('tub/src@1', 20 * MIB))
            self.done('volume', 'destroy', 'tub/v')
            for words in (('snapshot', 'destroy', 'tub/src@1'),
                          ('volume', 'destroy', 'tub/src', '-r')):
                self.refused(*words, says='is a template')
            if round_number == 0:
                self.stop(signal.SIGKILL)
                self.start()
        self.refused('snapshot', 'release', 'tub/src@1', 'quoin:template', says="pool's own")
        self.refused('snapshot', 'set', 'tub/src@3', 'template=off', says='no such snapshot')
        self.refused('snapshot', 'set', 'tub/src@1', 'template=maybe', code=2, says='on or off')
        self.done('snapshot', 'set', 'tub/src@1', 'template=off')
        self.done('snapshot', 'destroy', 'tub/src@1')


if __name__ == '__main__':
    main()
