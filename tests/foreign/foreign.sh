#!/bin/bash
# Other people's drivers and kernels on the virtual GPU: unmodified Mesa (RADV), llama.cpp's Vulkan back end and igt from
# Debian sid, in a folder of their own (debootstrap, bubblewrap; 2.5 GB, some minutes the first time; needs root).
#
#   foreign.sh LIBRARY FOLDER [MODEL.gguf...]
#
# Prints a line a check and `N passed, N failed`; exit code 77 and a word when it cannot run.
# igt runs in fast mode: it sends unpadded IBs and no cache invalidation, which the strict rules forbid.
set -u
[ $# -ge 2 ] || { sed -n '2,9p' "$0"; exit 2; }
library=$(realpath "$1"); folder=$2; shift 2
skip() { echo "skipped: $1"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for debootstrap"
command -v bwrap >/dev/null || skip "bubblewrap is not installed"
"$(dirname "$0")/make-chroot" sid "$folder" || exit $?
install -m 755 "$library" "$folder/usr/local/lib/libamlm-vgpu.so"

# inside MODE VARIABLE=VALUE... -- COMMAND...
inside() {
  local mode=$1 settings=(); shift
  while [ "$1" != -- ]; do settings+=(--setenv "${1%%=*}" "${1#*=}"); shift; done; shift
  timeout 600 bwrap --bind "$folder" / --dev /dev --proc /proc --ro-bind /sys /sys --tmpfs /tmp "${binds[@]}" --clearenv \
    --setenv PATH /usr/bin:/bin --setenv HOME /root --setenv MESA_SHADER_CACHE_DISABLE 1 \
    --setenv VK_DRIVER_FILES /usr/share/vulkan/icd.d/radeon_icd.json --setenv AMLM_VGPU_MODE "$mode" \
    "${settings[@]}" --setenv LD_PRELOAD /usr/local/lib/libamlm-vgpu.so "$@" 2>&1
}
binds=()
passed=0; failed=0
report() {   # report OK? NAME
  if [ "$1" = 0 ]; then passed=$((passed + 1)); echo "passed   $2"; else failed=$((failed + 1)); echo "FAILED   $2"; fi
}

inside strict -- vulkaninfo --summary | grep -q 'deviceName.*RADV STRIX_HALO'
report $? "vulkaninfo names the device"

operation() {   # operation NAME PARAMETERS: some test ran, all passed, no fault
  local out
  out=$(inside strict -- /usr/libexec/x86_64-linux-gnu/ggml/test-backend-ops test -b Vulkan0 -o "$1" -p "$2")
  grep -qE '[1-9][0-9]*/[1-9][0-9]* tests passed' <<< "$out" && ! grep -qE 'FAIL|fault:' <<< "$out"
  report $? "ggml $1 $2"
}
matrix='type_b=f32,m=16,n=(1|9),k=256,bs=\[1,1\],nr=\[1,1\],per=\[0,1,2,3\]'
operation ADD 'type=f32,ne=\[16,5,4,3\],nr=\[1,1,1,1\]'
operation SOFT_MAX 'ne=\[16,16,1,1\],mask=0'
operation RMS_NORM 'ne=\[64,5,4,3\]'
operation GET_ROWS 'type=q8_0'
operation CPY 'type_src=f32,type_dst=f16'
for type in f32 f16 q8_0 q4_0 q4_K q6_K; do operation MUL_MAT "type_a=$type,$matrix"; done

for model in "$@"; do
  binds=(--ro-bind "$(realpath "$model")" /mnt/model.gguf)
  text() {   # text LAYERS_ON_GPU
    inside fast -- llama-completion -m /mnt/model.gguf -p "Once upon a time" -n 12 --temp 0 -no-cnv --seed 1 -ngl "$1" \
      -c 256 | grep -a '^ \?Once upon'
  }
  cpu=$(text 0); gpu=$(text 99)
  [ -n "$cpu" ] && [ "$cpu" = "$gpu" ]
  report $? "llama.cpp: the same text on Vulkan and CPU for $(basename "$model")"
done
binds=()

igt() {   # igt PROGRAM SUBTEST
  inside fast AMLM_VGPU_PRIMARY=1 AMLM_VGPU_IB_PADDING=0 -- "/usr/libexec/igt-gpu-tools/amdgpu/$1" --run-subtest "$2" |
    grep -q "^Subtest $2: SUCCESS"
  report $? "igt $1 $2"
}
igt amd_basic cs-compute-with-IP-COMPUTE
for way in GTT_to_VRAM VRAM_to_GTT VRAM_to_VRAM; do igt amd_cp_dma_misc $way-AMDGPU_HW_IP_COMPUTE0; done
for test in export_import metadata map_unmap find_by_cpu_mapping; do igt amd_bo amdgpu_bo_$test; done
igt amd_bo amdgpu_mem_fail_alloc
igt amd_vm amdgpu-vm-unaligned-map
igt amd_info query-timestamp
igt amd_cs_nop cs-nops-with-sync-compute0

# All of amd_queue_reset at once: it finds its own command line with one word only, and asks sudo to read a sysfs file.
stub=$(mktemp); printf '#!/bin/sh\nexec "$@"\n' > "$stub"; chmod 755 "$stub"
binds=(--ro-bind "$stub" /tmp/bin/sudo)
out=$(inside fast AMLM_VGPU_PRIMARY=1 AMLM_VGPU_IB_PADDING=0 AMLM_VGPU_JOB_TIMEOUT_MS=100 PATH=/tmp/bin:/usr/bin:/bin -- \
  /usr/libexec/igt-gpu-tools/amdgpu/amd_queue_reset)
for class in CMD_STREAM_EXEC_INVALID_{PACKET_LENGTH,PACKET_LENGTH_OVERSIZE,OPCODE} \
    BACKEND_SE_GC_SHADER_INVALID_{PROGRAM_ADDR,USER_DATA,SHADER}; do
  grep -q "^Subtest amdgpu-COMPUTE-$class: SUCCESS" <<< "$out"
  report $? "igt amd_queue_reset $class"
done
rm -f "$stub"
binds=()

echo "$passed passed, $failed failed"
[ $failed = 0 ]
