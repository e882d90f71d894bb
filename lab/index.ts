/** The public library: all that overlays, images and scenarios may import. */
export {defineOverlay} from './spec/overlay.ts';
export {defineImage} from './spec/image.ts';
export {defineLab} from './spec/lab.ts';
export {addressAt, familyOf, subnetSize, urlHost} from './spec/address.ts';
export {wholeReference} from './spec/image-reference.ts';
export {defineScenario} from './scenario/scenario.ts';
export {fork} from './scenario/fork-on-demand.ts';
export {claim} from './scenario/assertion.ts';
export {countEach, findUneven} from './scenario/spread.ts';
export type * from './spec/family.ts';
export type * from './spec/component.ts';
export type * from './spec/image.ts';
export type * from './spec/lab.ts';
export type * from './spec/overlay.ts';
export type * from './spec/secret.ts';
export type * from './spec/topology.ts';
export type * from './scenario/scenario.ts';
export type {ForkedLab, ForkOptions} from './scenario/fork.ts';
