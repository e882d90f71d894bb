/** An address family, by the names that Kubernetes and ip(8) documentation use. */
export type Family = 'ipv4' | 'ipv6';

/** Both families, in the default order of preference. */
export const families: readonly Family[] = ['ipv4', 'ipv6'];

/** One value for each family that is there; a lab has one or two. */
export type PerFamily<Value> = Readonly<Partial<Record<Family, Value>>>;
