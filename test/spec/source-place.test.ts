import test from 'ava';
import {placeOfException, placeOfKeys, showPlace} from '../../lab/spec/source-place.ts';

const source = 'export default define({\n\tneeds: [],\n\t\'quoted-key\': 1,\n\tmethod() {},\n\tshort,\n\tsummary: \'needs: nothing\',\n});\n';

test('a key is found where it is written', (t) => {
	t.deepEqual(placeOfKeys('/f.ts', source, ['needs']), {file: '/f.ts', line: 2, column: 2});
	t.deepEqual(placeOfKeys('/f.ts', source, ['quoted-key']), {file: '/f.ts', line: 3, column: 2});
	t.deepEqual(placeOfKeys('/f.ts', source, ['method']), {file: '/f.ts', line: 4, column: 2});
	t.deepEqual(placeOfKeys('/f.ts', source, ['short']), {file: '/f.ts', line: 5, column: 2});
});

test('a key is searched for behind those that lead to it', (t) => {
	const nested = '{\n\tsummary: 1,\n\toptions: {\n\t\tversion: {summary: 2},\n\t},\n}\n';
	t.deepEqual(placeOfKeys('/f.ts', nested, ['options', 'version', 'summary']), {file: '/f.ts', line: 4, column: 13});
	t.deepEqual(placeOfKeys('/f.ts', nested, ['options', 'version', 'default']), {file: '/f.ts', line: 4, column: 3});
	t.deepEqual(placeOfKeys('/f.ts', nested, []), {file: '/f.ts'});
});

test('a key that is not written has only the file', (t) => {
	t.deepEqual(placeOfKeys('/f.ts', source, ['nothing-of-that']), {file: '/f.ts'});
	t.deepEqual(placeOfKeys('/f.ts', source, ['a.*b(']), {file: '/f.ts'});
});

test('a place is shown from the folder, as far as it is known', (t) => {
	t.is(showPlace({file: '/p/overlays/x.ts', line: 2, column: 3}, '/p'), 'overlays/x.ts:2:3');
	t.is(showPlace({file: '/q/x.ts'}, '/p'), '/q/x.ts');
	t.is(showPlace({file: '/p/x.ts', line: 4}), '/p/x.ts:4');
});

test('the innermost frame below the folder is the place of an exception', (t) => {
	const error = new Error('no');
	error.stack = 'Error: no\n    at run (/other/z.ts:1:1)\n    at f (file:///p/a/x.ts?namespace=vmlab:3:7)\n    at g (/p/a/y.ts:9:9)';
	t.deepEqual(placeOfException(error, '/p/a'), {file: '/p/a/x.ts', line: 3, column: 7});
	t.is(placeOfException(error, '/elsewhere'), undefined);
	t.is(placeOfException('text', '/p'), undefined);
});
