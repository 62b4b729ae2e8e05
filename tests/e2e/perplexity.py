#!/usr/bin/env python3
"""Perplexity on heldout.txt within 0.5 % of llama.cpp's, for each file that is here.

  perplexity.py AMLM [--chunks 16|151] [--files q8_0,...]
"""
import argparse
import os
import sys

from amlm import DEMO, SKIPPED, call_json, find_model, reference

TOLERANCE = 0.005


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('amlm')
    parser.add_argument('--chunks', type=int, default=16)
    parser.add_argument('--files', default='f16,q8_0,q4_0,q4_k_m')
    options = parser.parse_args()
    failures = ran = 0
    for kind in options.files.split(','):
        name = f'fairytale-7m-{kind}.gguf'
        path = find_model(name)
        if path is None:
            print(f'skipped: {name} is not here')
            continue
        wanted = next(p['ppl'] for p in reference()['perplexity']
                      if p['file'] == name and p['chunks'] == options.chunks and p['ctx'] == 512)
        got = call_json(options.amlm, 'perplexity', '-m', path, '-f', os.path.join(DEMO, 'heldout.txt'), '--ctx', '512',
                        '--chunks', str(options.chunks), '--device', 'virtual', timeout=3000)
        ran += 1
        off = got['perplexity'] / wanted - 1
        holds = abs(off) <= TOLERANCE
        failures += not holds
        ours = f'{got["perplexity"]:.4f} ± {got["standard_error"]:.5f}'
        print(f'{kind:7} {options.chunks} windows: {ours}, llama.cpp {wanted:.4f} ({off * 100:+.3f} %)'
              f'{"" if holds else " FAILED"}', flush=True)
    if not ran:
        sys.exit(SKIPPED)
    sys.exit(1 if failures else 0)


main()
