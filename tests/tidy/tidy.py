#!/usr/bin/env python3
"""Checks the tree against rules.txt: layering of includes, sizes, words, a README in each folder.

  tidy.py [ROOT]        prints one line a violation; exit code 1 if there is any
  tidy.py --canary      makes a small tree with one violation of each kind and demands that all are found
"""
import os
import re
import sys
import tempfile

SOURCE = ('.h', '.cpp', '.inc', '.s', '.py')
FOLDERS = ('driver', 'driver/virtual', 'isa', 'kernels', 'engine', 'tools', 'tests')


def read_rules(path):
    rules = {'layer': {}, 'max': {}, 'table': [], 'ban': []}
    for line in open(path):
        line = line.split('#')[0].strip()
        if not line:
            continue
        kind, rest = line.split(None, 1)
        if kind == 'layer':
            name, *allowed = rest.split()
            rules['layer'][name] = allowed
        elif kind == 'max':
            name, value = rest.split()
            rules['max'][name] = int(value)
        else:
            rules[kind].append(rest)
    return rules


def layer_of(path, rules):
    fits = [n for n in rules['layer'] if path.startswith(n + '/')]
    return max(fits, key=len) if fits else None


def may_include(target, target_layer, allowed):
    """An allowed folder does not open the layers nested in it: driver is not driver/virtual."""
    for entry in allowed:
        if target == entry:
            return True
        if target.startswith(entry + '/') and not target_layer.startswith(entry + '/'):
            return True
    return False


def check_includes(path, lines, rules):
    layer = layer_of(path, rules)
    if layer is None:
        return
    for number, line in enumerate(lines, 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not found:
            continue
        target = found[1]
        target_layer = layer_of(target, rules)
        if target_layer is None:
            yield f'{path}:{number}: include "{target}" is not written from the root'
        elif not may_include(target, target_layer, rules['layer'][layer]):
            yield (f'{path}:{number}: {layer} may not include "{target}" '
                   f'(allowed: {", ".join(rules["layer"][layer])})')


def check_functions(path, lines, limit):
    """Function bodies as the style writes them: the opening brace ends a line, the closing one stands in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and line.endswith('{') and line[:1] not in (' ', '}', '#', '/') and '(' in line \
                and not line.startswith(('namespace', 'extern', 'struct', 'class', 'enum', 'union')):
            start = number
        elif line.startswith('}'):
            if start is not None and number - start + 1 > limit:
                yield f'{path}:{start}: function of {number - start + 1} lines (limit {limit})'
            start = None


def check_file(root, path, rules):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        lines = file.read().split('\n')
    is_table = any(path.startswith(t) for t in rules['table'])
    if not is_table and len(lines) - 1 > rules['max']['file_lines']:
        yield f'{path}: {len(lines) - 1} lines (limit {rules["max"]["file_lines"]})'
    for number, line in enumerate(lines, 1):
        if len(line) > rules['max']['line_chars'] and not is_table:
            yield f'{path}:{number}: {len(line)} characters (limit {rules["max"]["line_chars"]})'
        for ban in rules['ban']:
            word, _, remedy = ban.partition('|')
            if re.search(rf'\b{re.escape(word)}\b', line):
                yield f'{path}:{number}: the word "{word}"' + (f': {remedy}' if remedy else ' has no place in the tree')
    if path.endswith('.h') and '#pragma once' not in lines:
        yield f'{path}: no #pragma once'
    if path.endswith(('.h', '.cpp', '.inc')):
        yield from check_includes(path, lines, rules)
    if path.endswith('.cpp'):
        yield from check_functions(path, lines, rules['max']['function_lines'])


def check_tree(root, rules):
    for folder in FOLDERS:
        if not os.path.exists(os.path.join(root, folder, 'README.md')):
            yield f'{folder}: no README.md'
    for top in sorted({f.split('/')[0] for f in FOLDERS}):
        for here, folders, files in os.walk(os.path.join(root, top)):
            folders.sort()
            for name in sorted(files):
                path = os.path.relpath(os.path.join(here, name), root)
                if name.endswith(SOURCE) and not path.startswith(('tests/tidy/', 'tools/demo-model/')):
                    yield from check_file(root, path, rules)


def canary(rules):
    with tempfile.TemporaryDirectory() as root:
        def write(path, text):
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), 'w') as file:
                file.write(text)
        for folder in FOLDERS[1:]:
            write(f'{folder}/README.md', 'story\n')
        write('isa/a.h', '#include "driver/base.h"\n')
        write('engine/b.cpp', '#include "driver/virtual/x.h"\n#include "b.h"\n// TODO\n' + 'x' * 130 + '\n')
        write('driver/c.cpp', '\n' * 700 + 'void f() {\n' + ' x;\n' * 80 + '}\n')
        write('driver/virtual/d.cpp', '#include "driver/device.h"\n')
        found = '\n'.join(check_tree(root, rules))
        wanted = ['driver: no README', 'isa may not include "driver/base.h"', 'no #pragma once',
                  'engine may not include "driver/virtual/x.h"', '"b.h" is not written from the root', 'the word "TODO"',
                  '130 characters', '782 lines', 'function of 82 lines', 'driver/virtual may not include "driver/device.h"']
        missed = [w for w in wanted if w not in found]
        print(f'canary: {len(wanted) - len(missed)} of {len(wanted)} planted violations found')
        for miss in missed:
            print('not found:', miss)
        return 1 if missed else 0


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    rules = read_rules(os.path.join(here, 'rules.txt'))
    if sys.argv[1:] == ['--canary']:
        return canary(rules)
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, '..', '..')
    violations = list(check_tree(root, rules))
    print('\n'.join(violations) or 'tidy: no violation')
    return 1 if violations else 0


if __name__ == '__main__':
    sys.exit(main())
