import test from 'ava';
import {packageNames, parseDistribution} from '../../lab/host/distribution.ts';
import {installAdvice} from '../../lab/host/install.ts';

test('Debian and its children are one family', (t) => {
	t.deepEqual(parseDistribution('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_CODENAME=bookworm\n'), {
		name: 'Debian GNU/Linux 12 (bookworm)', family: 'debian', codename: 'bookworm',
	});
	t.is(parseDistribution('ID=ubuntu\nID_LIKE=debian\n').family, 'debian');
	t.is(parseDistribution('ID=linuxmint\nID_LIKE="ubuntu debian"\n').family, 'debian');
});

test('the others are told by their own words', (t) => {
	t.is(parseDistribution('ID=fedora').family, 'fedora');
	t.is(parseDistribution('ID="rocky"\nID_LIKE="rhel centos fedora"').family, 'fedora');
	t.is(parseDistribution('ID="opensuse-leap"\nID_LIKE="suse opensuse"').family, 'suse');
	t.is(parseDistribution('ID=arch').family, 'arch');
	t.is(parseDistribution('ID=alpine').family, 'other');
	t.is(parseDistribution('').family, 'other');
});

test('packages are named as the distribution names them', (t) => {
	t.deepEqual(packageNames('debian', ['qemu-utils', 'cpio']), ['qemu-utils', 'cpio']);
	t.deepEqual(packageNames('fedora', ['qemu-utils', 'cpio']), ['qemu-img', 'cpio']);
	t.deepEqual(packageNames('suse', ['mmdebstrap', 'qemu-system-x86']), ['qemu-x86']);
});

test('the advice is a command where one is known', (t) => {
	t.is(installAdvice({name: 'Fedora', family: 'fedora'}, ['qemu-utils']), 'Install them: `dnf install qemu-img`.');
	t.is(installAdvice({name: 'Arch', family: 'arch'}, ['cpio']), 'Install them: `pacman -S cpio`.');
	t.regex(installAdvice({name: 'Alpine', family: 'other'}, ['cpio']), /what your distribution calls cpio/);
});
