import type {Row} from './measure.ts';
export async function measureForks(_wanted: ReadonlySet<string>): Promise<Row[]> { return []; }
