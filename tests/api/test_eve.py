# SPDX-License-Identifier: Apache-2.0
"""EVE is told: a controller that loses, mixes up, refuses, hangs and restarts; an agent on the
socket; files. Made up here, from the protocol's description."""
import http.server
import io
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

from quoin_test import BUILD, QUOIN, SOURCE, DaemonTest, main

MIB = 1 << 20
WAIT_S = 60
DEVICE = '01234567-89ab-4def-8123-456789abcdef'


class Frames(io.BytesIO):
    """Bytes that are read as from a socket."""

    def recv(self, length, _flags):
        return self.read(length)


class Controller:
    """Takes messages over HTTP, as it is told to; keeps what it took, with the time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.taken = []     # (kind, message) in the order they came
        self.refused = 0
        self.lose = 0       # so many are heard, and the answer is lost
        self.status = 200
        self.bad = None     # messages with this text in them are refused
        self.hang = threading.Event()
        self.hang.set()
        self.epoch = None
        self.body = b''
        controller = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):  # pylint: disable=invalid-name
                controller.take(self)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = 'http://127.0.0.1:%d' % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, handler):
        body = handler.rfile.read(int(handler.headers['Content-Length']))
        self.hang.wait(WAIT_S)
        head, kind = handler.path.rsplit('/', 1)
        assert head == f'/api/v2/edgedevice/id/{DEVICE}', handler.path
        with self.lock:
            status = self.status
            if self.bad and self.bad.encode() in body:
                status = 422
            if status == 200 and self.lose > 0:
                self.lose -= 1
                self.taken.append((kind, body, handler.headers['Content-Type']))
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
                return
            if status == 200:
                self.taken.append((kind, body, handler.headers['Content-Type']))
            else:
                self.refused += 1
            answer = self.body
            if self.epoch is not None:
                answer = json.dumps({'controller_epoch': self.epoch}).encode()
        try:
            handler.send_response(status)
            handler.send_header('Content-Length', str(len(answer)))
            handler.end_headers()
            handler.wfile.write(answer)
        except OSError:
            pass

    def change(self, **values):
        with self.lock:
            for key, value in values.items():
                setattr(self, key, value)

    def messages(self, kind):
        with self.lock:
            return [json.loads(body) for k, body, _ in self.taken if k == kind]

    def close(self):
        self.hang.set()
        self.server.shutdown()
        self.server.server_close()


def objects(messages):
    """What the messages of state are about: 'device', or a volume's UUID."""
    return [m['vinfo']['uuid'] if 'vinfo' in m else 'device' for m in messages]


class Eve(DaemonTest):
    def setUp(self):
        super().setUp()
        self.a = self.disk('a.img', 64 * MIB)
        self.b = self.disk('b.img', 64 * MIB)
        self.start()

    def controller(self):
        controller = Controller()
        self.addCleanup(controller.close)
        return controller

    def tell(self, controller, *more):
        self.done('eve', 'set', f'device={DEVICE}', f'controller={controller.url}', 'format=json',
                  'metrics=5', *more)

    def mirror(self):
        self.done('pool', 'create', 'tank', 'mirror', self.a, self.b)
        self.done('volume', 'create', 'tank/v', '--size', '8M')
        return self.request('POST', '/v1/volumes/info', {'name': 'tank/v'})[1]['guid']

    def wait(self, what, why='it'):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            value = what()
            if value:
                return value
            time.sleep(0.05)
        self.fail(f'{why}: not seen; {self.way("controller")}')
        return None

    def way(self, name):
        ways = self.request('GET', '/v1/eve')[1]['ways']
        return [way for way in ways if way['way'] == name][0]

    def eve(self, key):
        return self.request('GET', '/v1/eve')[1][key]

    def settled(self, looks=6):
        """Everything is told, and a change from before has been looked at and is told too."""
        before = self.eve('looks')
        self.wait(lambda: self.eve('looks') > before + looks)
        self.wait(lambda: self.way('controller')['pending'] == 0)

    def event_types(self):
        events = self.request('POST', '/v1/events/list', {})[1]['events']
        return [e['type'] for e in events]

    def degrade(self):
        """A drive is missing when the pool comes back."""
        self.done('pool', 'export', 'tank')
        os.rename(self.b, self.b + '.away')
        self.done('pool', 'import', 'tank', self.a)

    # --- The controller ---------------------------------------------------------------------

    def test_one_message_per_change(self):
        controller = self.controller()
        uuid = self.mirror()
        self.tell(controller)
        self.settled()
        said = controller.messages('info')
        self.assertEqual(sorted(objects(said)), sorted(['device', uuid]))
        by_kind = {'vinfo' in m: m for m in said}
        self.assertEqual(by_kind[True]['devId'], DEVICE)
        self.assertEqual(by_kind[True]['vinfo']['displayName'], 'tank/v')
        storage = by_kind[False]['dinfo']['storageInfo'][0]
        self.assertEqual((storage['poolName'], storage['storageState'], storage['currentRaid']),
                         ('tank', 'STORAGE_STATUS_ONLINE', 'STORAGE_RAID_TYPE_RAID1'))
        self.assertEqual({disk['diskName']['name'] for disk in storage['disks']},
                         {self.a, self.b})
        # One change, one message.
        self.done('volume', 'resize', 'tank/v', '16M')
        self.wait(lambda: len(controller.messages('info')) == 3)
        self.settled()
        said = controller.messages('info')[2:]
        self.assertEqual(objects(said), [uuid])
        self.assertEqual(said[0]['vinfo']['resources']['maxSizeBytes'], str(16 * MIB))
        # A delete is the identity alone; and the pool has one fewer.
        self.done('volume', 'destroy', 'tank/v')
        self.wait(lambda: len(controller.messages('info')) >= 5)
        self.settled()
        said = controller.messages('info')[3:]
        self.assertEqual(sorted(objects(said)), sorted(['device', uuid]))
        self.assertIn({'uuid': uuid}, [m.get('vinfo') for m in said])
        self.order_does_not_matter(controller.messages('info'))
        health = controller.messages('hardwarehealth')
        self.assertEqual({d['diskName'] for d in health[0]['disks']}, {self.a, self.b})
        with controller.lock:
            self.assertEqual({kind for _, _, kind in controller.taken}, {'application/json'})

    def order_does_not_matter(self, messages):
        """Who keeps of each object what has the newest time ends with the same state."""
        def state_of(some):
            newest = {}
            for key, message in zip(objects(some), some):
                if key not in newest or newest[key]['atTimeStamp'] < message['atTimeStamp']:
                    newest[key] = message
            return newest
        wanted = dict(zip(objects(messages), messages))
        self.assertGreater(len(messages), len(wanted))
        for seed in range(20):
            # Some come twice, in any order.
            mixed = messages + messages[:seed % 4]
            random.Random(seed).shuffle(mixed)
            self.assertEqual(state_of(mixed), wanted)

    def test_a_fault_is_told(self):
        """The time from the fault to the message is bounded: it is one look, and settling."""
        controller = self.controller()
        self.mirror()
        self.tell(controller)
        self.settled()
        before = len(controller.messages('info'))
        self.degrade()
        self.wait(lambda: [m for m in controller.messages('info')[before:] if 'dinfo' in m and
                           m['dinfo'].get('storageInfo')])
        self.settled()
        storage = [m for m in controller.messages('info')
                   if 'dinfo' in m][-1]['dinfo']['storageInfo'][0]
        self.assertEqual(storage['storageState'], 'STORAGE_STATUS_DEGRADED')
        self.assertIn('missing', storage['poolStatusMsg'])
        self.assertEqual(sorted(d['status'] for d in storage['disks']),
                         ['STORAGE_STATUS_ONLINE', 'STORAGE_STATUS_UNAVAIL'])

    def test_loss_and_restart_of_the_controller(self):
        controller = self.controller()
        uuid = self.mirror()
        controller.change(lose=3, epoch=1)
        self.tell(controller)
        self.settled()
        said = controller.messages('info')
        # What was heard and not answered comes again, and says the same.
        self.assertEqual(set(objects(said)), {'device', uuid})
        self.assertGreater(self.way('controller')['failed'], 0)
        volumes = [m for m in said if 'vinfo' in m]
        self.assertEqual(volumes[0], volumes[-1])
        # Another epoch: it has forgotten all.
        controller.change(epoch=2, taken=[])
        self.wait(lambda: set(objects(controller.messages('info'))) == {'device', uuid})
        self.settled()
        self.assertEqual(sorted(objects(controller.messages('info'))), sorted(['device', uuid]))
        # On request too.
        controller.change(taken=[])
        self.done('eve', 'send')
        self.wait(lambda: set(objects(controller.messages('info'))) == {'device', uuid})
        self.wait(lambda: controller.messages('metrics'))

    def test_refuses_then_takes(self):
        controller = self.controller()
        uuid = self.mirror()
        controller.change(status=503)
        self.tell(controller)
        self.wait(lambda: '503' in (self.way('controller')['problem'] or ''))
        self.assertIn('report.failed', self.event_types())
        out = self.quoin('health')
        self.assertEqual(out.code, 1)
        self.assertIn('answered 503', out.out)
        # A newer state replaces the one that waits.
        self.wait(lambda: self.eve('changes') == 2)
        self.done('volume', 'resize', 'tank/v', '24M')
        self.wait(lambda: self.eve('changes') == 3)
        controller.change(status=200)
        self.done('eve', 'send')
        self.settled()
        sizes = [m['vinfo']['resources']['maxSizeBytes'] for m in controller.messages('info')
                 if 'vinfo' in m and m['vinfo']['uuid'] == uuid]
        self.assertEqual(sizes, [str(24 * MIB)])
        self.assertIsNone(self.way('controller')['problem'])
        self.assertIn('report.works', self.event_types())
        self.assertEqual(self.done('health').code, 0)

    def test_one_message_is_refused(self):
        controller = self.controller()
        self.mirror()
        self.done('volume', 'create', 'tank/bad', '--size', '8M')
        controller.change(bad='"tank/bad"')
        self.tell(controller)
        self.wait(lambda: self.way('controller')['refused'] > 0)
        self.wait(lambda: self.way('controller')['pending'] == 1)
        said = controller.messages('info')
        self.assertEqual([m['vinfo']['displayName'] for m in said if 'vinfo' in m], ['tank/v'])
        self.assertIn('422', self.way('controller')['problem'])
        controller.change(bad=None)
        self.done('eve', 'send')
        self.wait(lambda: self.way('controller')['pending'] == 0)

    def test_hangs_and_disturbs_nobody(self):
        controller = self.controller()
        self.mirror()
        controller.hang.clear()
        out = self.path('out')
        self.tell(controller, f'directory={out}')
        # Files, verbs and questions go on; so does the daemon's end.
        self.wait(lambda: os.path.exists(os.path.join(out, 'metrics.json')))
        self.done('volume', 'create', 'tank/w', '--size', '8M')
        self.done('health')
        self.wait(lambda: 'did not answer' in (self.way('controller')['problem'] or ''))
        self.assertIsNone(self.way('directory')['problem'])
        self.assertEqual(self.stop(), 0)

    def test_counters_survive_a_kill(self):
        controller = self.controller()
        uuid = self.mirror()
        self.tell(controller)
        self.put('tank/v', 4 * MIB)

        def written():
            said = controller.messages('metrics')
            values = [int(v.get('writeBytes', '0')) for m in said for v in m.get('vm', [])
                      if v['uuid'] == uuid]
            return values
        self.wait(lambda: max(written(), default=0) == 4 * MIB)
        said = controller.messages('metrics')[-1]
        zvol = said['dm']['storageMetrics'][0]['zvols'][0]
        self.assertEqual((zvol['volumeUUID'], zvol['bytesWrite']), (uuid, str(4 * MIB)))
        self.stop(signal.SIGKILL)
        count = len(written())
        self.start()
        self.wait(lambda: len(written()) > count + 1)
        self.put('tank/v', 4 * MIB)
        self.wait(lambda: written()[-1] == 8 * MIB)
        self.assertEqual(written(), sorted(written()))

    def put(self, volume, size):
        image = self.path('image')
        with open(image, 'wb') as file:
            file.write(os.urandom(size))
        name = self.path('put.sock')
        self.done('target', 'create', 'put', '--listen', name, volume)
        subprocess.run([os.path.join(BUILD, 'tests/client/nvme-put'), name, image],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        self.done('target', 'destroy', 'put')

    # --- The socket -------------------------------------------------------------------------

    def connect(self):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(peer.close)
        peer.settimeout(WAIT_S)
        self.wait(lambda: peer.connect_ex(self.path('eve.sock')) == 0)
        return peer

    @staticmethod
    def frame(peer):
        head = peer.recv(8, socket.MSG_WAITALL)
        if len(head) < 8:
            return None, b''
        length, kind, zero = struct.unpack('<IB3s', head)
        assert zero == b'\0\0\0'
        return kind, peer.recv(length, socket.MSG_WAITALL)

    @unittest.skipUnless(shutil.which('protoc'), 'protoc is not installed')
    def test_an_agent_on_the_socket(self):
        uuid = self.mirror()
        self.done('eve', 'set', f'socket={self.path("eve.sock")}', 'metrics=5')
        peer = self.connect()
        self.assertEqual(os.stat(self.path('eve.sock')).st_mode & 0o777, 0o600)

        def all_of_it():
            kinds, text = set(), ''
            while kinds != {1, 2, 3} or uuid not in text or 'tank' not in text:
                kind, data = self.frame(peer)
                kinds.add(kind)
                name = {1: 'ZInfoMsg', 2: 'ZMetricMsg', 3: 'ZHardwareHealth'}[kind]
                text += subprocess.run(
                    ['protoc', '-I', os.path.join(SOURCE, 'src/eve/proto'),
                     f'--decode=eve.{name}', 'eve.proto'], input=data, check=True,
                    capture_output=True).stdout.decode() if kind == 1 else ''
        all_of_it()
        peer.sendall(b'send\n')
        all_of_it()
        # The first epoch says nothing new; another one does.
        peer.sendall(b'epoch 1\nepoch 1\nepoch 2\n')
        kinds = [self.frame(peer)[0] for _ in range(2)]
        self.assertIn(1, kinds)
        # Another agent has all of its own, whatever this one does.
        other = self.connect()
        self.assertEqual(self.frame(other)[0], 1)
        self.assertEqual(self.way('socket')['peers'], 2)
        other.sendall(b'what?\n')
        while self.frame(other)[0] is not None:
            pass
        self.wait(lambda: self.way('socket')['peers'] == 1)
        self.wait(lambda: 'no request' in (self.way('socket')['problem'] or ''))
        other = self.connect()
        other.sendall(b'x' * 1000)
        self.wait(lambda: self.way('socket')['peers'] == 1)
        peer.close()
        self.wait(lambda: self.way('socket')['peers'] == 0)
        self.done('eve', 'set', 'socket=none')
        self.assertFalse(os.path.exists(self.path('eve.sock')))

    @unittest.skipUnless(shutil.which('protoc'), 'protoc is not installed')
    def test_printed(self):
        """quoin health in EVE's words: the JSON and the binary say the same."""
        uuid = self.mirror()
        # Once the daemon has looked at the pool.
        self.wait(lambda: uuid in self.done('health', '--format', 'eve-json').out)
        printed = self.done('health', '--format', 'eve-json').json
        self.assertEqual(set(printed), {'info', 'metrics', 'hardwarehealth'})
        self.refused('health', '--format', 'eve', code=2, says='eve-binary')
        for option in ('--json', '--watch'):
            self.refused('health', '--format', 'eve-json', option, code=2, says='excludes')
        data = subprocess.run([QUOIN, 'health', '--format', 'eve-binary', '--socket', self.socket],
                              check=True, capture_output=True, timeout=120).stdout
        frames = Frames(data)
        found = [self.frame(frames) for _ in range(len(printed['info']) + 2)]
        self.assertEqual(frames.read(), b'')
        self.assertEqual([kind for kind, _ in found], [1] * len(printed['info']) + [2, 3])
        text = ''.join(subprocess.run(
            ['protoc', '-I', os.path.join(SOURCE, 'src/eve/proto'), '--decode=eve.ZInfoMsg',
             'eve.proto'], input=message, check=True, capture_output=True).stdout.decode()
                       for kind, message in found if kind == 1)
        self.assertIn(uuid, text)
        self.assertIn('tank', text)

    def test_a_socket_that_cannot_be(self):
        where = self.path('eve.sock')
        with open(where, 'w', encoding='utf-8'):
            pass
        self.done('eve', 'set', f'socket={where}')
        self.wait(lambda: 'cannot listen' in (self.way('socket')['problem'] or ''))
        self.assertTrue(os.path.isfile(where))
        # One that a dead daemon left is replaced.
        os.unlink(where)
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(where)
        dead.close()
        self.wait(lambda: self.way('socket')['problem'] is None)
        self.connect()

    # --- Files ------------------------------------------------------------------------------

    def test_files(self):
        uuid = self.mirror()
        out = self.path('out')
        self.done('eve', 'set', f'directory={out}', 'format=json', 'metrics=5')
        names = {'info-device.json', f'info-volume-{uuid}.json', 'metrics.json',
                 'hardwarehealth.json'}
        self.wait(lambda: os.path.isdir(out) and set(os.listdir(out)) == names)
        stale = os.path.join(out, 'info-volume-01234567-89ab-4def-8123-456789abcdef.json')
        mine = os.path.join(out, 'mine')
        for path in (stale, mine):
            with open(path, 'w', encoding='utf-8') as file:
                file.write('{}')
        self.done('volume', 'destroy', 'tank/v')

        def gone():
            with open(os.path.join(out, f'info-volume-{uuid}.json'), encoding='utf-8') as file:
                return json.load(file)['vinfo'] == {'uuid': uuid}
        self.wait(gone)
        self.wait(lambda: not os.path.exists(stale))
        self.assertTrue(os.path.exists(mine))
        self.done('eve', 'set', 'directory=none')

    def test_no_room_for_files(self):
        """A directory that cannot be had, and one whose files cannot be made; then it can."""
        self.mirror()
        out = self.path('there/out')
        self.done('eve', 'set', f'directory={out}', 'format=json', 'metrics=5')
        self.wait(lambda: 'cannot make directory' in (self.way('directory')['problem'] or ''))
        self.assertIn('report.failed', self.event_types())
        self.done('volume', 'create', 'tank/w', '--size', '8M')
        os.mkdir(self.path('there'))
        self.done('eve', 'send')
        self.wait(lambda: self.way('directory')['problem'] is None)
        self.wait(lambda: self.way('directory')['pending'] == 0)

    def test_files_on_a_full_disk(self):
        """Files have no byte of room: RLIMIT_FSIZE stands for the disk."""
        self.stop()
        out = self.path('out')
        with open(os.path.join(self.state, 'eve.json'), 'w', encoding='utf-8') as file:
            json.dump({'version': 1, 'eve': {'directory': out, 'format': 'json',
                                             'metrics_s': 5}}, file)
        import resource  # pylint: disable=import-outside-toplevel
        self.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 1 << 40)))
        self.wait(lambda: 'File too large' in (self.way('directory')['problem'] or ''))
        self.assertEqual([n for n in os.listdir(out) if n.startswith('info')], [])
        self.done('eve', 'print')
        resource.prlimit(self.daemon.pid, resource.RLIMIT_FSIZE, (1 << 40, 1 << 40))
        self.done('eve', 'send')
        self.wait(lambda: os.path.exists(os.path.join(out, 'info-device.json')))
        self.wait(lambda: self.way('directory')['problem'] is None)

    # --- Settings ---------------------------------------------------------------------------

    def test_settings_are_kept(self):
        self.done('eve', 'set', f'device={DEVICE}', f'directory={self.path("out")}', 'info=30')
        self.stop()
        self.start()
        settings = self.done('eve', 'show', '--json').json['settings']
        self.assertEqual((settings['device'], settings['directory'], settings['info_s']),
                         (DEVICE, self.path('out'), 30))
        for word in ('device', DEVICE, 'every 30 s', 'directory', 'binary'):
            self.assertIn(word, self.done('eve', 'show').out)
        self.refused('eve', 'set', 'metrics=1', says='5 to 3600')
        self.refused('eve', 'set', 'controller=ftp://x', says='http://')
        self.refused('eve', 'set', 'device=none', 'controller=http://x', says='device')
        self.refused('eve', 'set', 'colour=red', code=2, says='no setting')
        self.refused('eve', 'set', 'info', code=2, says='KEY=VALUE')
        self.stop()
        with open(os.path.join(self.state, 'eve.json'), 'w', encoding='utf-8') as file:
            file.write('{"version": 2}')
        code, words = self.refused_start()
        self.assertEqual(code, 1)
        self.assertIn('eve.json', words)
        self.assertIn('newer', words)

    def test_damaged_counters(self):
        self.stop()
        with open(os.path.join(self.state, 'eve-totals.json'), 'w', encoding='utf-8') as file:
            file.write('{"version": 1, "totals": [[')
        self.start()
        self.assertIn('damaged', self.request('GET', '/v1/eve')[1]['counters_problem'])
        self.assertIn('counters begin anew', self.done('eve', 'show').out)


def all_at_once():
    """They wait most of the time, so each is a process of its own."""
    names = unittest.defaultTestLoader.getTestCaseNames(Eve)
    runs = {name: subprocess.Popen([sys.executable, __file__, 'Eve.' + name],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for name in names}
    failed = [name for name, run in runs.items()
              if print(run.communicate()[0]) or run.returncode != 0]
    sys.exit(f'failed: {failed}' if failed or not runs else 0)


if __name__ == '__main__':
    if len(sys.argv) > 1:
        main()
    all_at_once()
