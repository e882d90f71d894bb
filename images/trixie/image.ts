import {defineImage} from 'vmlab';
import bookworm from '../bookworm/image.ts';

export default defineImage({
	...bookworm,
	summary: 'Debian 13 with kernel 6.12',
	release: 'trixie',
});
