#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds docs/CONFORMANCE.md and docs/FAULTS.md against the tree.

Every item of the three tables of CONFORMANCE.md is there once, in order, and names a test; every
fault but those of the section "Not survived" does too. A test named as `folder/file:function` is
defined in that file and handed to its runner; a file named alone exists and is wired into the
build. Prints one line per breach and exits 1 when there is one.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = os.path.join(ROOT, 'tests')
ITEMS = ([str(number) for number in range(1, 103)] + [f'H{number}' for number in range(1, 36)] +
         [f'T{number}' for number in range(1, 13)])
REFERENCE = re.compile(r'`((?:unit|interop|api|web|guest|fuzz|sim)/[\w./-]+)(?::(\w+))?`')
UNPROVED = 'Not survived'


class Tree:
    """The test tree, each file read once."""

    def __init__(self):
        self.texts = {}

    def text(self, path):
        if path not in self.texts:
            full = os.path.join(TESTS, path)
            known = os.path.isfile(full)
            self.texts[path] = open(full, encoding='utf-8').read() if known else None
        return self.texts[path]

    def wired(self, path):
        """The file's meson.build, or that of a folder above, has its name without the prefix."""
        folder, name = os.path.split(path)
        if name == 'meson.build':
            return f"subdir('{folder}')" in (self.text('meson.build') or '')
        stem = re.sub(r'^(test|fuzz)_', '', os.path.splitext(name)[0])
        build = self.text(os.path.join(folder, 'meson.build')) or ''
        return re.search(rf"'(?:test_|fuzz_)?{re.escape(stem)}(?:\.\w+)?'", build) is not None

    def runs(self, path, function):
        text = self.text(path)
        if path.endswith('.py'):
            return re.search(rf'^    def {function}\(self\):', text, re.M) is not None
        defined = re.search(rf'^static void {function}\(void \*\*', text, re.M)
        handed = re.search(rf'\b(?:cmocka_unit_test\w*|\w*test|CASE)\(\s*{function}\b', text)
        return defined is not None and handed is not None

    def wrong(self, path, function):
        """What is wrong with a reference, or None."""
        if self.text(path) is None:
            return f'{path} does not exist'
        if not self.wired(path):
            return f'{path} is in no meson.build'
        if function and not self.runs(path, function):
            return f'{path} does not run {function}'
        return None


def rows(name):
    """(line number, section, cells) of each row of the tables."""
    section = ''
    path = os.path.join(ROOT, 'docs', name)
    for number, line in enumerate(open(path, encoding='utf-8'), 1):
        if line.startswith('## '):
            section = line[3:].strip()
        elif line.startswith('| ') and not re.match(r'\| (#|Fault) \|', line):
            yield number, section, [cell.strip() for cell in line.strip().strip('|').split('|')]


def main():
    tree = Tree()
    breaches = []
    items = []
    for name in ('CONFORMANCE.md', 'FAULTS.md'):
        for number, section, cells in rows(name):
            found = REFERENCE.findall(cells[-1])
            if name == 'CONFORMANCE.md':
                items.append(cells[0])
            if not found and section != UNPROVED:
                breaches.append(f'docs/{name}:{number}: no test is named')
            if '`' in REFERENCE.sub('', cells[-1]):
                breaches.append(f'docs/{name}:{number}: a name that is no test: {cells[-1]}')
            for path, function in found:
                wrong = tree.wrong(path, function)
                if wrong:
                    breaches.append(f'docs/{name}:{number}: {wrong}')
    if items != ITEMS:
        odd = sorted(set(ITEMS) ^ set(items)) or ['the order']
        breaches.append(f'docs/CONFORMANCE.md: items missing, twice or unknown: {odd}')
    print('\n'.join(breaches) or f'{len(items)} items')
    return 1 if breaches else 0


sys.exit(main())
