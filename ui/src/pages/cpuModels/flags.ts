/** Flags of processors as they are switched: on, off, or as the model has them. */

export const CPU_MODELS = '/cluster/qemu/custom-cpu-models';

export type Flag = { name: string; description?: string; 'supported-on'?: string[] };
export type Switch = '+' | '-' | '';
export type Switches = Map<string, Switch>;

/** `+aes;-pcid` by name. */
export function switchesOf(text: string): Switches {
  const flags = text.split(';').filter(Boolean);
  return new Map(flags.map((flag) => [flag.slice(1), flag[0] === '-' ? '-' : '+']));
}

export const textOfSwitches = (switches: Switches): string =>
  [...switches]
    .filter(([, value]) => value !== '')
    .map(([name, value]) => value + name)
    .join(';');

/**
 * The flags to show: those with these words; without words those that are switched or described,
 * unless all are wanted. Flags that no node knows are shown where they are switched.
 */
export function flagsToShow(
  flags: Flag[],
  switches: Switches,
  words: string,
  isAll: boolean,
): Flag[] {
  const known = new Set(flags.map(({ name }) => name));
  const others = [...switches.keys()].filter((name) => !known.has(name));
  const all = [...others.map((name): Flag => ({ name })), ...flags];
  const wanted = words.trim().toLowerCase();
  if (wanted !== '') {
    return all.filter((one) =>
      `${one.name} ${one.description ?? ''}`.toLowerCase().includes(wanted),
    );
  }
  const rank = (one: Flag) => (switches.has(one.name) ? 0 : one.description ? 1 : 2);
  return all
    .filter((one) => isAll || rank(one) < 2)
    .map((one, at) => ({ one, at }))
    .sort((a, b) => rank(a.one) - rank(b.one) || a.at - b.at)
    .map(({ one }) => one);
}

/** The nodes that can give a flag, in words. */
export function givenBy(
  flag: Flag,
  nodes: string[],
  texts: { everywhere: string; nowhere: string },
): string {
  const on = flag['supported-on'] ?? [];
  if (on.length === 0) return texts.nowhere;
  return nodes.every((node) => on.includes(node)) ? texts.everywhere : on.join(', ');
}
