// The cases of `amlm selftest` as bytes of the program.
  .section .rodata, "a", @progbits
  .globl amlm_selftest_begin, amlm_selftest_end
  .hidden amlm_selftest_begin
  .hidden amlm_selftest_end
amlm_selftest_begin:
  .incbin "selftest.cbor"
amlm_selftest_end:
  .section .note.GNU-stack, "", @progbits
