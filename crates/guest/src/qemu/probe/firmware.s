# The probe guest: a firmware that goes through the boot stages of an operating system: real mode,
# protected mode and long mode with paging, timer interrupts, user mode and back, writes a letter to
# port 0xE9 after each, and ends QEMU through its exit device at port 0xF4.
#
# The hosts that it is for do everything right up to user mode: a hypervisor without hardware
# support runs the kernel of a guest there, but switches to user mode only for kernels that were
# written for it.
#
# It is at 0xF0000, where firmware of 64 KiB is seen below 1 MiB. Memory: page tables from 0x1000,
# interrupt table 0x4000, its pointer 0x6000, segment tables 0x6100, task state 0x6800, stacks
# below 0x7000, 0x7400 (user) and 0x7800 (interrupts in user mode).

        .section .rodata.ostler_kvm_probe, "a"
        .globl  ostler_kvm_probe_begin
        .globl  ostler_kvm_probe_end
ostler_kvm_probe_begin:

# Real mode, entered from the reset vector with CS = 0xF000.
        .code16
        jmp     kvm_probe_real
        .balign 8
kvm_probe_gdt:
        .quad   0
        .quad   0x00cf9b000000ffff              # 08: code, 32 bits
        .quad   0x00cf93000000ffff              # 10: data
        .quad   0x00af9b000000ffff              # 18: code, 64 bits
        .quad   0x00affb000000ffff              # 20: user's code
        .quad   0x00cff3000000ffff              # 28: user's data
        .quad   0x0000890068000067              # 30: task state
        .quad   0
kvm_probe_gdt_pointer:
        .word   63
        .long   kvm_probe_gdt - ostler_kvm_probe_begin + 0xf0000
        .set    gdt_pointer, kvm_probe_gdt_pointer - ostler_kvm_probe_begin

kvm_probe_real:
        cli
        cld
        xor     ax, ax
        mov     ss, ax
        mov     sp, 0x7000
        mov     al, 'R'
        out     0xe9, al
        mov     ax, 0xf000
        mov     ds, ax
        lgdt    [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        .byte   0x66, 0xea                      # a far jump
        .long   kvm_probe_protected - ostler_kvm_probe_begin + 0xf0000
        .word   0x08

        .code32
kvm_probe_protected:
        mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esp, 0x7000
        mov     al, 'P'
        out     0xe9, al
# The local APIC passes on the interrupts of the PIC.
        mov     dword ptr ds:[0xfee000f0], 0x1ff
        mov     dword ptr ds:[0xfee00350], 0x700
# The first GiB in pages of 2 MiB, for user mode too.
        mov     edi, 0x1000
        xor     eax, eax
        mov     ecx, 0xc00
        rep     stosd
        mov     dword ptr ds:[0x1000], 0x2007
        mov     dword ptr ds:[0x2000], 0x3007
        mov     edi, 0x3000
        mov     eax, 0x87
        mov     ecx, 512
kvm_probe_page:
        mov     dword ptr [edi], eax
        add     edi, 8
        add     eax, 0x200000
        loop    kvm_probe_page
        mov     eax, cr4
        or      eax, 0x20
        mov     cr4, eax
        mov     eax, 0x1000
        mov     cr3, eax
        mov     ecx, 0xc0000080                 # EFER: long mode
        rdmsr
        or      eax, 0x100
        wrmsr
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        .byte   0xea                            # a far jump
        .long   kvm_probe_long - ostler_kvm_probe_begin + 0xf0000
        .word   0x18

        .code64
kvm_probe_long:
        xor     eax, eax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     rsp, 0x7000
        mov     al, 'L'
        out     0xe9, al
# Every interrupt goes to the timer's handler.
        mov     rdi, 0x4000
        mov     ecx, 256
        lea     rax, [rip + kvm_probe_tick]
kvm_probe_gate:
        mov     word ptr [rdi], ax
        mov     word ptr [rdi + 2], 0x18
        mov     word ptr [rdi + 4], 0xee00
        mov     rdx, rax
        shr     rdx, 16
        mov     word ptr [rdi + 6], dx
        mov     qword ptr [rdi + 8], 0
        add     rdi, 16
        loop    kvm_probe_gate
        mov     rdi, 0x6000
        mov     word ptr [rdi], 0xfff
        mov     qword ptr [rdi + 2], 0x4000
        lidt    [rdi]
# Task state, for the stack of interrupts in user mode; its descriptor must be in memory.
        lea     rsi, [rip + kvm_probe_gdt]
        mov     rdi, 0x6100
        mov     ecx, 64
        rep     movsb
        mov     rdi, 0x6800
        mov     ecx, 104
        xor     eax, eax
        rep     stosb
        mov     rdi, 0x6800
        mov     qword ptr [rdi + 4], 0x7800
        mov     word ptr [rdi + 0x66], 104
        mov     rdi, 0x6010
        mov     word ptr [rdi], 63
        mov     qword ptr [rdi + 2], 0x6100
        lgdt    [rdi]
        mov     ax, 0x30
        ltr     ax
# Only the timer, a thousand times a second, at vector 32.
        mov     al, 0x11
        out     0x20, al
        mov     al, 32
        out     0x21, al
        mov     al, 4
        out     0x21, al
        mov     al, 1
        out     0x21, al
        mov     al, 0xfe
        out     0x21, al
        mov     al, 0x34
        out     0x43, al
        mov     al, 0xa9
        out     0x40, al
        mov     al, 0x04
        out     0x40, al
        xor     ebx, ebx
        sti
kvm_probe_sleep:
        hlt
        cmp     ebx, 10
        jb      kvm_probe_sleep
        mov     al, 'T'
        out     0xe9, al
# To user mode, with access to ports; ten more ticks must arrive there and return.
        push    0x2b
        push    0x7400
        pushfq
        or      qword ptr [rsp], 0x3000
        push    0x23
        lea     rax, [rip + kvm_probe_user]
        push    rax
        iretq
kvm_probe_user:
        cmp     ebx, 20
        jb      kvm_probe_user
        mov     al, 'U'
        out     0xe9, al
        mov     al, 42
        out     0xf4, al
kvm_probe_end:
        jmp     kvm_probe_end

kvm_probe_tick:
        push    rax
        inc     ebx
        mov     al, 0x20
        out     0x20, al
        pop     rax
        iretq
ostler_kvm_probe_end:
        .text
