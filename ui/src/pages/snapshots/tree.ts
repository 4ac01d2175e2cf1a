/** Snapshots as a tree: newest first, each in a lane. */

export type Snapshot = {
  name: string;
  description?: string;
  snaptime?: number;
  parent?: string;
  vmstate?: number;
  running?: number;
};

export type Placed = {
  snapshot: Snapshot;
  isNow: boolean;
  /** Column in the drawing; 0 is the line of ancestors of now. */
  lane: number;
  /** The row of its parent, if it has one. */
  parentRow?: number;
  isAncestor: boolean;
};

/** The pseudo snapshot that stands for now. */
export const NOW = 'current';

export function placed(snapshots: Snapshot[]): Placed[] {
  const byName = new Map(snapshots.map((one) => [one.name, one]));
  const ancestors = new Set<string>();
  for (let at = byName.get(NOW); at && !ancestors.has(at.name); ) {
    ancestors.add(at.name);
    at = at.parent === undefined ? undefined : byName.get(at.parent);
  }
  const ordered = [...snapshots].sort(
    (a, b) =>
      Number(b.name === NOW) - Number(a.name === NOW) || (b.snaptime ?? 0) - (a.snaptime ?? 0),
  );
  const rows = new Map(ordered.map((one, row) => [one.name, row]));
  const lanes = new Map<string, number>();
  let free = 1;
  const laneOf = (one: Snapshot): number => {
    if (ancestors.has(one.name)) return 0;
    // A branch keeps its lane downwards, until it meets one that is placed.
    const child = ordered.find((other) => other.parent === one.name && lanes.has(other.name));
    return (child && lanes.get(child.name)) || free++;
  };
  return ordered.map((snapshot) => {
    const lane = laneOf(snapshot);
    lanes.set(snapshot.name, lane);
    return {
      snapshot,
      isNow: snapshot.name === NOW,
      lane,
      parentRow: snapshot.parent === undefined ? undefined : rows.get(snapshot.parent),
      isAncestor: ancestors.has(snapshot.name),
    };
  });
}
