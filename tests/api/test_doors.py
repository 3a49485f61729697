# SPDX-License-Identifier: Apache-2.0
"""The doors of the server: TCP only with TLS and a token, and only to read; the page; what browsers
bring; clients that are slow."""
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time

from quoin_test import BUILD, DaemonTest, UnixConnection, main

READING = {('POST', '/v1/events/list'), ('POST', '/v1/volumes/info'),
           ('POST', '/v1/volumes/deploy/info'), ('POST', '/v1/snapshots/list')}
PATIENCE_S = 60


def routes():
    out = subprocess.run([os.path.join(BUILD, 'tests/api/list-routes')], check=True,
                         capture_output=True, text=True).stdout
    return [tuple(line.split()) for line in out.splitlines()]


class Drip:
    """Clients that send a request, byte after byte, and never its end."""

    def __init__(self, connect, number):
        self.clients = []
        self.stopping = threading.Event()
        for _ in range(number):
            try:
                self.clients.append(connect())
            except OSError:
                pass
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(0.3):
            for client in self.clients:
                try:
                    client.send(b'x')
                except OSError:
                    pass

    def stop(self):
        self.stopping.set()
        self.thread.join()
        for client in self.clients:
            client.close()


class DoorTest(DaemonTest):
    def answered(self, ask):
        """In the end, whoever else is there."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                return ask()
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
        self.fail('slow clients keep others out')
        return None

    def local(self, method, path, headers, body=None):
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer
        finally:
            connection.close()


class Local(DoorTest):
    def test_no_door_but_the_socket(self):
        self.start()
        self.assertIsNone(self.request('GET', '/v1')[1]['url'])
        fds = f'/proc/{self.daemon.pid}/fd'
        ours = {os.readlink(os.path.join(fds, fd)) for fd in os.listdir(fds)}
        for table in ('tcp', 'tcp6', 'udp', 'udp6'):
            with open('/proc/net/' + table, encoding='ascii') as file:
                inodes = {f'socket:[{line.split()[9]}]' for line in list(file)[1:]}
            self.assertEqual(ours & inodes, set())
        self.assertFalse(os.path.exists(os.path.join(self.state, 'web.token')))

    def test_page(self):
        self.start()
        status, text, answer = self.local('GET', '/', {})
        self.assertEqual(status, 200)
        self.assertEqual(answer.getheader('Content-Type'), 'text/html; charset=utf-8')
        policy = answer.getheader('Content-Security-Policy')
        for word in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
            self.assertIn(word, policy)
        self.assertNotIn('unsafe', policy)
        self.assertNotRegex(text.decode(), r'<script>|<style| on\w+=|https?://')
        names = set(re.findall(r'(?:src|href)="([^"]+)"', text.decode()))
        self.assertEqual(names, {'page.js', 'page.css', 'icon.svg'})
        total = len(text)
        while names:
            name = names.pop()
            status, text, answer = self.local('GET', '/' + name, {})
            self.assertEqual(status, 200, name)
            total += len(text)
            tag = answer.getheader('ETag')
            self.assertEqual(self.local('GET', '/' + name, {'If-None-Match': tag})[:2], (304, b''))
            self.assertEqual(self.local('HEAD', '/' + name, {})[:2], (200, b''))
            names |= set(re.findall(r"from '\./(\w+\.js)'", text.decode())) - self.seen(name)
        self.assertLess(total, 100 << 10)

    def seen(self, name):
        self.names = getattr(self, 'names', set()) | {name}
        return self.names

    def test_pages_of_others(self):
        self.start()
        for host, status in (('localhost', 200), ('localhost:8006', 200), ('127.0.0.1:1', 200),
                             ('[::1]:8006', 200), ('unix', 200), ('evil.example', 403),
                             ('evil.example:8006', 403), ('127.0.0.1.evil.example', 403),
                             ('[::1].evil.example', 403), ('[fe80::1]', 403), ('x:y.z', 403),
                             ('10.0.0.1', 403)):
            self.assertEqual(self.local('GET', '/v1/health', {'Host': host})[0], status, host)
        target = json.dumps({'name': 'a'})
        for origin in ('null', 'http://localhost:8006', 'https://evil.example'):
            headers = {'Origin': origin, 'Content-Type': 'text/plain'}
            status, text, _ = self.local('POST', '/v1/targets', headers, target)
            self.assertEqual((status, json.loads(text)['error']['code']), (403, 'denied'))
            self.assertEqual(self.local('POST', '/v1/events/list', headers, '{}')[0], 200)
            answer = self.local('GET', '/v1', headers)[2]
            self.assertEqual(answer.status, 200)
            self.assertIsNone(answer.getheader('Access-Control-Allow-Origin'))
        self.assertEqual(self.request('GET', '/v1/targets')[1]['targets'], [])
        self.assertEqual(self.local('POST', '/v1/targets', {}, target)[0], 201)

    def test_slow_clients(self):
        """More of them than may connect, all busy: others are served nevertheless."""
        self.start()

        def connect():
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(2)
            try:
                client.connect(self.socket)
                client.send(b'GET /v1 HTTP/1.1\r\nX: ')
            except OSError:
                client.close()
                raise
            return client

        drip = Drip(connect, 90)
        try:
            self.assertEqual(self.answered(lambda: self.request('GET', '/v1/health'))[0], 200)
            self.assertEqual(self.answered(lambda: self.request('GET', '/v1'))[0], 200)
        finally:
            drip.stop()


class Tcp(DoorTest):
    def setUp(self):
        super().setUp()
        self.certificate = os.path.join(self.state, 'web.crt')
        self.key = os.path.join(self.state, 'web.key')
        self.token_file = os.path.join(self.state, 'web.token')
        self.token = None

    def open(self, *options):
        self.start('--listen', '127.0.0.1:0', *options)
        self.url = self.request('GET', '/v1')[1]['url']
        self.assertRegex(self.url, r'^https://127\.0\.0\.1:\d+$')
        self.port = int(self.url.rsplit(':', 1)[1])
        if os.path.exists(self.token_file):
            with open(self.token_file, encoding='ascii') as file:
                self.token = file.read().strip()

    def ask(self, method, path, body=None, authorization='right', certificate=None):
        """Name and certificate are checked: (status, answer)."""
        context = ssl.create_default_context(cafile=certificate or self.certificate)
        connection = http.client.HTTPSConnection('127.0.0.1', self.port, timeout=30,
                                                 context=context)
        headers = {}
        if authorization == 'right':
            authorization = 'Bearer ' + self.token
        if authorization is not None:
            headers['Authorization'] = authorization
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer
        finally:
            connection.close()

    def test_token(self):
        self.open()
        self.assertRegex(self.token, r'^[0-9a-f]{64}$')
        for path in (self.token_file, self.key):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        token = self.token
        for given in (None, '', 'Bearer', 'Bearer ', token, f'Basic {token}', f'Bearer {token}0',
                      f'Bearer {token[:-1]}', f'Bearer {token[:-1]}x', f'Bearer x{token[1:]}',
                      f'Bearer  {token}', 'Bearer ' + 'x' * 8000):
            status, text, answer = self.ask('GET', '/v1/health', authorization=given)
            self.assertEqual((status, json.loads(text)['error']['code']), (401, 'unauthorized'))
            self.assertEqual(answer.getheader('WWW-Authenticate'), 'Bearer')
            self.assertEqual(self.ask('GET', '/nowhere', authorization=given)[0], 401)
            self.assertEqual(self.ask('POST', '/v1/targets', {'name': 'a'}, given)[0], 401)
        self.assertEqual(self.ask('GET', '/v1/health', authorization=f'bearer {token}')[0], 200)
        self.assertEqual(self.ask('GET', '/', authorization=None)[0], 200)
        # The same after a restart, as nobody wants to copy it again.
        self.stop()
        self.open()
        self.assertEqual(self.token, token)
        self.assertEqual(self.ask('GET', '/v1')[0], 200)
        self.assertIn('page    ' + self.url, self.done('daemon', 'status').out)

    def test_it_only_reads(self):
        self.open()
        self.assertEqual(self.ask('GET', '/metrics')[0], 200)
        self.assertEqual(self.ask('POST', '/v1/events/list', {})[0], 200)
        self.assertEqual(self.ask('GET', '/nowhere')[0], 404)
        self.assertEqual(self.ask('BREW', '/v1')[0], 405)
        refused = 0
        for method, pattern in routes():
            path = pattern.replace('{name}', 'a').replace('{nsid}', '1').replace('{id}', '1')
            status = self.ask(method, path, {'name': 'a'} if method != 'GET' else None)[0]
            if method == 'GET' or (method, pattern) in READING:
                self.assertIn(status, (200, 400, 404), (method, path))
            else:
                self.assertEqual(status, 403, (method, path))
                refused += 1
        self.assertGreater(refused, 25)
        self.assertEqual(self.request('GET', '/v1/targets')[1]['targets'], [])

    def test_not_tls(self):
        self.open()
        for data in (b'GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n', b'\x16\x03\x01\xff\xff' + b'x' * 70000,
                     b'\0' * 1000, b''):
            with socket.create_connection(('127.0.0.1', self.port), 30) as client:
                try:
                    client.sendall(data)
                    client.shutdown(socket.SHUT_WR)
                    while answer := client.recv(65536):
                        self.assertNotIn(b'HTTP', answer)
                except OSError:
                    pass
        self.assertEqual(self.ask('GET', '/v1')[0], 200)

    def test_large_requests(self):
        self.open()
        self.assertEqual(self.ask('POST', '/v1/events/list', {'object': 'x' * 70000})[0], 413)
        self.assertEqual(self.ask('POST', '/v1/events/list', {'object': 'x' * 70000}, None)[0], 401)
        try:
            self.assertGreaterEqual(self.ask('GET', '/' + 'x' * 60000)[0], 400)
        except (OSError, http.client.HTTPException):
            pass
        self.assertEqual(self.ask('GET', '/v1')[0], 200)

    def test_slow_clients(self):
        """At the handshake and after it: they keep nobody out, and never the UNIX socket."""
        self.open()
        context = ssl.create_default_context(cafile=self.certificate)
        left = [44]

        def connect():
            client = socket.create_connection(('127.0.0.1', self.port), 2)
            if left[0] > 0:
                left[0] -= 1
                client = context.wrap_socket(client, server_hostname='127.0.0.1')
                client.send(b'GET /v1 HTTP/1.1\r\nX: ')
            else:
                client.send(b'\x16\x03\x01\x40\x00')  # A record of 16 KiB begins.
            return client

        drip = Drip(connect, 60)
        try:
            self.assertEqual(self.request('GET', '/v1/health')[0], 200)
            self.assertEqual(self.answered(lambda: self.ask('GET', '/v1/health'))[0], 200)
        finally:
            drip.stop()

    def test_files_of_the_user(self):
        self.open()
        self.stop()
        certificate, key, token = self.path('c.pem'), self.path('k.pem'), self.path('token')
        shutil.move(self.certificate, certificate)
        shutil.move(self.key, key)
        with open(token, 'w', encoding='ascii') as file:
            file.write('0123456789abcdef' * 2 + ' \r\n')
        self.token = '0123456789abcdef' * 2
        os.unlink(self.token_file)
        self.open('--tls-certificate', certificate, '--tls-key', key, '--token-file', token)
        self.assertEqual(self.ask('GET', '/v1', certificate=certificate)[0], 200)
        self.assertFalse(os.path.exists(self.certificate) or os.path.exists(self.token_file))
        self.stop()
        # Another pair is made: its key does not fit that certificate.
        self.open()
        self.stop()
        for options, says in (
                (('--tls-certificate', certificate), 'both or none'),
                (('--tls-certificate', certificate, '--tls-key', self.key), 'fit together'),
                (('--tls-certificate', '/none', '--tls-key', key), 'there is no /none'),
                (('--tls-certificate', token, '--tls-key', key), 'fit together'),
                (('--token-file', '/none'), 'there is no /none'),
                (('--token-file', self.disk('empty', 0)), '32 to 256'),
                (('--token-file', certificate), 'one word'),
                (('--token-file', self.disk('large', 1 << 20)), 'larger')):
            code, words = self.refused_start('--listen', '127.0.0.1:0', *options)
            self.assertEqual(code, 1, words)
            self.assertIn(says, words)
        os.unlink(self.key)
        self.assertIn('web.key', self.refused_start('--listen', '127.0.0.1:0')[1])

    def test_addresses(self):
        for address in ('8006', ':8006', '127.0.0.1', '127.0.0.1:', '::1:80', 'localhost:80',
                        '127.0.0.1:http', '127.0.0.1:99999', '[::1:80'):
            code, words = self.refused_start('--listen', address)
            self.assertEqual(code, 1, (address, words))
            self.assertIn('listen', words)
        with socket.create_server(('127.0.0.1', 0)) as other:
            port = other.getsockname()[1]
            code, words = self.refused_start('--listen', f'127.0.0.1:{port}')
            self.assertEqual(code, 1)
            self.assertIn('in use', words)
        self.start('--listen', '[::1]:0')
        self.assertRegex(self.request('GET', '/v1')[1]['url'], r'^https://\[::1\]:\d+$')


if __name__ == '__main__':
    main()
