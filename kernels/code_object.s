// The linked kernels as bytes of the host program: kernels.cpp hands them out.
  .section .rodata, "a", @progbits
  .globl amlm_kernels_begin, amlm_kernels_end
  .hidden amlm_kernels_begin
  .hidden amlm_kernels_end
  .p2align 6
amlm_kernels_begin:
  .incbin "kernels.co"
amlm_kernels_end:
  .section .note.GNU-stack, "", @progbits
