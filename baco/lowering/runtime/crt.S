# Bare-metal start and end of a BACO program: one hart, machine mode, HTIF.
    .section .text.start, "ax"
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, park
    # mstatus: floating point on (FS) and the RoCC accelerator on (XS), both to "initial".
    li t0, 0x0000a000
    csrs mstatus, t0
    la sp, baco_stack_top
    call baco_main
    li a0, 1
    la t0, tohost
    fence rw, rw
    sd a0, 0(t0)
park:
    j park

    .section .tohost, "aw"
    .balign 64
    .globl tohost
tohost:
    .dword 0
    .balign 64
    .globl fromhost
fromhost:
    .dword 0

    .section .bss.stack, "aw", @nobits
    .balign 16
baco_stack:
    .space 65536
baco_stack_top:
