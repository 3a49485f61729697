#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the build refuses an include that a room's row does not allow.

For every room, with the very flags its own files are compiled with, each door of the house is
included once: those of its row must compile, all others must not.

usage: walls.py BUILD-DIR
"""
import json
import os
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tidy import ROOMS  # pylint: disable=wrong-import-position


def commands(build):
    """One compile command for each room that has a C file."""
    found = {}
    for entry in json.load(open(os.path.join(build, 'compile_commands.json'), encoding='utf-8')):
        path = os.path.normpath(os.path.join(entry['directory'], entry['file']))
        parts = path.split(os.sep)
        if 'src' in parts and parts[-2] in ROOMS and parts[-3] == 'src':
            found.setdefault(parts[-2], entry)
    return found


def include_flags(command):
    """Of a compile command what decides which headers are seen; -isystem has a word of its own."""
    keep = []
    words = iter(shlex.split(command))
    for word in words:
        if word in ('-I', '-D', '-isystem'):
            keep += [word, next(words)]
        elif word.startswith(('-I', '-isystem', '-D', '-std', '-pthread')):
            keep.append(word)
    return keep


def compiles(entry, header):
    keep = include_flags(entry['command'])
    run = subprocess.run(['cc', *keep, '-fsyntax-only', '-x', 'c', '-'], cwd=entry['directory'],
                         input=f'#include <quoin/{header}.h>\n', text=True, check=False,
                         capture_output=True)
    return run.returncode == 0


def main():
    bad = 0
    checked = 0
    doors = [r for r in ROOMS if r not in ('quoind', 'quoin', 'sim')]
    doors = [r for r in doors if os.path.exists(f'src/{r}/include/quoin/{r}.h')]
    for room, entry in sorted(commands(sys.argv[1]).items()):
        for door in doors:
            allowed = door == room or door in ROOMS[room]
            checked += 1
            if compiles(entry, door) != allowed:
                bad += 1
                print(f"{room}: <quoin/{door}.h> {'does not compile' if allowed else 'compiles'}")
    print(f'walls: {checked} includes tried, {bad} not as the rows of the house say')
    return 1 if bad or not checked else 0


if __name__ == '__main__':
    sys.exit(main())
