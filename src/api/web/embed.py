#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a C file of the page's files, so that quoind carries them: embed.py OUT FILE..."""
import hashlib
import os
import sys

TYPES = {'.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8',
         '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml'}


def array(number, data):
    rows = [', '.join(str(byte) for byte in data[at:at + 20]) for at in range(0, len(data), 20)]
    return f'static const unsigned char file_{number}[] = {{\n' + ',\n'.join(rows) + '};\n'


def main():
    entries = []
    with open(sys.argv[1], 'w', encoding='ascii') as out:
        out.write('/* Made by embed.py. */\n#include "page.h"\n\n')
        for number, path in enumerate(sys.argv[2:]):
            with open(path, 'rb') as file:
                data = file.read()
            name = os.path.basename(path)
            tag = hashlib.sha256(data).hexdigest()[:16]
            out.write(array(number, data))
            entries.append(f'\t{{"/{"" if name == "index.html" else name}", '
                           f'"{TYPES[os.path.splitext(name)[1]]}", "\\"{tag}\\"", '
                           f'file_{number}, sizeof(file_{number})}},\n')
        out.write('\nconst struct api_page_file api_page_files[] = {\n' + ''.join(entries) + '};\n'
                  f'const unsigned api_page_file_count = {len(entries)};\n')


main()
