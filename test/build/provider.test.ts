import test from 'ava';
import {upstreamVersion} from '../../lab/build/provider/debian.ts';
import {proxyEnvironment} from '../../lab/build/provider/download.ts';
import {publishedSum} from '../../lab/build/provider/release.ts';

const [one, two] = ['1'.repeat(64), '2'.repeat(64)];

test('a published checksum is found by the file\'s name, or is the only one', (t) => {
	t.is(publishedSum(`${one}  a.tgz\n${two} *b.tgz\n`, 'b.tgz'), two);
	t.is(publishedSum(`${one}  ./dist/a.tgz\n`, 'a.tgz'), one);
	t.is(publishedSum(`${'A'.repeat(64)}\n`, 'a.tgz'), 'a'.repeat(64));
	t.is(publishedSum(`${one}  other.tgz\n`, 'a.tgz'), undefined);
	t.is(publishedSum(`${one}\n${two}\n`, 'a.tgz'), undefined);
	t.is(publishedSum('<html>not here</html>', 'a.tgz'), undefined);
});

test('the upstream part of a Debian version is what is compared', (t) => {
	t.is(upstreamVersion('1.1.1+ds1-3+b5'), '1.1.1');
	t.is(upstreamVersion('1:3.5.16+dfsg-2'), '3.5.16');
	t.is(upstreamVersion('3.4.23-4+b4'), '3.4.23');
	t.is(upstreamVersion('1.6.20~ds1-1+deb12u2'), '1.6.20');
	t.is(upstreamVersion('2.0'), '2.0');
});

test('the proxy for plain http is handed on in the letters that curl reads', (t) => {
	t.deepEqual(proxyEnvironment({HTTP_PROXY: 'http://proxy:3128'}), {http_proxy: 'http://proxy:3128'});
	t.deepEqual(proxyEnvironment({HTTP_PROXY: 'http://a', http_proxy: 'http://b'}), {http_proxy: 'http://b'});
	t.deepEqual(proxyEnvironment({HTTPS_PROXY: 'http://proxy:3128'}), {});
});
