; SPDX-License-Identifier: Apache-2.0
;
; Boot code of the probe image (make-image): 440 bytes in front of the partition table.
; Reads PROBE_SECTORS sectors from PROBE_LBA by int 13h (extended read, PROBE_STEP at a time)
; and compares them: each byte of sector n is n modulo 251.  Then writes a sector behind them,
; and reads that back.  Tells the outcome on the first serial port and switches off.

%define PROBE_LBA 64
%define PROBE_SECTORS 1024
%define PROBE_STEP 64
%define BUFFER_SEGMENT 0x2000

bits 16
org 0x7c00

start:
	cli
	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x7c00
	sti
	cld
	mov [drive], dl
	mov ax, BUFFER_SEGMENT
	mov es, ax
	mov si, text_start
	call print

read_more:
	mov ah, 0x42
	call transfer
	; Compare the sectors just read; bp counts those left.
	xor di, di
	mov bp, PROBE_STEP
next_sector:
	mov al, [expected]
	mov cx, 512
	repe scasb
	jne failed_compare
	inc al
	cmp al, 251
	jb keep
	xor al, al
keep:
	mov [expected], al
	dec bp
	jnz next_sector
	add word [packet_lba], PROBE_STEP
	cmp word [packet_lba], PROBE_LBA + PROBE_SECTORS
	jb read_more

	; One sector written behind the pattern, and read back into cleared memory.
	mov word [packet_count], 1
	mov al, 0xa5
	call fill
	mov ax, 0x4300
	call transfer
	xor al, al
	call fill
	mov ah, 0x42
	call transfer
	mov al, 0xa5
	xor di, di
	mov cx, 512
	repe scasb
	jne failed_compare
	mov si, text_passed
	jmp finish

failed_compare:
	mov si, text_compare
	jmp finish
failed_transfer:
	mov si, text_transfer
finish:
	call print
	mov dx, 0x604 ; The power management port of QEMU's q35: soft off.
	mov ax, 0x2000
	out dx, ax
stop:
	hlt
	jmp stop

transfer: ; ax: function of int 13h
	mov dl, [drive]
	mov si, packet
	int 0x13
	jc failed_transfer
	mov bx, BUFFER_SEGMENT
	mov es, bx
	cld
	ret

fill: ; al: byte for the first sector of the buffer
	xor di, di
	mov cx, 512
	rep stosb
	ret

print: ; si: text, ended by zero
	mov dx, 0x3fd
wait_room:
	in al, dx
	test al, 0x20
	jz wait_room
	lodsb
	test al, al
	jz printed
	mov dx, 0x3f8
	out dx, al
	jmp print
printed:
	ret

text_start: db "QUOIN-BIOS boot sector", 13, 10, 0
text_passed: db "QUOIN-BIOS PASSED", 13, 10, 0
text_compare: db "QUOIN-BIOS FAILED: compare", 13, 10, 0
text_transfer: db "QUOIN-BIOS FAILED: int 13h", 13, 10, 0

drive: db 0
expected: db 0
align 4
packet:
	db 16, 0
packet_count: dw PROBE_STEP
	dw 0, BUFFER_SEGMENT
packet_lba: dd PROBE_LBA, 0

times 440 - ($ - $$) db 0
