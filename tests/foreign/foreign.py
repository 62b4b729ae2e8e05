"""What the checks of this folder share: how they enter the chroot, how they read foreign programs' output, how they report.

Every check is `NAME LIBRARY FOLDER [...]`: libamlm-vgpu.so, and the folder in which make-chroot puts the chroots.
It prints a line a check and `N passed, N failed, N skipped` at the end; exit code 1 when one failed, 77 and
`skipped: why` when it cannot run at all."""
import array
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ESCAPES = re.compile(r'\x1b\[[0-9;]*m')


def skip(why):
    print('skipped: ' + why)
    sys.exit(77)


class Sandbox:
    """One chroot. Runs programs in it on the virtual GPU; `out` is a folder that both sides can write (/tmp/out inside)."""

    def __init__(self, suite, library, folder):
        self.chroot = os.path.join(folder, suite)
        self.library = library
        made = subprocess.run([HERE + '/make-chroot', suite, folder], stdout=subprocess.PIPE, text=True)
        if made.returncode:
            skip(made.stdout.strip().removeprefix('skipped: ') or 'no chroot')
        self.holder = tempfile.TemporaryDirectory(prefix='amlm-foreign-')
        self.out = self.holder.name

    def run(self, command, settings=None, seconds=600, models=None):
        """Output (both streams) and exit code; 124 when it took too long."""
        environment = dict(os.environ, AMLM_FOREIGN_OUT=self.out, AMLM_VGPU_FAULTS='/tmp/out/faults')
        environment.update(settings or {})
        if models:
            environment['AMLM_MODELS_FOLDER'] = models
        open(self.out + '/faults', 'a').close()
        try:
            done = subprocess.run([HERE + '/in-chroot', self.chroot, self.library] + command, env=environment,
                                  timeout=seconds, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as late:
            return ESCAPES.sub('', (late.stdout or b'').decode(errors='replace')), 124
        text = ESCAPES.sub('', done.stdout.decode(errors='replace'))
        if done.returncode == 77 and text.startswith('skipped: '):
            skip(text.strip().removeprefix('skipped: '))
        return text, done.returncode

    def faults(self):
        """Sentences of the virtual GPU since the last call."""
        with open(self.out + '/faults') as file:
            sentences = [json.loads(line)['sentence'] for line in file if line.strip()]
        open(self.out + '/faults', 'w').close()
        return sentences

    def version(self, package):
        """Of a Debian package in the chroot."""
        with open(self.chroot + '/var/lib/dpkg/status') as file:
            found = re.search(rf'^Package: {re.escape(package)}$(?:\n\S.*|\n .*)*?\nVersion: (.*)', file.read(), re.M)
        return found.group(1) if found else 'not installed'


class Report:
    def __init__(self):
        self.counts = {'passed': 0, 'failed': 0, 'skipped': 0}

    def line(self, verdict, name, detail=''):
        self.counts[verdict] += 1
        word = 'FAILED' if verdict == 'failed' else verdict
        print(f'{word:8} {name}' + (f': {detail}' if detail else ''), flush=True)

    def check(self, good, name, detail=''):
        self.line('passed' if good else 'failed', name, detail)

    def close(self):
        print(', '.join(f'{count} {word}' for word, count in self.counts.items()))
        sys.exit(1 if self.counts['failed'] else 0)


def arguments(usage, least=2):
    if len(sys.argv) < 1 + least or sys.argv[1].startswith('-'):
        print(usage.strip(), file=sys.stderr)
        sys.exit(2)
    return os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), sys.argv[3:]


# --- What foreign programs print -----------------------------------------------------------------------------------

def backend_ops(text):
    """Cases of test-backend-ops: name -> 'passed', 'failed', 'skipped' (not supported by the back end) or 'unfinished'."""
    cases = {}
    for line in text.splitlines():
        found = re.match(r'^(?:\[\w+\] .*? )?\s*([A-Z][A-Z0-9_]*\(.*?\)):?(?: (OK|FAIL|not supported.*))?$', line.rstrip())
        if not found:
            continue
        name, verdict = found.groups()
        if verdict and cases.get(name) != 'failed':
            cases[name] = {'OK': 'passed', 'FAIL': 'failed'}.get(verdict, 'skipped')
        elif name not in cases:
            cases[name] = 'unfinished'
    return cases


def igt_result(text, subtest):
    """'passed', 'failed', 'skipped', or 'crashed' where igt says nothing of the subtest."""
    found = re.search(rf'^Subtest {re.escape(subtest)}: (SUCCESS|FAIL|SKIP|CRASH|TIMEOUT)', text, re.M)
    return {'SUCCESS': 'passed', 'FAIL': 'failed', 'SKIP': 'skipped'}.get(found.group(1) if found else '', 'crashed')


def igt_subtests(text):
    """Names of the subtests that igt gives a verdict on."""
    return re.findall(r'^Subtest (\S+): [A-Z]+ \(', text, re.M)


def generated_text(text, prompt):
    """What llama-completion printed between two parts of its log: from the prompt on."""
    at = text.find(prompt)
    return re.split(r'\d+\.\d\d\.\d{3}\.\d{3} [A-Z] ', text[at:])[0].rstrip() if at >= 0 else ''


def tokens_per_second(text):
    """Of llama-bench's table, the first tg row; None when there is none."""
    found = re.search(r'\|\s*tg\d+\s*\|\s*([0-9.]+)', text)
    return float(found.group(1)) if found else None


def floats(path):
    values = array.array('f')
    with open(path, 'rb') as file:
        values.frombytes(file.read())
    return values


def largest_difference(a, b):
    """Infinity where the two cannot be compared: no values, another number of them, or a NaN."""
    if len(a) == 0 or len(a) != len(b) or any(x != x for x in a) or any(x != x for x in b):
        return float('inf')
    return max(abs(x - y) for x, y in zip(a, b))
