# SPDX-License-Identifier: Apache-2.0
"""What eve-messages prints, held against protoc and its Python library: bytes and JSON.

Usage: round_trip.py EVE-MESSAGES PROTO-DIRECTORY. QUOIN_EVE_SEED draws others, QUOIN_EVE_COUNT
more (default 60 states).
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    from google.protobuf import json_format
except ImportError:
    print('python3-protobuf is not installed')
    sys.exit(77)


def compile_python(protos, directory):
    subprocess.run(['protoc', '-I', protos, '--python_out=' + directory, 'eve.proto'], check=True)
    sys.path.insert(0, directory)
    import eve_pb2  # pylint: disable=import-error,import-outside-toplevel
    return eve_pb2


def protoc(mode, kind, protos, data):
    return subprocess.run(['protoc', '-I', protos, f'--{mode}=eve.{kind}', 'eve.proto'],
                          input=data, capture_output=True, check=True).stdout


def check(eve, kind, data, said):
    """Both forms of one message, both ways."""
    message = getattr(eve, kind).FromString(data)
    assert message.SerializeToString(deterministic=True) == data, 'bytes'
    theirs = json.loads(json_format.MessageToJson(message))
    assert theirs == said, f'JSON: {theirs} is not {said}'
    again = json_format.ParseDict(said, getattr(eve, kind)())
    assert again.SerializeToString(deterministic=True) == data, 'bytes of the JSON'


def main():
    program, protos = sys.argv[1:3]
    seed = os.environ.get('QUOIN_EVE_SEED', '1')
    count = os.environ.get('QUOIN_EVE_COUNT', '60')
    lines = subprocess.run([program, seed, count], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    seen = {}
    with tempfile.TemporaryDirectory() as directory:
        eve = compile_python(protos, directory)
        for number, line in enumerate(lines):
            kind, data, said = line.split(' ', 2)
            data = bytes.fromhex(data)
            try:
                check(eve, kind, data, json.loads(said))
                # The program itself too, of the first of each kind: a process each.
                if seen.setdefault(kind, 0) < 3:
                    text = protoc('decode', kind, protos, data)
                    assert protoc('encode', kind, protos, text) == data, 'protoc'
                seen[kind] += 1
            except AssertionError as wrong:
                sys.exit(f'seed {seed}, line {number}, {kind}: {wrong}')
    print(seen)
    assert all(seen.get(kind, 0) > 10 for kind in
               ('ZInfoMsg', 'ZMetricMsg', 'ZHardwareHealth', 'StorageChildren')), seen


main()
