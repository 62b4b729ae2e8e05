#!/usr/bin/env python3
"""The commands that look inside kernels (asm, disasm, ib, trace), on real kernels and on wrong input.

  research.py AMLM KERNELS.CO [CLANG]
"""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

from amlm import call, find_model

HERE = os.path.dirname(os.path.abspath(__file__))
failures = 0


def expect(what, holds, detail=''):
    global failures
    failures += not holds
    print(f'{"ok" if holds else "FAILED"}: {what}' + (f': {detail}' if detail and not holds else ''), flush=True)


def told(done):
    return f'exit code {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}'


class Bench:
    def __init__(self, amlm, folder):
        self.amlm, self.folder = amlm, folder
        with open(os.path.join(HERE, 'scale_f32.s')) as file:
            self.scale = file.read()

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def path(self, name):
        return os.path.join(self.folder, name)

    def asm(self, text, *arguments, **options):
        return call(self.amlm, 'asm', self.write('kernel.s', text), *arguments, mode='strict', timeout=120, **options)

    def run_scale(self, text, *more, n=1000, **options):
        return self.asm(text, '--run', '--device', 'virtual', '--grid', str((n + 255) // 256), '--arg',
                        'buf:4000=iota_f32',
                        '--arg', 'buf:4000', '--arg', f'u32:{n}', '--arg', 'f32:0.5', *more, **options)

    def refuses(self, what, code, done, says):
        sentence = done.stderr.strip()
        holds = done.returncode == code and re.search(says, sentence) is not None and len(sentence.split('\n')) <= 12
        expect('refuses ' + what, holds, f'exit code {done.returncode} (wanted {code}), stderr: {sentence[-500:]!r}')


def line_of(text, words):
    return next(n for n, line in enumerate(text.split('\n'), 1) if words in line)


def kernel(body, vgprs=8):
    return ('.amdgcn_target "amdgcn-amd-amdhsa--gfx1151"\n.text\n.globl k\n.p2align 8\n.type k, @function\nk:\n' + body +
            '\n.Lend_of_k:\n.size k, .Lend_of_k - k\n.fill 64, 4, 0xbf9f0000\n.rodata\n.p2align 6\n.amdhsa_kernel k\n'
            '.amdhsa_kernarg_size 8\n.amdhsa_user_sgpr_kernarg_segment_ptr 1\n'
            f'.amdhsa_next_free_vgpr {vgprs}\n.amdhsa_next_free_sgpr 16\n.end_amdhsa_kernel\n')


def test_report_and_run(bench):
    done = bench.asm(bench.scale)
    expect('asm reports registers and size', done.returncode == 0 and
           '76 bytes of code, 13 instructions' in done.stdout and
           '8 VGPRs, 24 with the chip\'s granule, v0-v1 named; s0-s9 named; 16 of 16 waves' in done.stdout and
           '24 bytes of arguments' in done.stdout,
           told(done))
    big = bench.asm(kernel('s_endpgm', vgprs=164))      # measured elsewhere: 164 VGPRs, 9 waves
    expect('168 VGPRs leave 9 waves', '168 VGPRs, 168 with' in big.stdout and
           '9 of 16 waves a SIMD, bound by VGPRs' in big.stdout, told(big))
    # 24 KiB: 5 workgroups of 8 waves on the four SIMDs of a WGP.
    lds = bench.asm(bench.scale.replace('.amdhsa_kernel scale_f32', '.amdhsa_kernel scale_f32\n'
                                        '.amdhsa_group_segment_fixed_size 24576'))
    expect('LDS bounds the waves', 'room for 5 workgroups on a WGP' in lds.stdout and
           '10 of 16 waves a SIMD, bound by LDS' in lds.stdout, told(lds))
    done = bench.run_scale(bench.scale, '--dump', f'1:{bench.path("y")}', '--repeat', '3')
    y = struct.unpack('1000f', open(bench.path('y'), 'rb').read()) if done.returncode == 0 else ()
    expect('scale_f32 scales', y == tuple(i * 0.5 for i in range(1000)), told(done))
    expect('asm counts a run', '32 waves, 416 instructions' in done.stdout and 'valu 160' in done.stdout and
           'vmem_load 32 vmem_store 32' in done.stdout and 'written 4000' in done.stdout and
           'lines of 128 bytes: 64' in done.stdout,
           told(done))
    expect('and the number of runs', 'ran 3 times' in done.stdout, told(done))


def test_missing_waits(bench):
    for wait, user in (('s_waitcnt     lgkmcnt(0)', 'v_cmpx_gt_u32'), ('s_waitcnt     vmcnt(0)', 'v_mul_f32')):
        text = bench.scale.replace(wait, 's_nop 0', 1)
        where = f'kernel.s:{line_of(text, user)} '
        done = bench.asm(text)
        expect(f'without {wait}: found by reading', done.returncode == 1 and f'missing wait: {where}' in done.stdout,
               told(done))
        done = bench.run_scale(text)
        expect(f'without {wait}: found by running', done.returncode == 7 and 'still loading' in done.stderr and
               f'fault at {where}' in done.stderr, told(done))
    head = 's_load_b64 s[4:5], s[0:1], 0\nv_and_b32 v0, 0x3ff, v0\ns_mov_b32 s8, 3\ns_waitcnt lgkmcnt(0)\n'
    loop = head + ('v_mov_b32 v1, 0\n.Lloop:\nv_add_f32 v2, 1.0, v1\nglobal_load_b32 v1, v0, s[4:5]\ns_sub_u32 s8, s8, 1\n'
                   's_cmp_lg_u32 s8, 0\ns_cbranch_scc1 .Lloop\ns_endpgm')
    done = bench.asm(kernel(loop))
    expect('a wait that only the second turn of a loop misses', done.returncode == 1 and 'v_add_f32' in done.stdout and
           done.stdout.count('missing wait') == 1 and 'vmcnt(0)' in done.stdout, told(done))
    done = bench.asm(kernel(loop.replace('.Lloop:\n', '.Lloop:\ns_waitcnt vmcnt(0)\n')))
    expect('and with it none', done.returncode == 0, told(done))
    two = head + ('global_load_b32 v1, v0, s[4:5]\nglobal_load_b32 v2, v0, s[4:5]\ns_waitcnt vmcnt({})\n'
                  'v_add_f32 v3, 1.0, v{}\ns_endpgm')
    for left, register, good in ((1, 1, True), (1, 2, False), (2, 1, False), (0, 2, True)):
        done = bench.asm(kernel(two.format(left, register)))
        expect(f'vmcnt({left}) {"covers" if good else "does not cover"} load {register} of 2',
               done.returncode == (0 if good else 1) and ('missing wait' in done.stdout) != good, told(done))


def test_hazards(bench):
    done = bench.asm(kernel('s_sendmsg sendmsg(MSG_DEALLOC_VGPRS)\ns_endpgm'))
    expect('a hazard with its line', done.returncode == 1 and 'hazard: kernel.s:7 ' in done.stdout and
           's_nop' in done.stdout,
           told(done))
    done = bench.asm(bench.scale.replace('.fill 64, 4, 0xbf9f0000', ''))
    expect('code without padding', done.returncode == 1 and '64 s_code_end' in done.stdout, told(done))
    done = bench.asm(kernel('v_mov_b32 v20, 0\ns_endpgm'))
    expect('a register past the descriptor', done.returncode == 1 and 'v20 is named' in done.stdout, told(done))


def test_no_false_alarms(bench, kernels_co, clang):
    done = call(bench.amlm, 'asm', kernels_co)
    expect("amlm's own kernels are without hazards", done.returncode == 0 and done.stdout.count('bytes of code') > 40,
           told(done))
    if not clang:
        print('skipped: compiled kernels (no clang)')
        return
    source = bench.write('compiled.c', '''
__attribute__((amdgpu_kernel)) void sums(__attribute__((address_space(1))) const float* x,
                                         __attribute__((address_space(1))) float* y, int n) {
  int at = __builtin_amdgcn_workgroup_id_x() * 64 + __builtin_amdgcn_workitem_id_x();
  float sum = 0, last = 0;
  for (int i = 0; i < n; ++i) {
    float next = x[at + i * 64];
    if (next > last) sum += next * x[(at ^ 5) + i]; else sum -= y[at];
    last = next;
  }
  y[at] = sum;
}
''')
    for level in ('-O1', '-O2', '-O3'):
        built = subprocess.run([clang, '--target=amdgcn-amd-amdhsa', '-mcpu=gfx1151', level, '-nogpulib',
                                '-ffreestanding',
                                '-fuse-ld=lld-19', '-mcode-object-version=5', '-c', '-o', bench.path('compiled.o'),
                                source],
                               capture_output=True, text=True)
        done = call(bench.amlm, 'asm', bench.path('compiled.o'))
        expect(f'code of clang {level} is without hazards', built.returncode == 0 and done.returncode == 0 and
               'sums:' in done.stdout, built.stderr + told(done))


# A table that the compiler must keep in scratch. The kernel's neighbour cannot run, and is in nobody's way.
def test_scratch(bench, clang):
    source = bench.write('scratch.c', '''
#define GLOBAL __attribute__((address_space(1)))
__attribute__((amdgpu_kernel)) void squares(GLOBAL const int* x, GLOBAL int* y) {
  volatile int table[16];
  const int at = __builtin_amdgcn_workgroup_id_x() * 64 + __builtin_amdgcn_workitem_id_x();
  for (int i = 0; i < 16; ++i) table[i] = x[at] * i;
  y[at] = table[x[at] & 15];
}
__attribute__((amdgpu_kernel)) void packet(GLOBAL int* y) {
  *y = *(__attribute__((address_space(4))) int*)__builtin_amdgcn_dispatch_ptr();
}
''')
    built = subprocess.run([clang, '--target=amdgcn-amd-amdhsa', '-mcpu=gfx1151', '-O1', '-g', '-nogpulib', '-ffreestanding',
                            '-fuse-ld=lld-19', '-mcode-object-version=5', '-o', bench.path('scratch.co'), source],
                           capture_output=True, text=True)
    run = ('asm', bench.path('scratch.co'), '--run', '--device', 'virtual', '--grid', '3', '--group', '64')
    y = bench.path('y')
    done = call(bench.amlm, *run, '--kernel', 'squares', '--arg', 'buf:768=iota', '--arg', 'buf:768', '--dump', f'1:{y}',
                mode='strict')
    values = struct.unpack('192i', open(y, 'rb').read()) if done.returncode == 0 else ()
    expect('a kernel with scratch runs', values == tuple(i * (i & 15) for i in range(192)) and
           'of scratch a lane' in done.stdout, built.stderr + told(done))
    done = call(bench.amlm, *run, '--kernel', 'packet', '--arg', 'buf:4')
    bench.refuses('a kernel that wants a dispatch packet', 1, done, 'packet wants a dispatch packet pointer')


def test_asm_refusals(bench):
    scale, asm, run = bench.scale, bench.asm, bench.run_scale
    bench.refuses('a missing file', 8, call(bench.amlm, 'asm', '/nonexistent.s'), 'nonexistent.s cannot be opened')
    bench.refuses('a folder', 8, call(bench.amlm, 'asm', bench.folder), 'is a folder')
    bench.refuses('text as a code object', 8, call(bench.amlm, 'asm', bench.write('text.co', 'hello')), 'ELF')
    bench.refuses('bad source', 1, asm(scale.replace('v_mul_f32 ', 'v_mull_f32 ')),
                  r'kernel.s:\d+:\d+: error: .*instruction')
    bench.refuses('without llvm-mc', 8, asm(scale, PATH='/nonexistent'),
                  'llvm-mc-19 .* is not on PATH: install llvm-19')
    bench.refuses('an unknown kernel', 2, run(scale, '--kernel', 'scale_f64'), 'scale_f64')
    bench.refuses('a kind that is none', 2, asm(scale, '--run', '--arg', 'f65:1'), 'kinds are u32')
    bench.refuses('a number that is none', 2, asm(scale, '--run', '--arg', 'u32:x'), '--arg u32:x.*whole number')
    bench.refuses('a number past 32 bits', 2, asm(scale, '--run', '--arg', 'u32:4294967296'), '32 bits')
    bench.refuses('a missing buffer file', 8, asm(scale, '--run', '--arg', 'buf:16=/nonexistent'), 'cannot be opened')
    bench.refuses('too few arguments', 2, asm(scale, '--run', '--arg', 'u32:1'), 'takes 24 bytes .* make 4')
    bench.refuses('too many arguments', 2, run(scale, '--arg', 'u64:1'), 'takes 24 bytes .* make 32')
    bench.refuses('a dump of no buffer', 2, run(scale, '--dump', '2:x'), '2 buffers')
    bench.refuses('an empty grid', 2, run(scale, '--grid', '0'), '--grid')
    bench.refuses('a workgroup too large', 2, run(scale, '--group', '1024,2'), '1024 lanes')
    bench.refuses('no size of a workgroup', 2, asm(kernel('s_endpgm'), '--run', '--arg', 'u64:0'), 'add --group')
    bench.refuses('other SGPRs', 1, run(scale.replace('.amdhsa_user_sgpr_kernarg', '.amdhsa_user_sgpr_dispatch_ptr 1\n'
                                                      '  .amdhsa_user_sgpr_kernarg')), 'dispatch packet pointer')
    done = run(scale, n=200000)
    load = line_of(scale, 'global_load_b32')
    bench.refuses('a read past the buffer', 7, done, f'fault at kernel.s:{load} .*read of 4 bytes')
    expect('and counts all the same', 'vmem_load' in done.stdout, told(done))


def words_of(listing):
    return [word for line in listing.split('\n') for word in re.findall(r'^  [0-9a-f]+  ((?:[0-9a-f]{8} )+)', line)]


def test_disasm(bench):
    kept = bench.path('kept.co')
    bench.asm(bench.scale, '-o', kept)
    done = call(bench.amlm, 'disasm', '--file', kept)
    expect('disasm of a code object', done.returncode == 0 and 'v_mul_f32' in done.stdout and
           len(words_of(done.stdout)) == 13,
           told(done))
    again = call(bench.amlm, 'asm', kept)
    expect('asm of a code object', again.returncode == 0 and '13 instructions' in again.stdout, told(again))
    words = ''.join(words_of(done.stdout))
    raw = subprocess.run([bench.amlm, 'disasm', '--raw', '-', '--at', '0x4000'], input=words, capture_output=True,
                         text=True)
    expect('disasm of words on standard input', raw.returncode == 0 and
           words_of(raw.stdout) == words_of(done.stdout) and
           '  004000  ' in raw.stdout, told(raw))
    data = b''.join(struct.pack('<I', int(word, 16)) for word in words.split())
    raw = call(bench.amlm, 'disasm', '--raw', bench.write('code.bin', data))
    expect('disasm of raw bytes', raw.returncode == 0 and words_of(raw.stdout) == words_of(done.stdout), told(raw))
    late = words.replace('bf8903f7 ', 'bf800000 ')       # s_waitcnt vmcnt(0) -> s_nop 0
    found = subprocess.run([bench.amlm, 'disasm', '--check', '--raw', '-'], input=late, capture_output=True, text=True)
    expect('a missing wait in raw code', late != words and found.returncode == 1 and
           found.stdout.startswith('00003c: uses v1, into which global_load_b32') and found.stdout.count('\n') == 1,
           told(found))
    bad = subprocess.run([bench.amlm, 'disasm', '--raw', '-'], input='bf810000 xyz', capture_output=True, text=True)
    bench.refuses('what is no hexadecimal word', 2, bad, '"xyz"')
    bench.refuses('half a dword', 8, call(bench.amlm, 'disasm', '--raw', bench.write('odd', b'abc')), '3 bytes')
    bench.refuses('an odd address', 2, call(bench.amlm, 'disasm', '--raw', bench.write('four', b'abcd'), '--at', '2'),
                  '--at')
    bench.refuses('raw and a code object', 2, call(bench.amlm, 'disasm', '--raw', 'x', '--file', 'y'), 'excludes')


def test_ib(bench):
    model = ('-m', find_model('fairytale-7m-q8_0.gguf'), '--device', 'virtual')
    live = call(bench.amlm, 'ib', *model)
    dump = bench.path('decode.ib')
    done = call(bench.amlm, 'ib', '--dump', dump, *model)
    shown = call(bench.amlm, 'ib', '--file', dump, '--at', '0x100000')
    packets = [re.findall(r'\b[A-Z]+_[A-Z_]+[A-Z]\b', text.stdout) for text in (live, shown)]
    expect('a dumped IB prints like the live one', done.returncode == 0 and shown.returncode == 0 and
           packets[0] == packets[1] and
           packets[0].count('DISPATCH_DIRECT') > 40, told(done) + told(shown))
    data = bytearray(open(dump, 'rb').read())
    data[0:4] = struct.pack('<I', 0x12345678)
    broken = call(bench.amlm, 'ib', '--file', bench.write('broken.ib', bytes(data)))
    expect('a word that is no packet is shown', broken.returncode == 0 and '12345678' in broken.stdout, told(broken))
    bench.refuses('a missing IB', 8, call(bench.amlm, 'ib', '--file', '/nonexistent'), 'cannot be opened')
    bench.refuses('an IB of 5 bytes', 8, call(bench.amlm, 'ib', '--file', bench.write('five', b'12345')), '5 bytes')


def test_trace(bench):
    output, code = bench.path('trace.json'), bench.path('code')
    done = call(bench.amlm, 'trace', '-o', output, '--code', code, '--', bench.amlm, 'run', '-m',
                find_model('fairytale-7m-q8_0.gguf'), '-p', 'Once', '-n', '2', '--temp', '0', '--device', 'virtual')
    trace = json.load(open(output)) if done.returncode == 0 else {'traceEvents': []}
    events = [event for event in trace['traceEvents'] if event['ph'] == 'X']
    names = {event['name'] for event in events}
    expect('trace has every dispatch', len(events) > 100 and {'embed_q8_0', 'argmax_final'} <= names and
           f'{len(events)} dispatches of {len(names)} kernels' in done.stderr, told(done))
    if not events:
        return
    expect('in order, from time 0, one after the other', events[0]['ts'] == 0 and
           all(a['ts'] + a['dur'] <= b['ts'] + 0.01 for a, b in zip(events, events[1:])))
    final = next(event['args'] for event in events if event['name'] == 'argmax_final')
    expect('with grid, counts and barriers', final['groups'] == [1, 1, 1] and final['barriers_before'] == 1 and
           final['counts']['instructions'] > 100 and final['fault'] is None, json.dumps(final))
    raw = call(bench.amlm, 'disasm', '--raw', os.path.join(code, final['code'] + '.bin'))
    own = call(bench.amlm, 'disasm', 'argmax_final')
    expect("the traced code is the kernel's", raw.returncode == 0 and words_of(raw.stdout) == words_of(own.stdout),
           told(raw))
    files = os.listdir(code)
    buffers = sorted(name for name in files if name.endswith('.ib'))
    expect('one code file a kernel', len(files) - len(buffers) == len(names), str(files))
    shown = call(bench.amlm, 'ib', '--file', os.path.join(code, buffers[-1])) if buffers else done
    expect('and the indirect buffers', 'DISPATCH_DIRECT' in shown.stdout, str(files))
    checks = [call(bench.amlm, 'disasm', '--check', '--raw', os.path.join(code, name)) for name in files if '.bin' in name]
    expect('no false alarm in traced code', all(check.returncode == 0 for check in checks), told(checks[0]))
    done = call(bench.amlm, 'trace', '-o', output, '--', 'sh', '-c', 'exit 5')
    expect("trace returns the program's exit code", done.returncode == 5 and 'dispatched nothing' in done.stderr,
           told(done))
    expect('and an empty trace is JSON', not [e for e in json.load(open(output))['traceEvents'] if e['ph'] == 'X'])
    done = call(bench.amlm, 'trace', '-o', output, '--', 'sh', '-c',
                f'{bench.amlm} asm {bench.write("kernel.s", bench.scale)} --run --arg buf:4000 --arg buf:4000 --arg u32:9 '
                '--arg f32:2; '
                'kill -KILL $$')
    events = [event for event in json.load(open(output))['traceEvents'] if event['ph'] == 'X']
    expect('a killed program keeps its trace', done.returncode == 137 and
           [event['name'] for event in events] == ['scale_f32'],
           told(done))
    bench.refuses('a trace nowhere', 8, call(bench.amlm, 'trace', '-o', '/nonexistent/x', '--', 'true'),
                  'cannot be written')
    bench.refuses('no program', 8, call(bench.amlm, 'trace', '-o', output, '--', '/nonexistent'), 'cannot be started')


def main():
    amlm, kernels_co, *clang = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(amlm, folder)
        test_report_and_run(bench)
        test_missing_waits(bench)
        test_hazards(bench)
        test_no_false_alarms(bench, kernels_co, clang[0] if clang else None)
        if clang:
            test_scratch(bench, clang[0])
        test_asm_refusals(bench)
        test_disasm(bench)
        test_ib(bench)
        test_trace(bench)
    sys.exit(1 if failures else 0)


main()
