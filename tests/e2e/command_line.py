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
    virtual = ['--device', 'virtual']
    run = ['run', '-m', model, *virtual, '-n', '1', '-p', 'x']
    refuses(amlm, 'a command that is none', 2, 'rum', says="'rum'")
    refuses(amlm, 'an empty word as model', 2, 'run', '-m', '', '-p', 'x', *virtual, says='--model')
    for option, value in [('--temp', 'nan'), ('--temp', '-1'), ('--top-p', 'nan'), ('--min-p', '2'),
                          ('--repeat-penalty', 'nan'), ('-n', '-1'), ('-n', '1.5'), ('--top-k', '-5')]:
        refuses(amlm, f'{option} {value}', 2, *run, option, value, says='-')
    refuses(amlm, 'a folder as prompt', 8, 'run', '-m', model, '-f', folder, *virtual, says='is a folder')
    refuses(amlm, 'an endless prompt', 8, 'run', '-m', model, '-f', '/dev/zero', *virtual, says='longer than')
    refuses(amlm, 'a folder as device', 3, 'run', '-m', model, '-p', 'x', '--device', folder, says='render node')
    refuses(amlm, 'a folder as text', 8, 'perplexity', '-m', model, '-f', folder, *virtual, says='is a folder')
    refuses(amlm, 'windows of two tokens', 2, 'perplexity', '-m', model, '-f', text, '--ctx', '2', *virtual, says='--ctx')
    refuses(amlm, 'a bench of nothing', 2, 'bench', '-m', model, '-p', '0', '-n', '0', *virtual, says='nothing')
    refuses(amlm, 'a bench without end', 2, 'bench', '-m', model, '-p', '0', '-n', '4294967295', *virtual, says='-n')
    refuses(amlm, 'no such kernel to test', 2, 'selftest', '--kernel', 'nosuch', *virtual, says='nosuch')
    refuses(amlm, 'a folder to disassemble', 8, 'disasm', '--file', folder, says='is a folder')
    refuses(amlm, 'faults into no folder', 8, 'vgpu', '--faults', '/nonexistent/f', '--', 'true', says='nonexistent')
    refuses(amlm, 'no such record', 120, 'vgpu', '--record', '/nonexistent', '--', amlm, 'info', says='nonexistent')
    refuses(amlm, 'a node one may not open', 4, 'vgpu', '--inject', 'OPEN: fail EACCES', '--', amlm, 'info',
            says='gid')
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


def changed_record(folder, name, change):
    with open(os.path.join(folder, 'record.json')) as file:
        record = json.load(file)
    change(record)
    path = os.path.join(folder, name)
    with open(path, 'w') as file:
        json.dump(record, file)
    return path


def test_record(amlm, folder):
    path = os.path.join(folder, 'record.json')
    done = call(amlm, 'info', '--device', 'virtual', '--record', path)
    expect('info --record', done.returncode == 0 and os.listdir(folder) == ['record.json'], done.stderr[-300:])

    def older(record):
        record['drm_version']['minor'] = 57

    def another_chip(record):
        for row in record['hw_ip']:          # ip_discovery_version, the last dword
            row['raw'] = row['raw'].replace('01050b00', '00050b00')

    def another_driver(record):
        record['drm_version']['name'] = 'xe'
    done = call(amlm, 'vgpu', '--record', changed_record(folder, 'older.json', older), '--', amlm, 'info', '--json')
    expect('a record is taken over', done.returncode == 0 and json.loads(done.stdout)['drm'] == '3.57', done.stderr[-300:])
    refuses(amlm, 'a node of another chip', 3, 'vgpu', '--record', changed_record(folder, 'chip.json', another_chip), '--',
            amlm, 'info', says='gfx1150, not gfx1151')
    refuses(amlm, 'a node of another driver', 3, 'vgpu', '--record', changed_record(folder, 'xe.json', another_driver),
            '--', amlm, 'info', says='xe, not amdgpu')
    refuses(amlm, 'a record into a full disk', 8, 'info', '--device', 'virtual', '--record', '/dev/full', says='No space')


def test_streams(amlm):
    model = find_model('fairytale-7m-q8_0.gguf')
    virtual = ['-m', model, '--device', 'virtual']
    run = ['run', '-p', 'x', '-n', '2', *virtual]
    commands = {'run': run, 'run --json': [*run, '--json'],
                'info': ['info', '--device', 'virtual'], 'disasm': ['disasm', '--list']}
    for name, words in commands.items():
        for what, redirect in [('full', '>/dev/full'), ('closed', '>&-')]:
            done = subprocess.run(['sh', '-c', f'exec "$0" "$@" {redirect}', amlm, *words], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
            expect(f'{name}, stdout {what}', done.returncode == 8 and 'standard output' in done.stderr,
                   f'exit code {done.returncode}, {done.stderr[-300:]}')
    done = subprocess.run([amlm, 'run', '-f', '-', '-n', '1', '--json', *virtual], input=b'Once \xff\xfe', timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect('a prompt of bytes that are no UTF-8, from standard input', done.returncode == 0 and
           len(json.loads(done.stdout)['prompt_ids']) > 3, done.stderr[-300:])
    done = call(amlm, 'run', '-p', 'Once', '-n', '9', '--ctx', '5', '--temp', '0', *virtual)
    expect('a full context is said', done.returncode == 0 and 'context of 5 tokens is full' in done.stderr,
           done.stderr[-300:])


def test_bench(amlm):
    virtual = ['-m', find_model('fairytale-7m-q8_0.gguf'), '--device', 'virtual', '-p', '8', '-n', '4', '-r', '1']
    done = call(amlm, 'bench', '--json', '--counters', *virtual)
    rows = json.loads(done.stdout) if done.returncode == 0 else []
    expect('bench --json has pp8 and tg4', [row['test'] for row in rows] == ['pp8', 'tg4'], done.stderr[-300:])
    if rows:
        expect('counted dispatches are those of the four tokens alone',
               rows[1]['counters']['dispatches'] == 4 * rows[1]['dispatches_per_token'], str(rows[1]))
        expect('one submit a token', rows[1]['counters']['submits'] == 4 and rows[1]['submits_per_token'] == 1, str(rows[1]))
        names = ['model_filename', 'model_type', 'model_size', 'model_n_params', 'n_prompt', 'n_gen', 'avg_ns', 'stddev_ns',
                 'avg_ts', 'stddev_ts']
        expect("llama-bench's names", [name for name in rows[0] if name in names] == names, str(rows[0].keys()))
    done = call(amlm, 'bench', '--csv', *virtual)
    lines = done.stdout.splitlines()
    expect('bench --csv has a header and two rows', len(lines) == 3 and lines[0].startswith('build_commit,'), done.stdout)
    done = call(amlm, 'bench', '--md', *virtual)
    expect('bench --md is a table', done.stdout.startswith('| model | size | params | backend | test | t/s |'), done.stdout)


def test_perplexity(amlm, folder):
    text = os.path.join(folder, 'text')
    with open(text, 'w') as file:
        file.write('Once upon a time there was a little girl. ' * 200)
    done = call(amlm, 'perplexity', '-m', find_model('fairytale-7m-q8_0.gguf'), '-f', text, '--ctx', '600', '--chunks', '1',
                '--json', '--device', 'virtual')
    expect('perplexity of a window longer than a batch', done.returncode == 0 and
           json.loads(done.stdout)['tokens_counted'] == 299, done.stderr[-300:])


def test_selftest(amlm):
    done = call(amlm, 'selftest', '--kernel', 'argmax', '--device', 'virtual')
    expect('selftest holds', done.returncode == 0 and ' 0 do not' in done.stdout, done.stdout[-300:])
    done = call(amlm, 'vgpu', '--inject', 'JOB nth 1: hang', '--', amlm, 'selftest', '--kernel', 'argmax')
    expect('selftest fails when the GPU does', done.returncode == 1 and 'FAILED' in done.stdout, done.stdout[-300:])


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
    with tempfile.TemporaryDirectory() as folder:
        test_record(amlm, folder)
        test_perplexity(amlm, folder)
    test_outputs(amlm)
    test_streams(amlm)
    test_bench(amlm)
    test_selftest(amlm)
    test_interrupt(amlm)
    sys.exit(1 if failures else 0)


main()
