#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the tree against the house rules (HACKING.md, "The house").

Prints one line per breach, `file:line: rule: what`, and exits 1 when there is one. Sizes that are
over a limit for a reason stand in tests/tidy/exceptions: a listed thing may shrink, never grow.
"""
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FILE_LINES = 800
HEADER_LINES = 200
FUNCTION_LINES = 70
COLUMNS = 100
NESTING = 3
PARAMETERS = 5

# Who may use whom: the rows of docs/DESIGN.md, "The house".
ROOMS = {
    'base': [],
    'loop': ['base'],
    'guest': ['base'],
    'disk': ['base', 'loop'],
    'codec': ['base'],
    'block': ['base', 'loop', 'disk'],
    'pool': ['base', 'loop', 'disk', 'codec', 'block'],
    'image': ['base', 'loop', 'codec', 'disk', 'block', 'pool'],
    'nvme': ['base', 'loop', 'guest', 'block'],
    'vfio_user': ['base', 'loop', 'guest', 'block', 'nvme'],
    'health': ['base'],
    'control': ['base', 'loop', 'guest', 'disk', 'block', 'pool', 'image', 'nvme', 'vfio_user',
                'health'],
    'eve': ['base', 'health', 'control'],
    'api': ['base', 'health', 'control', 'eve'],
    'inspect': ['base', 'loop', 'disk', 'block', 'pool'],
    'quoind': ['base', 'loop', 'guest', 'disk', 'block', 'nvme', 'vfio_user', 'health', 'control',
               'eve', 'api'],
    'quoin': ['base', 'loop', 'image', 'inspect', 'api'],
    'sim': ['base', 'loop', 'disk', 'codec', 'block', 'pool'],
}

BANNED = [
    (re.compile(r'\b(TODO|FIXME|XXX|HACK)\b(?!.*#\d)'), 'wish without an issue number'),
    (re.compile(r'\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca)\s*\('), 'banned call'),
    (re.compile(r'(?<![\w.])assert\s*\('), 'assert() vanishes with NDEBUG: use ASSERT'),
    (re.compile(r'\btypedef\s+(struct|union|enum)\b'), 'typedef of a struct, union or enum'),
]
PRIVATE_PATH = re.compile(r'(^|[\s"\'=(])/(work|root)/')


class Tidy:
    def __init__(self):
        self.breaches = []
        self.exceptions = {}
        self.used = set()
        self.read_exceptions()

    def read_exceptions(self):
        path = os.path.join(ROOT, 'tests/tidy/exceptions')
        for number, line in enumerate(open(path, encoding='utf-8'), 1):
            line = line.strip()
            if not line or line.startswith('#'):
                continue
            parts = line.split(None, 3)
            if len(parts) < 4 or not parts[2].isdigit():
                self.say('tests/tidy/exceptions', number, 'format', 'RULE OBJECT LIMIT REASON')
                continue
            self.exceptions[(parts[0], parts[1])] = int(parts[2])

    def say(self, path, line, rule, what):
        self.breaches.append(f'{path}:{line}: {rule}: {what}')

    def limit(self, rule, key, value, normal, where, what):
        """Breach when value > normal, unless listed; a listed limit must be exact."""
        allowed = self.exceptions.get((rule, key))
        if allowed is not None:
            self.used.add((rule, key))
            if value <= normal:
                self.say(*where, rule, f'{key} is within {normal} now: take it off the exceptions')
            elif value > allowed:
                self.say(*where, rule, f'{what}: {value}, listed with {allowed} (may only shrink)')
        elif value > normal:
            self.say(*where, rule, f'{what}: {value}, at most {normal}')

    # --- Single files ---------------------------------------------------------------------

    def text_rules(self, path, lines):
        if lines and not lines[-1].endswith('\n'):
            self.say(path, len(lines), 'newline', 'no newline at the end')
        for number, line in enumerate(lines, 1):
            line = line.rstrip('\n')
            if line != line.rstrip():
                self.say(path, number, 'space', 'white space at the end of the line')
            if PRIVATE_PATH.search(line) and path != 'tests/tidy/tidy.py':
                self.say(path, number, 'path', 'a path of somebody\'s machine')

    def code_rules(self, path, lines):
        rule, normal = ('header', HEADER_LINES) if path.endswith('.h') else ('file', FILE_LINES)
        self.limit(rule, path, len(lines), normal, (path, 1), 'lines in the file')
        if not lines or 'SPDX-License-Identifier: Apache-2.0' not in lines[0]:
            self.say(path, 1, 'head', 'the first line is not the SPDX line')
        if path.endswith(('.c', '.h')) and (len(lines) < 2 or not lines[1].startswith('/*')):
            self.say(path, 2, 'head', 'no comment that says what the file is for')
        for number, line in enumerate(lines, 1):
            line = line.rstrip('\n')
            if len(line.expandtabs(8)) > COLUMNS:
                self.say(path, number, 'columns', f'{len(line.expandtabs(8))}, at most {COLUMNS}')
            for pattern, what in BANNED:
                if pattern.search(line):
                    self.say(path, number, 'banned', what)

    def include_rules(self, path, lines):
        room = path.split('/')[1] if path.startswith('src/') else None
        for number, line in enumerate(lines, 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            name = match.group(2)
            if '..' in name.split('/'):
                self.say(path, number, 'include', f'{name}: no way round the doors')
            if name.endswith('.c'):
                self.say(path, number, 'include', f'{name}: a .c file is not an interface')
            if room is None or not name.startswith('quoin/'):
                continue
            if room not in ROOMS:
                self.say(path, 1, 'room', f'{room} is not in the list of rooms')
                return
            owner = self.owner(name[len('quoin/'):-2])
            if owner != room and owner not in ROOMS[room]:
                self.say(path, number, 'room', f'{room} may not use {owner}')

    @staticmethod
    def owner(header):
        """The room whose door `quoin/<header>.h` is: the longest room name that begins it."""
        found = [r for r in ROOMS if header == r or header.startswith(r + '_')]
        return max(found, key=len) if found else header

    # --- Functions ------------------------------------------------------------------------

    def function_rules(self, paths):
        out = subprocess.run(
            ['ctags', '--output-format=json', '--fields=+neSK', '--kinds-C=fv', '-L', '-'],
            input='\n'.join(paths), capture_output=True, text=True, check=True, cwd=ROOT).stdout
        tags = [json.loads(line) for line in out.splitlines() if line.startswith('{')]
        texts = {}
        for tag in tags:
            path = tag['path']
            if path not in texts:
                texts[path] = open(os.path.join(ROOT, path), encoding='utf-8').read().split('\n')
            if tag['kind'] == 'function':
                self.function(tag, texts[path])
            elif path.startswith('src/') and path.endswith('.c'):
                self.variable(tag, texts[path])

    def function(self, tag, text):
        path, start, end = tag['path'], tag['line'], tag.get('end', tag['line'])
        key = f"{path}:{tag['name']}"
        where = (path, start)
        self.limit('function', key, end - start + 1, FUNCTION_LINES, where,
                   f"lines in {tag['name']}()")
        signature = tag.get('signature', '')
        flat = re.sub(r'\([^()]*\)', '', signature[1:-1])
        count = 0 if flat.strip() in ('', 'void') else flat.count(',') + 1
        self.limit('parameters', key, count, PARAMETERS, where, f"parameters of {tag['name']}()")
        depth = self.depth(text[start - 1:end])
        self.limit('nesting', key, depth, NESTING, where, f"nesting in {tag['name']}()")

    @staticmethod
    def depth(lines):
        """Deepest nesting of blocks inside the function's own braces (initialisers not counted)."""
        code = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])*\'|//[^\n]*|/\*.*?\*/', '',
                      '\n'.join(lines), flags=re.S)
        stack, deepest = [], 0
        for match in re.finditer(r'[{}]', code):
            if match.group() == '{':
                before = code[:match.start()].rstrip()
                stack.append(not before.endswith(('=', ',', '{', '(')) or before.endswith('({'))
                deepest = max(deepest, sum(stack) - 1)
            elif stack:
                stack.pop()
        return max(deepest, 0)

    def variable(self, tag, text):
        line = text[tag['line'] - 1]
        key = f"{tag['path']}:{tag['name']}"
        if re.search(r'\bconst\b', line):
            return
        if ('global', key) in self.exceptions:
            self.used.add(('global', key))
            return
        self.say(tag['path'], tag['line'], 'global', f"mutable variable {tag['name']} at file scope")

    # --- The tree -------------------------------------------------------------------------

    def dead_files(self, paths):
        builds = {}
        for path in paths:
            if not path.endswith('.c'):
                continue
            folder = os.path.dirname(path)
            while folder and not os.path.exists(os.path.join(ROOT, folder, 'meson.build')):
                folder = os.path.dirname(folder)
            if folder not in builds:
                builds[folder] = open(os.path.join(ROOT, folder, 'meson.build'),
                                      encoding='utf-8').read()
            stem = os.path.splitext(os.path.basename(path))[0]
            short = re.sub(r'^(test|fuzz)_', '', stem)
            if stem not in builds[folder] and f"'{short}'" not in builds[folder]:
                self.say(path, 1, 'dead', 'no meson.build names this file')

    def shell(self, paths):
        scripts = []
        for path in paths:
            with open(os.path.join(ROOT, path), 'rb') as f:
                first = f.readline(64)
            if re.match(rb'#!.*\b(ba|da)?sh\b', first):
                scripts.append(path)
        if not scripts:
            return
        run = subprocess.run(['shellcheck', '-x', '-f', 'gcc', '-S', 'warning'] + scripts, cwd=ROOT,
                             capture_output=True, text=True, check=False)
        for line in run.stdout.splitlines():
            self.breaches.append('shellcheck: ' + line)

    def run(self):
        out = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '-z'], cwd=ROOT,
                             capture_output=True, text=True, check=True).stdout
        paths = [p for p in out.split('\0') if p and os.path.isfile(os.path.join(ROOT, p))]
        paths = [p for p in paths if '/corpus/' not in p and '/golden/' not in p and p != 'LICENSE']
        code = [p for p in paths if p.endswith(('.c', '.h'))]
        texts = []
        for path in paths:
            try:
                lines = open(os.path.join(ROOT, path), encoding='utf-8').readlines()
            except UnicodeDecodeError:
                continue
            texts.append(path)
            self.text_rules(path, lines)
            if path in code:
                self.code_rules(path, lines)
                self.include_rules(path, lines)
        self.function_rules(code)
        self.dead_files(code)
        self.shell(texts)
        for rule, key in sorted(set(self.exceptions) - self.used):
            self.breaches.append(f'tests/tidy/exceptions: {rule} {key}: no such thing any more')
        return len(paths)


def main():
    tidy = Tidy()
    count = tidy.run()
    for breach in tidy.breaches:
        print(breach)
    print(f'tidy: {count} files, {len(tidy.breaches)} breaches')
    return 1 if tidy.breaches else 0


if __name__ == '__main__':
    sys.exit(main())
