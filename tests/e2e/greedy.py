#!/usr/bin/env python3
"""The first 64 greedy ids equal llama.cpp's, file by file and prompt by prompt.

  greedy.py AMLM [--mode strict|fast] [--files q8_0,...] [--prompts N] [--tokens N] [--seeds 1,2,3]

A first difference is accepted only where the reference's own gap between its two best candidates is below 0.05
(llama.cpp rounds activations to 8 bits on the CPU), or where exact arithmetic puts them closer than 0.005, which is what
f16 activations can move a logit: exact_gaps.json, made by
  reference_greedy --gaps tools/demo-model/reference.json FOLDER_OF_THE_FOUR_FILES
Each is printed. What follows a first difference is not compared.
With --seeds, every order seed of the virtual GPU must give the same ids.
"""
import argparse
import json
import os
import sys

from amlm import SKIPPED, call_json, find_model, reference

ACCEPTED_GAP = 0.05
ACCEPTED_EXACT_GAP = 0.005


def exact_gap(entry, at):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'exact_gaps.json')) as file:
        for known in json.load(file):
            if known['file'] == entry['file'] and known['prompt'] == entry['prompt']:
                return known['exact_gaps'][at]
    sys.exit(f'exact_gaps.json has no entry for {entry["file"]}, {entry["prompt"]!r}')


def compare(entry, ids, count):
    for i, (ours, theirs) in enumerate(zip(ids[:count], entry['ids'][:count])):
        if ours != theirs:
            return i
    return None if len(ids) >= min(count, len(entry['ids'])) else len(ids)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('amlm')
    parser.add_argument('--mode', default='fast')
    parser.add_argument('--files', default='f16,q8_0,q4_0,q4_k_m')
    parser.add_argument('--prompts', type=int, default=99)
    parser.add_argument('--tokens', type=int, default=64)
    parser.add_argument('--seeds', default='')
    options = parser.parse_args()

    failures = ran = 0
    for kind in options.files.split(','):
        path = find_model(f'fairytale-7m-{kind}.gguf')
        if path is None:
            print(f'skipped: fairytale-7m-{kind}.gguf is not here')
            continue
        entries = [e for e in reference()['greedy'] if e['file'] == f'fairytale-7m-{kind}.gguf']
        for entry in entries[:options.prompts]:
            results = []
            for seed in options.seeds.split(',') if options.seeds else [None]:
                results.append(call_json(options.amlm, 'run', '-m', path, '-p', entry['prompt'], '-n', str(options.tokens),
                                         '--temp', '0', '--device', 'virtual', mode=options.mode, seed=seed))
            ran += 1
            first = results[0]
            verdict = 'same'
            if any(r['ids'] != first['ids'] for r in results):
                verdict, failures = 'FAILED: ids depend on the order seed', failures + 1
            elif first['prompt_ids'] != entry['prompt_ids']:
                verdict, failures = f'FAILED: prompt ids {first["prompt_ids"]}', failures + 1
            elif (at := compare(entry, first['ids'], options.tokens)) is not None:
                gap, exact = entry['gaps'][at], exact_gap(entry, at)
                verdict = f'differs first at token {at}: gap {gap} in llama.cpp, {exact} in exact arithmetic'
                if gap >= ACCEPTED_GAP and exact >= ACCEPTED_EXACT_GAP:
                    verdict, failures = 'FAILED: ' + verdict, failures + 1
            print(f'{kind:7} {entry["prompt"][:40]:40} {verdict}', flush=True)
    if not ran:
        sys.exit(SKIPPED)
    print(f'{ran - failures} of {ran} hold')
    sys.exit(1 if failures else 0)


main()
