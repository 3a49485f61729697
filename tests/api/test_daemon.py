# SPDX-License-Identifier: Apache-2.0
"""The daemon's own life: options, start, stop, restart, state that is not what it should be."""
import os
import shutil
import signal
import socket
import subprocess
import time

from quoin_test import QUOIN, QUOIND, DaemonTest, main


class Options(DaemonTest):
    def run_daemon(self, *options):
        return subprocess.run([QUOIND, *options], check=False, capture_output=True, text=True,
                              timeout=30)

    def test_version_and_help(self):
        run = self.run_daemon('--version')
        self.assertEqual(run.returncode, 0)
        self.assertTrue(run.stdout.startswith('quoind '))
        run = self.run_daemon('--help')
        self.assertEqual(run.returncode, 0)
        self.assertIn('--state-dir', run.stdout)

    def test_usage_errors(self):
        for options in (('--nonsense',), ('--memory', 'x'), ('--workers',),
                        ('--config', '/nowhere')):
            run = self.run_daemon(*options)
            self.assertEqual(run.returncode, 2, run.stderr)
            self.assertEqual(run.stderr.count('\n'), 1)

    def test_config_file(self):
        config = self.path('conf')
        with open(config, 'w', encoding='utf-8') as file:
            file.write('# comment\nworkers = 2\nmemory = 128M\n')
        self.start('--config', config)
        status = self.done('daemon', 'status', '--json').json
        self.assertEqual(len(status['workers']), 2)
        self.assertEqual(status['memory_bytes'], 128 << 20)
        self.stop()
        with open(config, 'w', encoding='utf-8') as file:
            file.write('workers = 2\nmemroy = 128M\n')
        code, words = self.refused_start('--config', config)
        self.assertEqual(code, 2)
        self.assertIn('line 2', words)

    def test_bad_values(self):
        for options, says in ((('--cpus', '3-1'), '3-1'), (('--cpus', '1000'), 'CPU'),
                              (('--memory', '1M'), '96M')):
            code, words = self.refused_start(*options)
            self.assertEqual(code, 1, words)
            self.assertIn(says, words)


    def test_paths_are_shown_so_they_are_utf8(self):
        self.socket += '\udcff'
        code, words = self.refused_start()
        self.assertEqual(code, 1, words)
        self.assertIn('UTF-8', words)


class State(DaemonTest):
    def write_state(self, text):
        os.makedirs(self.state, exist_ok=True)
        with open(os.path.join(self.state, 'targets.json'), 'w', encoding='utf-8') as file:
            file.write(text)

    def test_damaged(self):
        for text in ('{', '{"version": 1, "targets": [{"name": "a", "bogus": 1}]}',
                     '{"version": 1, "targets": [{"name": "a"}, {"name": "a"}]}'):
            self.write_state(text)
            code, words = self.refused_start()
            self.assertEqual(code, 1)
            self.assertIn('move it away', words)
            with open(os.path.join(self.state, 'targets.json'), encoding='utf-8') as file:
                self.assertEqual(file.read(), text)
        os.unlink(os.path.join(self.state, 'targets.json'))
        self.start()

    def test_newer(self):
        self.write_state('{"version": 99, "targets": []}')
        code, words = self.refused_start()
        self.assertEqual(code, 1)
        self.assertIn('newer', words)

    def test_shared_state_is_refused(self):
        self.start()
        self.socket += '2'
        code, words = self.refused_start()
        self.assertEqual(code, 1)
        self.assertIn('another quoind', words)

    def test_shared_socket_is_refused(self):
        self.start()
        self.state += '2'
        code, words = self.refused_start()
        self.assertEqual(code, 1)
        self.assertIn('another quoind', words)
        self.done('daemon', 'status')

    def test_left_over_sockets(self):
        self.start()
        self.done('target', 'create', 'a', 'null:1G')
        self.stop(signal.SIGKILL)
        self.assertTrue(os.path.exists(self.socket))
        self.assertTrue(os.path.exists(os.path.join(self.directory, 'run', 'a.sock')))
        self.start()
        self.assertEqual(self.done('target', 'info', 'a', '--json').json['state'], 'running')

    def test_file_in_the_way(self):
        with open(self.socket, 'w', encoding='utf-8') as file:
            file.write('precious')
        code, words = self.refused_start()
        self.assertEqual(code, 1)
        self.assertIn('not a socket', words)
        with open(self.socket, encoding='utf-8') as file:
            self.assertEqual(file.read(), 'precious')

    def test_unwritable_state(self):
        self.state = '/proc/quoin'
        code, words = self.refused_start()
        self.assertEqual(code, 1)
        self.assertIn('/proc/quoin', words)


class Notify(DaemonTest):
    def test_ready_and_stopping(self):
        path = self.path('notify')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(path)
            listener.settimeout(30)
            self.spawn(env={**os.environ, 'NOTIFY_SOCKET': path})
            self.assertEqual(listener.recv(100), b'READY=1')
            self.request('GET', '/v1')
            self.refused('daemon', 'stop', says='systemctl stop')
            self.daemon.send_signal(signal.SIGINT)
            self.assertEqual(listener.recv(100), b'STOPPING=1')
            self.assertEqual(self.daemon.wait(30), 0)

    def test_hangup_is_ignored(self):
        self.start()
        self.daemon.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        self.done('daemon', 'status')


class ByTheTool(DaemonTest):
    def tearDown(self):
        self.quoin('daemon', 'stop')

    def test_start_stop_restart(self):
        self.refused('daemon', 'status', says='not running')
        self.refused('daemon', 'stop', says='not running')
        self.refused('target', 'list', says='quoin daemon start')
        self.done('daemon', 'start', *self.rest())
        self.refused('daemon', 'start', says='runs already')
        self.done('target', 'create', 'a', 'null:1G')
        before = self.done('daemon', 'status', '--json').json
        self.done('daemon', 'restart')
        after = self.done('daemon', 'status', '--json').json
        self.assertNotEqual(before['pid'], after['pid'])
        self.assertEqual(before['state_dir'], after['state_dir'])
        self.assertEqual(len(after['workers']), 2)
        self.assertEqual(self.done('target', 'info', 'a', '--json').json['state'], 'running')
        self.done('daemon', 'stop')
        self.refused('daemon', 'status', says='not running')

    def rest(self):
        return ('--socket', self.socket, '--', '--state-dir', self.state, '--workers', '2')

    def quoin(self, *words, **keywords):
        """The socket goes before "--"."""
        if '--' not in words:
            return super().quoin(*words, **keywords)
        run = subprocess.run([QUOIN, *words], check=False, capture_output=True, text=True,
                             timeout=60, **keywords)
        result = super().quoin('version')
        result.code, result.out, result.err = run.returncode, run.stdout, run.stderr
        return result

    def test_start_that_fails_has_words(self):
        os.makedirs(self.state)
        with open(os.path.join(self.state, 'targets.json'), 'w', encoding='utf-8') as file:
            file.write('{')
        self.refused('daemon', 'start', *self.rest(), says='targets.json is damaged')

    def test_defaults_of_an_ordinary_user(self):
        """The XDG directories; as root this runs as nobody."""
        copy = self.path('bin')
        home = self.path('home')
        os.mkdir(copy)
        os.mkdir(home, 0o755)
        for program in (QUOIN, QUOIND):
            shutil.copy(program, copy)
        environment = {'HOME': home, 'XDG_RUNTIME_DIR': home, 'PATH': os.environ['PATH']}
        prefix = []
        if os.geteuid() == 0:
            os.chmod(self.directory, 0o755)
            os.chown(home, 65534, 65534)
            prefix = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
        tool = [*prefix, os.path.join(copy, 'quoin')]

        def run(*words):
            return subprocess.run([*tool, *words], check=True, capture_output=True, text=True,
                                  env=environment, timeout=60).stdout
        run('daemon', 'start')
        try:
            run('target', 'create', 'mine', 'null:1G')
            self.assertIn('mine', run('target', 'list'))
            self.assertTrue(os.path.exists(os.path.join(home, 'quoin', 'mine.sock')))
            self.assertTrue(os.path.exists(
                os.path.join(home, '.local/state/quoin/targets.json')))
        finally:
            run('daemon', 'stop')


if __name__ == '__main__':
    main()
