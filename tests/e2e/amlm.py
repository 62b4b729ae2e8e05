"""What the end-to-end tests share: where the program and the models are, and how to call it."""
import json
import os
import subprocess
import sys

SKIPPED = 77          # Meson's exit code for a skipped test
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
DEMO = os.path.join(ROOT, 'tools', 'demo-model')


def find_model(name):
    """The Q8_0 file is in the tree; the other three beside the checkout or in $AMLM_DEMO_MODELS."""
    for place in (DEMO, os.environ.get('AMLM_DEMO_MODELS', ''), os.path.join(ROOT, '..', 'shared', 'demo-model')):
        path = os.path.join(place, name)
        if place and os.path.exists(path):
            return path
    return None


def reference():
    with open(os.path.join(DEMO, 'reference.json')) as file:
        return json.load(file)


def call(program, *arguments, mode='fast', seed=None, timeout=600, **more):
    environment = dict(os.environ, AMLM_VGPU_MODE=mode, **more)
    if seed is not None:
        environment['AMLM_VGPU_SEED'] = str(seed)
    return subprocess.run([program, *arguments], capture_output=True, text=True, env=environment, timeout=timeout,
                          errors='replace')


def call_json(program, *arguments, **options):
    done = call(program, *arguments, '--json', **options)
    if done.returncode != 0:
        sys.exit(f'FAILED: {" ".join(arguments)}: exit code {done.returncode}: {done.stderr[-2000:]}')
    return json.loads(done.stdout)
