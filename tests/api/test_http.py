# SPDX-License-Identifier: Apache-2.0
"""The HTTP side: the OpenAPI file held against the server, and clients that misbehave."""
import json
import os
import re
import socket
import subprocess
import time

from quoin_test import BUILD, SOURCE, DaemonTest, main, sanitized


class Schema:
    """Checks a value against the part of JSON Schema that docs/openapi.json uses."""

    KNOWN = {'$ref', 'type', 'nullable', 'enum', 'minimum', 'maximum', 'maxLength', 'pattern',
             'properties', 'required', 'additionalProperties', 'items', 'maxItems', 'oneOf',
             'description'}
    TYPES = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'integer': int}

    def __init__(self, document):
        self.schemas = document['components']['schemas']

    def errors(self, value, schema, where='$'):
        unknown = set(schema) - self.KNOWN
        if unknown:
            return [f'{where}: the validator does not know {unknown}']
        if '$ref' in schema:
            return self.errors(value, self.schemas[schema['$ref'].rsplit('/', 1)[1]], where)
        if value is None and schema.get('nullable'):
            return []
        if 'oneOf' in schema:
            fits = [s for s in schema['oneOf'] if not self.errors(value, s, where)]
            return [] if len(fits) == 1 else [f'{where}: fits {len(fits)} of oneOf']
        kind = self.TYPES[schema['type']]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            return [f'{where}: {value!r} is not {schema["type"]}']
        return self.scalar(value, schema, where) + self.members(value, schema, where)

    @staticmethod
    def scalar(value, schema, where):
        bad = []
        if 'enum' in schema and value not in schema['enum']:
            bad.append('not in enum')
        if 'minimum' in schema and value < schema['minimum']:
            bad.append('below the minimum')
        if 'maximum' in schema and value > schema['maximum']:
            bad.append('above the maximum')
        if 'maxLength' in schema and len(value) > schema['maxLength']:
            bad.append('too long')
        if 'maxItems' in schema and len(value) > schema['maxItems']:
            bad.append('too many')
        if 'pattern' in schema and not re.search(schema['pattern'], value):
            bad.append('does not match')
        return [f'{where}: {value!r} {what}' for what in bad]

    def members(self, value, schema, where):
        bad = []
        if isinstance(value, list):
            for index, item in enumerate(value):
                bad += self.errors(item, schema['items'], f'{where}[{index}]')
        if isinstance(value, dict):
            properties = schema['properties']
            bad += [f'{where}: {key} is missing' for key in schema['required']
                    if key not in value]
            for key, item in value.items():
                if key not in properties and schema.get('additionalProperties') is True:
                    continue
                if key not in properties:
                    bad.append(f'{where}: {key} is not in the schema')
                else:
                    bad += self.errors(item, properties[key], f'{where}.{key}')
        return bad


class OpenApi(DaemonTest):
    def setUp(self):
        super().setUp()
        with open(os.path.join(SOURCE, 'docs/openapi.json'), encoding='utf-8') as file:
            self.document = json.load(file)
        self.schema = Schema(self.document)
        self.seen = set()

    def operations(self):
        return {(method.upper(), path) for path, item in self.document['paths'].items()
                for method in item if method != 'parameters'}

    def pattern_of(self, path):
        """The pattern of the file that a path belongs to."""
        for pattern in self.document['paths']:
            if re.fullmatch(re.sub(r'\{\w+\}', '[^/]+', pattern), path):
                return pattern
        self.fail(f'{path} is not in the file')
        return None

    def ask(self, method, path, body=None, good=True):
        """A request whose body and answer must be as the file says."""
        pattern = self.pattern_of(path)
        operation = self.document['paths'][pattern][method.lower()]
        status, answer = self.request(method, path, body)
        if good:
            self.assertLess(status, 300, answer)
            self.assertIn(str(status), operation['responses'])
            self.seen.add((method, pattern))
            self.assertEqual(body is not None, 'requestBody' in operation)
            self.fits(body, operation.get('requestBody'))
        else:
            self.assertGreaterEqual(status, 400, answer)
        self.fits(answer, operation['responses'].get(str(status),
                                                     operation['responses']['default']))
        return status, answer

    def fits(self, value, described):
        content = (described or {}).get('content')
        if content is None:
            self.assertIsNone(value)
            return
        self.assertEqual(self.schema.errors(value, content['application/json']['schema']), [])

    def test_same_routes(self):
        """The server's own table and the file name the same methods and paths."""
        out = subprocess.run([os.path.join(BUILD, 'tests/api/list-routes')], check=True,
                             capture_output=True, text=True).stdout
        self.assertEqual({tuple(line.split()) for line in out.splitlines()}, self.operations())

    def test_same_events(self):
        with open(os.path.join(SOURCE, 'src/health/event.c'), encoding='utf-8') as file:
            words = set(re.findall(r'\[HEALTH_\w+\] =\s*\{"([\w.]+)"', file.read()))
        named = self.schema.schemas['Event']['properties']['type']['enum']
        self.assertEqual(set(named), words)

    def test_every_answer_fits(self):
        self.start()
        self.ask('GET', '/v1')
        self.ask('GET', '/v1/targets')
        self.ask('POST', '/v1/targets', {'name': 'a', 'queues': 2, 'namespaces': [
            {'volume': 'null:1G'}, {'volume': 'file:' + self.disk('d.img'), 'nsid': 5}]})
        self.ask('POST', '/v1/targets', {'name': 'b', 'listen': self.path('b.sock')})
        self.ask('GET', '/v1/targets')
        self.ask('GET', '/v1/targets/a')
        self.ask('GET', '/v1/targets/a/stats')
        self.ask('GET', '/v1/targets/a/namespaces')
        self.ask('POST', '/v1/targets/a/start')
        self.ask('POST', '/v1/targets/a/namespaces', {'volume': 'null:1M', 'read_only': True})
        self.ask('PATCH', '/v1/targets/a/namespaces/2', {'size': '2M'})
        self.ask('PATCH', '/v1/targets/a/namespaces/2', {'size': 3 << 20})
        self.ask('POST', '/v1/targets/a/namespaces/5/rescan')
        self.ask('DELETE', '/v1/targets/a/namespaces/2')
        self.ask('DELETE', '/v1/targets/b')
        self.every_pool_answer()
        self.assertIn('text/plain', self.document['paths']['/metrics']['get']['responses']['200']
                      ['content'])
        status, kind, text = self.plain('/metrics')
        self.assertEqual((status, kind.split(';')[0]), (200, 'text/plain'))
        self.assertIn('quoin_build_info', text)
        self.seen.add(('GET', '/metrics'))
        self.ask('POST', '/v1/events/list', {})
        self.ask('POST', '/v1/events/list', {'since': 2, 'severity': 'notice', 'object': 'tank'})
        self.assertEqual(self.seen, self.operations())
        # A failed target has another face.
        self.stop()
        os.unlink(self.path('d.img'))
        self.start('--cpus', '0')
        self.ask('GET', '/v1')
        self.ask('GET', '/v1/health')
        self.ask('GET', '/v1/targets/a')
        self.ask('POST', '/v1/targets/a/start', good=False)

    def every_export_answer(self):
        there = self.path('out.img')
        for name, words in (('tank/v@one', {}), ('tank/v', {'force': True, 'format': 'qcow2'})):
            export = self.ask('POST', '/v1/exports', {'name': name, 'to': there, **words})[1]
            while export['state'] == 'running':
                export = self.ask('GET', '/v1/exports/%d' % export['id'])[1]
            self.assertEqual(export['state'], 'done')
        self.ask('POST', '/v1/exports', {'name': 'tank/v', 'to': there}, good=False)
        self.ask('GET', '/v1/exports')
        self.ask('DELETE', '/v1/exports/%d' % export['id'])
        self.ask('GET', '/v1/exports/%d' % export['id'], good=False)
        self.ask('GET', '/v1/exports/x', good=False)

    def every_pool_answer(self):
        a, b = self.disk('a.img', 64 << 20), self.disk('b.img', 64 << 20)
        self.ask('GET', '/v1/pools')
        self.ask('POST', '/v1/pools', {'name': 'tank', 'groups': [[a, b]],
                                       'reserve_permille': 100, 'autotrim': False})
        self.ask('GET', '/v1/pools')
        self.ask('GET', '/v1/pools/tank')
        self.ask('PATCH', '/v1/pools/tank', {'autotrim': True, 'reserve_permille': 200})
        self.every_trim_answer()
        self.ask('GET', '/v1/schedules')
        self.ask('PATCH', '/v1/schedules/tank', {'short_test_s': 86400, 'trim_s': 0})
        self.ask('PATCH', '/v1/schedules/none', {'short_test_s': 86400}, good=False)
        self.ask('POST', '/v1/volumes', {'name': 'tank/v', 'size': '4M', 'quota': 0,
                                         'full': 'pause'})
        self.ask('POST', '/v1/volumes', {'name': 'tank/dir/w', 'size': 1 << 20})
        self.ask('GET', '/v1/volumes')
        self.ask('GET', '/v1/pools/tank/volumes')
        self.ask('POST', '/v1/volumes/info', {'name': 'tank/v'})
        self.ask('POST', '/v1/volumes/set', {'name': 'tank/v', 'quota': '32M', 'full': 'error'})
        self.ask('POST', '/v1/volumes/resize', {'name': 'tank/v', 'size': '8M'})
        self.ask('POST', '/v1/volumes/resize', {'name': 'tank/v', 'size': '4M', 'force': True})
        self.ask('POST', '/v1/snapshots', {'names': ['tank/v@1', 'tank/dir/w@1']})
        self.ask('POST', '/v1/snapshots/list', {'name': 'tank'})
        self.ask('POST', '/v1/snapshots/list', {'name': 'tank/v', 'cursor': 0})
        self.ask('POST', '/v1/snapshots/hold', {'name': 'tank/v@1', 'tag': 'keep'})
        self.ask('POST', '/v1/snapshots/destroy', {'names': ['tank/v@1']}, good=False)
        self.ask('POST', '/v1/snapshots/release', {'name': 'tank/v@1', 'tag': 'keep'})
        for on in (True, False):
            self.ask('POST', '/v1/snapshots/set', {'name': 'tank/v@1', 'template': on})
        self.ask('POST', '/v1/snapshots/rename', {'name': 'tank/v@1', 'new_name': 'one'})
        self.every_export_answer()
        self.ask('POST', '/v1/volumes/rollback', {'snapshot': 'tank/v@one'})
        self.ask('POST', '/v1/volumes/clone', {'snapshot': 'tank/v@one', 'name': 'tank/c'})
        self.ask('POST', '/v1/volumes/copy', {'source': 'tank/v@one', 'name': 'tank/copy'})
        self.ask('POST', '/v1/volumes/copy', {'source': 'tank/v', 'name': 'tank/copy',
                                              'offset': 0, 'length': '64K', 'to_offset': 4096})
        self.ask('POST', '/v1/volumes/copy', {'source': 'tank/v', 'name': 'tank/copy',
                                              'length': 4095}, good=False)
        self.ask('POST', '/v1/volumes/promote', {'name': 'tank/c'})
        self.ask('POST', '/v1/volumes/rename', {'name': 'tank/c', 'new_name': 'tank/d'})
        self.every_deploy_answer()
        self.ask('POST', '/v1/volumes/info', {'name': 'tank/v'})
        self.ask('POST', '/v1/volumes/destroy', {'name': 'tank/v', 'recursive': True})
        self.ask('POST', '/v1/snapshots/destroy', {'names': ['tank/dir/w@1']})
        self.ask('GET', '/v1/health')
        self.ask('GET', '/v1/drives')
        self.ask('GET', '/v1/eve')
        self.ask('PATCH', '/v1/eve', {'directory': self.path('eve'), 'format': 'json'})
        self.ask('POST', '/v1/eve/send')
        self.ask('GET', '/v1/eve/messages')
        self.assertEqual(self.plain('/v1/eve/frames')[:2], (200, 'application/octet-stream'))
        self.seen.add(('GET', '/v1/eve/frames'))
        self.ask('PATCH', '/v1/eve', {'directory': None})
        self.ask('POST', '/v1/drives/test', {'path': a, 'test': 'short'})
        self.ask('GET', '/v1/pools/tank/history')
        self.ask('POST', '/v1/pools/tank/export')
        self.ask('POST', '/v1/scan', {'paths': [self.directory]})
        self.ask('POST', '/v1/pools/tank/import', {'paths': [a, b]})
        self.ask('POST', '/v1/pools/tank/destroy', {'force': True})

    def every_trim_answer(self):
        self.ask('POST', '/v1/pools/tank/trim')
        self.ask('GET', '/v1/top')
        # A trim of nothing is soon over: one that is met is stopped.
        while self.request('DELETE', '/v1/pools/tank/trim')[0] != 204:
            self.request('POST', '/v1/pools/tank/trim')
        while self.ask('GET', '/v1/pools/tank')[1]['trim']['state'] == 'running':
            pass
        self.ask('DELETE', '/v1/pools/tank/trim', good=False)
        self.seen.add(('DELETE', '/v1/pools/{name}/trim'))

    def every_deploy_answer(self):
        image = self.path('image')
        with open(image, 'wb') as file:
            file.write(os.urandom(4 << 20))
        name = {'name': 'tank/i'}
        self.ask('POST', '/v1/volumes/deploy', {**name, 'source': image, 'first': False,
                                                'size': '5M', 'rate': '1K'})
        self.ask('POST', '/v1/volumes/deploy/info', name)
        self.settled('tank/i', 'arriving')
        self.ask('POST', '/v1/volumes/info', name)
        self.ask('GET', '/v1/top')
        self.ask('POST', '/v1/volumes/deploy/change', {**name, 'paused': True})
        self.ask('POST', '/v1/volumes/deploy/change', {**name, 'paused': False, 'rate': '1G'})
        self.settled('tank/i')
        self.ask('POST', '/v1/volumes/deploy/info', name)
        self.ask('POST', '/v1/volumes/deploy/change', {**name, 'paused': True}, good=False)
        self.ask('POST', '/v1/volumes/destroy', name)
        self.ask('POST', '/v1/volumes/deploy', {**name, 'source': self.disk('none', 0)})
        self.settled('tank/i')
        self.ask('POST', '/v1/volumes/deploy/info', name)
        self.ask('POST', '/v1/volumes/deploy/cancel', name)
        self.ask('POST', '/v1/volumes/deploy/cancel', name, good=False)

    def settled(self, name, *states):
        while True:
            _, answer = self.request('POST', '/v1/volumes/deploy/info', {'name': name})
            if answer['state'] in (states or ('done', 'none', 'refused')):
                return
            time.sleep(0.05)

    def test_every_refusal_fits(self):
        self.start()
        self.ask('POST', '/v1/targets', {'name': 'a', 'namespaces': [{'volume': 'null:1G'}]})
        for method, path, body, status in (
                ('POST', '/v1/targets', b'', 400),
                ('POST', '/v1/targets', b'{', 400),
                ('POST', '/v1/targets', b'[]', 400),
                ('POST', '/v1/targets', b'{"name":"b","name":"b"}', 400),
                ('POST', '/v1/targets', b'{"name":"b\\u0000"}', 400),
                ('POST', '/v1/targets', b'\xff\xfe', 400),
                ('POST', '/v1/targets', b'[' * 60000, 400),
                ('POST', '/v1/targets', {'name': 'b', 'color': 'red'}, 400),
                ('POST', '/v1/targets', {'name': 'b', 'queues': 0}, 400),
                ('POST', '/v1/targets', {'name': 'b', 'transport': 'nbd'}, 400),
                ('POST', '/v1/targets', {'name': 'a'}, 409),
                ('POST', '/v1/targets', b' ' * 70000, 413),
                ('GET', '/v1/targets/zz', None, 404),
                ('DELETE', '/v1/targets/zz', None, 404),
                ('GET', '/v1/targets/zz/stats', None, 404),
                ('GET', '/v1/targets/zz/namespaces', None, 404),
                ('POST', '/v1/targets/a/namespaces', {'volume': 'x'}, 400),
                ('POST', '/v1/targets/a/namespaces', {'volume': 'null:1G', 'nsid': 1}, 409),
                ('PATCH', '/v1/targets/a/namespaces/1', {'size': 0}, 400),
                ('PATCH', '/v1/targets/a/namespaces/1', {'size': '1X'}, 400),
                ('PATCH', '/v1/targets/a/namespaces/1', {'size': 1, 'x': 1}, 400),
                ('PATCH', '/v1/targets/a/namespaces/2', {'size': 4096}, 404),
                ('GET', '/v1/pools/zz', None, 404),
                ('GET', '/v1/pools/zz/history', None, 404),
                ('GET', '/v1/pools/zz/volumes', None, 404),
                ('PATCH', '/v1/pools/zz', {'autotrim': True}, 404),
                ('PATCH', '/v1/pools/zz', {'autotrim': 1}, 400),
                ('POST', '/v1/pools/zz/trim', None, 404),
                ('DELETE', '/v1/pools/zz/trim', None, 404),
                ('POST', '/v1/pools/zz/export', None, 404),
                ('POST', '/v1/pools/zz/destroy', {}, 404),
                ('POST', '/v1/pools/zz/import', {}, 404),
                ('POST', '/v1/pools/zz/import', {'paths': ['x']}, 400),
                ('POST', '/v1/pools', {'name': 'p', 'groups': []}, 400),
                ('POST', '/v1/pools', {'name': 'p', 'groups': [['x']]}, 400),
                ('POST', '/v1/pools', {'name': 'p', 'groups': [['/none']]}, 404),
                ('POST', '/v1/pools', {'name': 'p/q', 'groups': [['/none']]}, 400),
                ('POST', '/v1/pools', {'groups': [['/none']]}, 400),
                ('POST', '/v1/scan', {'paths': ['/none']}, 404),
                ('POST', '/v1/drives/test', {'path': '/none', 'test': 'short'}, 404),
                ('POST', '/v1/drives/test', {'path': '/none', 'test': 'hard'}, 400),
                ('PATCH', '/v1/eve', {'directory': 'here'}, 400),
                ('PATCH', '/v1/eve', {'controller': 'http://localhost:1'}, 400),
                ('PATCH', '/v1/eve', {'device': 'x'}, 400),
                ('PATCH', '/v1/eve', {'metrics_s': 1}, 400),
                ('PATCH', '/v1/eve', {'color': 'red'}, 400),
                ('POST', '/v1/events/list', {'severity': 'fatal'}, 400),
                ('POST', '/v1/events/list', {'since': -1}, 400),
                ('POST', '/v1/events/list', {'object': 'x' * 320}, 400),
                ('POST', '/v1/volumes', {'name': 'zz/a'}, 400),
                ('POST', '/v1/volumes', {'name': 'zz/a', 'size': '1M'}, 404),
                ('POST', '/v1/volumes', {'name': 'zz', 'size': '1M'}, 400),
                ('POST', '/v1/volumes/info', {'name': 'zz/a@s'}, 400),
                ('POST', '/v1/volumes/clone', {'snapshot': 'zz/a', 'name': 'zz/b'}, 400),
                ('POST', '/v1/volumes/resize', {'name': 'zz/a', 'size': 'x'}, 400),
                ('POST', '/v1/snapshots', {'names': []}, 400),
                ('POST', '/v1/snapshots', {'names': ['zz/a@1']}, 404),
                ('POST', '/v1/snapshots/list', {'name': 'zz'}, 404),
                ('DELETE', '/v1/targets/a/namespaces/2', None, 404)):
            got, _ = self.ask(method, path, body, good=False)
            self.assertEqual(got, status, (method, path, body if body is None else body[:40]
                                           if isinstance(body, bytes) else body))

    def test_unknown_paths_and_methods(self):
        self.start()
        error = {'$ref': '#/components/schemas/Error'}
        for method, path, status in (
                ('GET', '/x.js', 404), ('GET', '/v2', 404), ('GET', '/v1/', 404),
                ('GET', '/v1/targets/', 404), ('GET', '/v1/targets/a/b', 404),
                ('DELETE', '/v1/targets/a/namespaces/0', 404),
                ('DELETE', '/v1/targets/a/namespaces/01', 404),
                ('DELETE', '/v1/targets/a/namespaces/4294967296', 404),
                ('GET', '/v1/targets/' + 'x' * 64, 404), ('GET', '/v1/targets/%61%2Fb', 404),
                ('PUT', '/v1/targets', 405), ('DELETE', '/v1', 405),
                ('GET', '/v1/targets/a/start', 405), ('GET', '/v1/pools/', 404),
                ('DELETE', '/v1/pools/a', 405), ('DELETE', '/v1/volumes', 405),
                ('BREW', '/v1/targets', 405), ('POST', '/', 405), ('GET', '//', 404),
                ('GET', '/web/page.js', 404), ('GET', '/page.js/', 404)):
            got, answer = self.request(method, path)
            self.assertEqual(got, status, (method, path, answer))
            self.assertEqual(self.schema.errors(answer, error), [])


class Garbage(DaemonTest):
    def send(self, data, wait=True):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(30)
            client.connect(self.socket)
            try:
                client.sendall(data)
                if wait:
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
            except (BrokenPipeError, ConnectionResetError):
                pass

    def test_not_http(self):
        self.start()
        for data in (b'', b'\0' * 100, b'\xff' * 100000, b'GET\r\n\r\n', b'GET / HTTP/9.9\r\n\r\n',
                     b'GET /v1 HTTP/1.1\r\n' + b'X: ' + b'y' * 100000 + b'\r\n\r\n',
                     b'POST /v1/targets HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
                     b'POST /v1/targets HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{',
                     b'POST /v1/targets HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
                     b'zz\r\n',
                     b'GET ' + b'/a' * 40000 + b' HTTP/1.1\r\nHost: a\r\n\r\n'):
            self.send(data)
            self.send(data, wait=False)
            self.done('daemon', 'status')

    def test_too_many_clients(self):
        """More silent clients than the limit: the daemon answers again when they go."""
        self.start()
        clients = []
        for _ in range(100):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(5)
            try:
                client.connect(self.socket)
            except OSError:
                client.close()
                continue
            clients.append(client)
        for client in clients:
            client.close()
        self.done('daemon', 'status')
        self.assertIsNone(self.daemon.poll())

    def test_endless_body(self):
        """A chunked body beyond the limit gets its answer and costs no memory."""
        self.start()
        chunk = b'10000\r\n' + b'x' * 65536 + b'\r\n'
        self.send(b'POST /v1/targets HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' +
                  chunk * 64 + b'0\r\n\r\n')
        with open(f'/proc/{self.daemon.pid}/status', encoding='utf-8') as file:
            status = file.read()
        if not sanitized():
            anonymous = int(re.search(r'RssAnon:\s+(\d+)', status).group(1))
            self.assertLess(anonymous, 65536)


if __name__ == '__main__':
    main()
