#!/usr/bin/env python3
"""The checks' reading of foreign output, on stored samples (samples/): no chroot needed."""
import os
import unittest

from foreign import (ESCAPES, HERE, backend_ops, generated_text, igt_result, igt_subtests, largest_difference,
                     tokens_per_second)


def sample(name):
    with open(os.path.join(HERE, 'samples', name)) as file:
        return ESCAPES.sub('', file.read())


class Reading(unittest.TestCase):
    def test_backend_ops(self):
        verdicts = list(backend_ops(sample('backend-ops.txt')).values())
        self.assertEqual([verdicts.count(word) for word in ('passed', 'failed', 'skipped', 'unfinished')], [3, 1, 2, 1])

    def test_backend_ops_of_nothing(self):
        self.assertEqual(backend_ops('Testing 2 devices\n\nBackend 1/2: Vulkan0\n  0/0 tests passed\n'), {})

    def test_igt(self):
        text = sample('igt.txt')
        self.assertEqual(igt_result(text, 'amdgpu-vm-mapping-test'), 'failed')
        self.assertEqual(igt_result(text, 'vmid-reserve-test'), 'passed')
        self.assertEqual(igt_result(text, 'cs-gfx-fwm-UMQ'), 'skipped')
        self.assertEqual(igt_result(text, 'vmid'), 'crashed')
        self.assertEqual(igt_subtests(text), ['amdgpu-vm-mapping-test', 'vmid-reserve-test', 'cs-gfx-fwm-UMQ'])

    def test_generated_text(self):
        out = ('0.02.209.129 I generate: n_ctx = 256\n0.02.209.129 I \n'
               ' Once upon a time, there was. Once upon a time again.\n\n0.02.300.708 I perf: x')
        self.assertEqual(generated_text(out, 'Once upon a time'), 'Once upon a time, there was. Once upon a time again.')
        self.assertEqual(generated_text('error: no model', 'Once upon a time'), '')

    def test_speed(self):
        row = '| llama ?B Q8_0   |   7.45 MiB |     7.34 M | Vulkan     |  -1 |            tg32 |          1.38 ± 0.00 |\n'
        self.assertEqual(tokens_per_second(row), 1.38)
        self.assertIsNone(tokens_per_second('error: failed to load model'))

    def test_logits(self):
        self.assertEqual(largest_difference([1.0, 2.0], [1.0, 2.5]), 0.5)
        for a, b in (([], []), ([1.0], [1.0, 2.0]), ([float('nan')], [1.0])):
            self.assertEqual(largest_difference(a, b), float('inf'))


if __name__ == '__main__':
    unittest.main()
