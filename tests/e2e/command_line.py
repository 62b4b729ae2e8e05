#!/usr/bin/env python3
"""The command as a user types it: exit codes, one clear sentence for each mistake, Ctrl-C, nothing half-written.

  command_line.py AMLM
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

from amlm import call, find_model

failures = 0


def expect(what, holds, detail=''):
    global failures
    failures += not holds
    print(f'{"ok" if holds else "FAILED"}: {what}' + (f': {detail}' if detail and not holds else ''), flush=True)


def refuses(amlm, what, code, *arguments, says='', **options):
    done = call(amlm, *arguments, timeout=60, **options)
    sentence = done.stderr.strip()
    holds = done.returncode == code and re.search(says, sentence) is not None and len(sentence.split('\n')) <= 12
    expect(what, holds, f'exit code {done.returncode} (wanted {code}), stderr: {sentence[-400:]!r}')


def test_refusals(amlm, folder):
    model = find_model('fairytale-7m-q8_0.gguf')
    def write(name, data):
        path = os.path.join(folder, name)
        with open(path, 'wb') as file:
            file.write(data)
        return path
    refuses(amlm, 'no command', 2)
    refuses(amlm, 'unknown option', 2, 'run', '--nonsense')
    refuses(amlm, 'no such model', 8, 'run', '-m', '/nonexistent.gguf', '-p', 'x', '--device', 'virtual', says='nonexistent')
    refuses(amlm, 'a folder as model', 8, 'run', '-m', folder, '-p', 'x', '--device', 'virtual', says='')
    refuses(amlm, 'empty file as model', 9, 'run', '-m', write('empty', b''), '-p', 'x', '--device', 'virtual', says='empty')
    text = write('text', b'hello' * 100)
    refuses(amlm, 'text as model', 9, 'run', '-m', text, '-p', 'x', '--device', 'virtual', says='GGUF')
    with open(model, 'rb') as file:
        head = file.read(1 << 20)
    refuses(amlm, 'model cut short', 9, 'run', '-m', write('cut', head), '-p', 'x', '--device', 'virtual')
    refuses(amlm, 'no such node', 3, 'run', '-m', model, '-p', 'x', '--device', '/dev/dri/renderD999', says='renderD999')
    refuses(amlm, 'a device word that is none', 2, 'run', '-m', model, '-p', 'x', '--device', 'cuda', says='cuda')
    refuses(amlm, 'prompt longer than the context', 11, 'run', '-m', model, '-p', 'word ' * 3000, '--device', 'virtual')
    refuses(amlm, 'prompt file missing', 8, 'run', '-m', model, '-f', '/nonexistent.txt', '--device', 'virtual')
    refuses(amlm, 'GTT too small', 6, 'run', '-m', model, '-p', 'x', '--device', 'virtual', says='GTT',
            AMLM_VGPU_GTT_MIB='4')
    if not os.path.exists('/dev/dri'):
        refuses(amlm, 'auto without a device', 3, 'run', '-m', model, '-p', 'x', says='--device virtual')


def test_outputs(amlm):
    model = find_model('fairytale-7m-q8_0.gguf')
    done = call(amlm, 'run', '-m', model, '-p', 'Once upon a time', '-n', '8', '--temp', '0', '--device', 'virtual')
    expect('run prints text on stdout', done.returncode == 0 and len(done.stdout) > 10, done.stderr[-300:])
    expect('run says "virtual" on stderr', 'virtual' in done.stderr, done.stderr[-300:])
    done = call(amlm, 'info', '--json', '--device', 'virtual')
    info = json.loads(done.stdout) if done.returncode == 0 else {}
    expect('info names gfx 11.5.1', info.get('gfx') == '11.5.1', done.stderr[-300:])
    sampled = ['run', '-m', model, '-p', 'Once', '-n', '12', '--temp', '0.8', '--json', '--device', 'virtual', '--seed']
    first, again, other = (call(amlm, *sampled, seed) for seed in ('7', '7', '8'))
    expect('sampling runs', first.returncode == 0 and other.returncode == 0, first.stderr[-300:])
    if first.returncode == 0 and other.returncode == 0:
        ids = [json.loads(done.stdout)['ids'] for done in (first, again, other)]
        expect('same seed, same ids', ids[0] == ids[1], str(ids))
        expect('another seed, other ids', ids[0] != ids[2], str(ids))
    done = call(amlm, 'disasm', 'argmax_final')
    expect('disasm prints a kernel', done.returncode == 0 and 's_endpgm' in done.stdout, done.stderr[-300:])
    done = call(amlm, 'ib', '-m', model, '--device', 'virtual')
    expect('ib prints packets', done.returncode == 0 and done.stdout.count('DISPATCH_DIRECT') > 40, done.stderr[-300:])


def test_interrupt(amlm):
    model = find_model('fairytale-7m-q8_0.gguf')
    running = subprocess.Popen([amlm, 'run', '-m', model, '-p', 'Once upon a time', '-n', '900', '--temp', '0.9', '--device',
                                'virtual'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.stdout.read(5)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=30)
    expect('Ctrl-C ends cleanly', running.returncode == 130, f'exit code {running.returncode}, {stderr[-300:]}')


def main():
    amlm = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        test_refusals(amlm, folder)
    test_outputs(amlm)
    test_interrupt(amlm)
    sys.exit(1 if failures else 0)


main()
