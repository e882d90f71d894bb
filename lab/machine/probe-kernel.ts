/**
 * A guest of half a kilobyte, for finding out whether and how fast guests run here. It has the shape of a Linux kernel, so
 * that QEMU starts it like one (Documentation/arch/x86/boot.rst in Linux, "The Real-Mode Kernel Header"), and stays in
 * real mode: it asks the BIOS for its disk, says on the serial line that it begins, calls a function many times, says that
 * it is done, and turns the machine off.
 *
 * Asking the BIOS is the point: there are hosts where /dev/kvm opens and a guest then hangs for ever in its first BIOS
 * call ("Probing EDD" in Linux). Calls and returns are what an emulator is slow at, so their time tells how slow.
 */

/** The lines that the guest writes before and after it counts. */
export const probeLines = {begins: 'vmlab probe: begins', done: 'vmlab probe: done'} as const;

/** What the probe guest does. */
export interface ProbeKernelOptions {
	/** How many calls are made. Default 10 million. */
	readonly calls?: number;
	/** What it does at the end. Default: powers off. */
	readonly end?: 'power-off' | 'halt';
}

/** Offsets in the file. The code begins where the jump at the header's start leads to. */
const sector = 512;
const headerAt = 0x1f1;
const entryAt = 0x200;
const codeAt = 0x240;

/** The kernel file's bytes. */
export function probeKernel({calls = 10_000_000, end = 'power-off'}: ProbeKernelOptions = {}): Buffer {
	// QEMU enters at file offset 0x200 with the segment that starts there in cs: offsets in the code count from it.
	const code: number[] = [];
	const here = (): number => codeAt - entryAt + code.length;
	/** The distance of a jump back, which counts from its own end; short jumps take a byte of it, calls a word. */
	const back = (target: number, length: number): number => target - (here() + length);
	/** Where the sector is read to: another page than the code's. */
	const sectorAt = 0x8000;

	code.push(0xeb, 0x1f); //      jmp over the two functions, to the start

	const print = here(); //       writes the text at si, which ends with a zero
	code.push(
		0xac, //                   lodsb
		0x84, 0xc0, //             test al, al
		0x74, 0x12, //             jz to the ret
		0x88, 0xc3, //             mov bl, al
		0xba, 0xfd, 0x03, //       mov dx, 3fdh         line status register of the first serial port
		0xec, //                   in al, dx
		0xa8, 0x20, //             test al, 20h         empty?
		0x74, 0xfb, //             jz back to the `in`
		0xba, 0xf8, 0x03, //       mov dx, 3f8h
		0x88, 0xd8, //             mov al, bl
		0xee, //                   out dx, al
		0xeb, 0xe9, //             jmp back to the lodsb
		0xc3, //                   ret
	);
	const add = here(); //         does a little, and returns
	code.push(
		0x50, //                   push ax
		0x5a, //                   pop dx
		0x03, 0xc2, //             add ax, dx
		0x40, //                   inc ax
		0xc3, //                   ret
		0x90, //                   nop                  the start is next
	);

	code.push(
		0x0e, 0x1f, //             push cs; pop ds      data is where the code is
		0xfc, //                   cld
		0xfb, //                   sti
		// Does the BIOS have a disk, and can it read that? INT 13h, functions 41h and 02h.
		0xb4, 0x41, //             mov ah, 41h
		0xbb, 0xaa, 0x55, //       mov bx, 55aah
		0xb2, 0x80, //             mov dl, 80h          the first disk
		0xcd, 0x13, //             int 13h
		0xb8, 0x01, 0x02, //       mov ax, 0201h        read one sector
		0xb9, 0x01, 0x00, //       mov cx, 1
		0xba, 0x80, 0x00, //       mov dx, 80h
		0xbb, ...word(sectorAt), // mov bx, sectorAt    to es:bx
		0xcd, 0x13, //             int 13h
	);
	const beginsOperand = code.length + 1;
	code.push(0xbe, 0, 0); //      mov si, the first text
	code.push(0xe8, ...word(back(print, 3))); // call print
	code.push(0x66, 0xb9, ...word(calls), ...word(calls >>> 16)); // mov ecx, calls
	const turn = here();
	code.push(0xe8, ...word(back(add, 3))); // call add
	code.push(0x66, 0x49); //      dec ecx
	code.push(0x75, back(turn, 2) & 0xff); // jnz turn
	const doneOperand = code.length + 1;
	code.push(0xbe, 0, 0); //      mov si, the second text
	code.push(0xe8, ...word(back(print, 3))); // call print
	if (end === 'power-off') {
		code.push(
			0xba, 0x04, 0x06, //   mov dx, 604h         PM1a control of the PIIX4, where SeaBIOS maps it
			0xb8, 0x00, 0x20, //   mov ax, 2000h        SLP_EN, sleep type 0: off (ACPI, 4.8.3.2.1)
			0xef, //               out dx, ax
		);
	}

	code.push(
		0xf4, //                   hlt
		0xeb, 0xfd, //             jmp to the hlt
	);
	for (const [operand, text] of [[beginsOperand, probeLines.begins], [doneOperand, probeLines.done]] as const) {
		code.splice(operand, 2, ...word(here()));
		code.push(...Buffer.from(`${text}\r\n\0`));
	}

	// The first sector (a boot sector once), one of setup code, one for the protected-mode kernel that is never entered.
	const kernel = Buffer.alloc(3 * sector);
	kernel[headerAt] = 1; //                                 setup_sects
	kernel.writeUInt16LE(0xaa55, 0x1fe); //                  boot_flag
	kernel.set([0xeb, codeAt - entryAt - 2], entryAt); //    jump
	kernel.write('HdrS', 0x202, 'latin1'); //                header
	kernel.writeUInt16LE(0x0203, 0x206); //                  version: the first that says where an initramfs may be
	kernel[0x211] = 1; //                                    loadflags: LOADED_HIGH
	kernel.writeUInt32LE(0x37ff_ffff, 0x22c); //             initrd_addr_max
	kernel.set(code, codeAt);
	return kernel;
}

/** A number's lower sixteen bits, the low byte first. */
function word(value: number): [number, number] {
	return [value & 0xff, (value >> 8) & 0xff];
}
