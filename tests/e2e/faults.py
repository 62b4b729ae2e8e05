#!/usr/bin/env python3
"""amlm on a virtual GPU that fails on demand: after a fault that can be mended the same text, else one sentence and the
exit code of its kind. And on the kernels and firmware that it can pretend.

  faults.py AMLM
"""
import json
import os
import re
import sys
import tempfile

from amlm import call, find_model

failures = 0


def expect(what, holds, detail=''):
    global failures
    failures += not holds
    print(f'{"ok" if holds else "FAILED"}: {what}' + (f': {detail}' if detail and not holds else ''), flush=True)


# A hang comes after three tokens or so; the session goes on from there.
MENDED = {
    'JOB nth 4: hang': 'did not finish within the job timeout',
    'JOB nth 4: hang vram-lost': 'VRAM contents were lost',
    'JOB nth 4: reset full': 'not through our fault',
    'DISPATCH nth 90: page-fault at 0xdead0000 write': 'page fault: write at 0xdead0000',
    'DISPATCH nth 90: stall 3s': 'did not finish',
    'JOB nth 1: soft-recovery': 'ENODATA',
    'CS every 3: fail EINTR; WAIT_CS every 2: fail EINTR; GEM_CREATE every 2: fail EINTR': '',
    'CS nth 2-5: fail ENOMEM': '',
    'CS nth 3: reset queue': '',
}
FATAL = {
    'OPEN: fail EACCES': (4, 'gid'),
    'OPEN: fail ENXIO': (3, 'render node'),
    'OPEN: fail EMFILE': (5, 'cannot be opened'),
    'VERSION nth 1: fail ENODEV': (3, 'not a DRM device'),
    'INFO nth 1: fail EINVAL': (5, 'libdrm_amdgpu cannot use it'),
    'GEM_CREATE nth 5: fail ENOMEM': (6, 'GTT memory is used up'),
    'GEM_VA nth 3: fail EINVAL': (5, 'cannot map'),
    'MMAP nth 4: fail EACCES': (5, 'for the CPU'),
    'CTX: fail ENOMEM': (5, 'refuses a submission context'),
    'CS: fail ENODEV': (5, 'refuses a submission'),
    'CS: fail ENOMEM': (6, 'other processes use too much memory'),
    'GEM_CREATE nth 9: gtt 64GiB': (6, 'GTT memory is used up'),
    'JOB from 4: hang': (7, 'did not finish within the job timeout'),
    'JOB nth 4: hang; CTX from 2: fail EACCES': (5, 'new submission context after a fault'),
}


def test_faults(amlm):
    model = find_model('fairytale-7m-q8_0.gguf')
    run = ['run', '-m', model, '-p', 'Once upon a time', '-n', '8', '--temp', '0', '--device', 'virtual']
    good = call(amlm, *run)
    expect('the text without a fault', good.returncode == 0 and len(good.stdout) > 10, good.stderr[-300:])
    for script, says in MENDED.items():
        done = call(amlm, *run, AMLM_VGPU_INJECT=script)
        told = 'going on from the last good token' in done.stderr
        expect(f'mended: {script}', done.returncode == 0 and done.stdout == good.stdout and told == (says != '') and
               says in done.stderr, f'exit code {done.returncode}, {done.stderr[-400:]!r}')
    for script, (code, says) in FATAL.items():
        done = call(amlm, *run, AMLM_VGPU_INJECT=script)
        last = done.stderr.strip().split('\n')[-1]
        expect(f'exit code {code}: {script}', done.returncode == code and re.search(says, last) is not None,
               f'exit code {done.returncode}, {done.stderr[-400:]!r}')


def test_settings(amlm):
    def info(*options):
        done = call(amlm, 'vgpu', *options, '--', amlm, 'info', '--json')
        return json.loads(done.stdout) if done.returncode == 0 else {'advice': [], 'error': done.stderr}

    def advice(answer):
        return ' '.join(entry['what'] for entry in answer['advice'])

    expect('nothing is wrong with the default', advice(info()) == '', str(info()))
    for kernel, minor, timeout in [('6.12', 61, 60000), ('6.17', 64, 10000), ('7.3', 64, 2000)]:
        answer = info('--kernel', kernel)
        expect(f'Linux {kernel}', answer.get('drm') == f'3.{minor}' and answer['job_timeout_ms'] == timeout and
               answer['kernel'].startswith(kernel + '.') and answer['job_timeout_source'] == f'default of Linux {kernel}',
               str(answer))
        expect(f'advice on Linux {kernel}', ('cancels our work' in advice(answer)) == (kernel == '6.12'), advice(answer))
    answer = info('--kernel', '7.3', '--job-timeout', '500')
    expect('a short timeout', answer['job_timeout_ms'] == 500 and 'job timeout is 500' in advice(answer), str(answer))
    answer = info('--job-timeout', 'never')
    expect('no timeout', answer.get('job_timeout_ms') == 0, str(answer))
    answer = info('--firmware', 'mes=0x83,MEC=24')
    expect('MES 0x83', '0x83 is known to hang' in advice(answer) and answer['firmware']['MEC']['version'] == 24,
           str(answer))
    answer = info('--gtt', '8192', '--vram', '1024')
    expect('sizes', answer.get('gtt_total_bytes') == 8 << 30 and answer['vram_total_bytes'] == 1 << 30, str(answer))
    for option, value, says in [('--kernel', '5.1', '5.1 is none of'), ('--firmware', 'mess=1', 'which is none of ME'),
                                ('--firmware', 'mes', 'no version'), ('--seed', 'x', 'not a usable number'),
                                ('--mode', 'slow', 'neither strict nor fast'), ('--job-timeout', '0', 'not a usable'),
                                ('--inject', 'CS: fall', 'line 1: "fall"'),
                                ('--fault-script', '/nonexistent', 'cannot be read')]:
        done = call(amlm, 'vgpu', option, value, '--', amlm, 'info')
        expect(f'{option} {value}', done.returncode == 120 and says in done.stderr and done.stderr.count('\n') == 1,
               f'exit code {done.returncode}, {done.stderr[-300:]!r}')


def test_files(amlm, folder):
    names = {name: os.path.join(folder, name) for name in ('script', 'faults', 'counters', 'trace')}
    with open(names['script'], 'w') as file:
        file.write('# the fourth job\nJOB nth 4: hang\n')
    model = find_model('fairytale-7m-q8_0.gguf')
    done = call(amlm, 'vgpu', '--fault-script', names['script'], '--faults', names['faults'],
                '--counters', names['counters'], '--trace', names['trace'], '--threads', '1', '--primary', '--',
                amlm, 'run', '-m', model, '-p', 'Once upon a time', '-n', '4')
    expect('a script from a file', done.returncode == 0 and 'going on' in done.stderr, done.stderr[-300:])
    with open(names['faults']) as file:
        expect('faults as JSON lines', 'line 2: hangs' in json.loads(file.readline())['sentence'])
    with open(names['counters']) as file:
        expect('counters as JSON', json.load(file)['jobs'] > 1)
    expect('a trace', os.path.getsize(names['trace']) > 100)


def main():
    test_faults(sys.argv[1])
    test_settings(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        test_files(sys.argv[1], folder)
    sys.exit(1 if failures else 0)


main()
