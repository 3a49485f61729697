# SPDX-License-Identifier: Apache-2.0
"""--help, manual pages and completion say the same; the unit file is one systemd takes."""
import os
import re
import shutil
import subprocess
import unittest

from quoin_test import BUILD, QUOIN, QUOIND, SOURCE, DaemonTest, main

COMMON = {'json', 'socket', 'help'}


def read(path):
    with open(os.path.join(SOURCE, path), encoding='utf-8') as file:
        return file.read()


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


class Tour(DaemonTest):
    def test_readme(self):
        """The five minutes of the README, command by command; the daemon is the test's own."""
        part = read('README.md').split('## Five minutes')[1].split('\n## ')[0]
        lines = re.findall(r'^    ((?:quoin|truncate) .*?)(?: +#.*)?$', part, re.M)
        self.assertGreater(len(lines), 15)
        self.start()
        for line in lines:
            words = line.replace('$PWD', self.directory).split()
            if words[:3] == ['quoin', 'daemon', 'restart']:
                self.stop()
                self.start()
            elif words[:3] == ['quoin', 'daemon', 'stop']:
                self.stop()
            elif words[0] == 'truncate':
                subprocess.run(words, check=True, cwd=self.directory)
            elif words[1] != 'daemon':
                self.done(*words[1:], cwd=self.directory)


class Words(DaemonTest):
    def setUp(self):
        super().setUp()
        self.table = self.done('help', '--json').json

    def verbs(self, noun):
        return {v['verb'] for v in self.table if v['noun'] == noun}

    def nouns(self):
        return {v['noun'] for v in self.table}

    def complete(self, *words):
        """What bash would offer for the last word."""
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _quoin; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        out = run('bash', '-c', script, 'bash', os.path.join(SOURCE, 'dist/completion/quoin'),
                  QUOIN, *words)
        return set(out.split())

    def test_help_shows_every_option(self):
        for verb in self.table:
            words = [w for w in (verb['noun'], verb['verb']) if w]
            text = self.done('help', *words).out
            self.assertEqual(set(re.findall(r'^  --([a-z0-9-]+)', text, re.M)),
                             set(verb['options']))
            text = run(QUOIN, *words, '--help')
            self.assertIn('usage: quoin ' + ' '.join(words), text)

    def test_manual_of_quoin(self):
        page = read('man/quoin.1')
        options = {o for v in self.table for o in v['options']}
        self.assertEqual(set(re.findall(r'^\.It Fl -([a-z0-9-]+)', page, re.M)), options)
        listed = re.findall(r'^\.It Nm Cm (.*)$', page, re.M)
        for verb in self.table:
            words = [w for w in (verb['noun'], verb['verb']) if w]
            self.assertTrue(any(line.split()[:len(words)] == words for line in listed), words)
        self.assertEqual(len(listed), len(self.table))

    def test_manual_of_quoind(self):
        page = read('man/quoind.8')
        options = set(re.findall(r'^  --([a-z-]+)', run(QUOIND, '--help'), re.M))
        self.assertEqual(set(re.findall(r'^\.It Fl -([a-z0-9-]+)', page, re.M)), options)
        synopsis = page[page.index('.Sh SYNOPSIS'):page.index('.Sh DESCRIPTION')]
        self.assertEqual(set(re.findall(r'-([a-z]{3,}[a-z-]*)', synopsis)), options)

    @unittest.skipUnless(shutil.which('mandoc'), 'mandoc is not installed')
    def test_manuals_are_well_formed(self):
        for page in ('man/quoin.1', 'man/quoind.8'):
            result = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning',
                                     os.path.join(SOURCE, page)],
                                    check=False, capture_output=True, text=True)
            self.assertEqual((result.returncode, result.stdout), (0, ''))

    def test_completion_of_words(self):
        self.assertEqual(self.complete(''), self.nouns())
        for noun in ('pool', 'volume', 'export', 'snapshot', 'target', 'image', 'drive', 'schedule', 'eve',
                     'inspect', 'daemon'):
            self.assertEqual(self.complete(noun, ''), self.verbs(noun))
        for verb in self.table:
            words = [w for w in (verb['noun'], verb['verb']) if w]
            self.assertEqual(self.complete(*words, '--'), {'--' + o for o in verb['options']})

    def test_completion_of_values(self):
        self.assertEqual(self.complete('target', 'create', '--doorbells', ''),
                         {'shadow', 'mapped'})
        self.assertEqual(self.complete('target', 'create', 'x', '--intx', 'o'), {'on', 'off'})
        self.assertEqual(self.complete('target', 'create', '--queues', ''), set())
        self.assertEqual(self.complete('target', 'create', '--queues', '4', 'x', ''),
                         {'file:', 'null:'})
        self.assertEqual(self.complete('events', '--severity', ''),
                         {'notice', 'warning', 'error'})

    def test_completion_of_names(self):
        self.start()
        self.done('target', 'create', 'alpha', 'null:1G')
        self.done('target', 'create', 'beta', 'null:1G')
        self.assertEqual(self.complete('target', 'info', '--socket', self.socket, ''),
                         {'alpha', 'beta'})
        self.assertEqual(self.complete('target', 'attach', '--socket', self.socket, 'al'),
                         {'alpha'})


class Unit(unittest.TestCase):
    @unittest.skipUnless(shutil.which('systemd-analyze'), 'systemd-analyze is not installed')
    def test_unit_file(self):
        """Verified with the built daemon in place of the installed one."""
        text = read(os.path.join(BUILD, 'dist/quoind.service'))
        text = re.sub(r'^ExecStart=\S+', 'ExecStart=' + QUOIND, text, flags=re.M)
        text = re.sub(r'^Documentation=.*\n', '', text, flags=re.M)
        path = os.path.join(BUILD, 'tests/api/quoind.service')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        result = subprocess.run(['systemd-analyze', 'verify', '--man=no', path], check=False,
                                capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ''))


if __name__ == '__main__':
    main()
