import { Autocomplete } from '@mantine/core';
import { useSession } from '../../api/session';
import { errorText } from '../../api/tasks';
import { plain } from '../../format';
import { Segmented } from '../../parts/Segmented';
import { sourcesFor } from './hostDevice';

/** Names to choose from, and what each is. */
export type Names = { names: Map<string, string>; error?: unknown };

type Words<S extends string> = {
  by: string;
  sources: Record<S, string>;
  hints: Record<S, string>;
  choose: string;
  none: Record<S, string>;
  noList: (why: string) => string;
};

/** By what a device of the host is named, and its name. */
export function HostDeviceRows<S extends string>({
  words,
  sources,
  source,
  onSource,
  offered: { names, error },
  name,
  onName,
}: {
  words: Words<S>;
  sources: readonly S[];
  source: S;
  onSource: (source: S) => void;
  offered: Names;
  name: string;
  onName: (name: string) => void;
}) {
  const session = useSession();
  const user = session.state === 'in' ? session.user : undefined;
  const offeredSources = sourcesFor(user, sources, source);
  return (
    <>
      {offeredSources.length > 1 && (
        <div className="fr">
          <div className="fr-label">{words.by}</div>
          <div className="ctl">
            <Segmented<S>
              label={words.by}
              value={source}
              options={offeredSources.map((one) => [one, words.sources[one]])}
              onChange={onSource}
            />
          </div>
        </div>
      )}
      <div className="fr">
        <div className="fr-label">{words.sources[source]}</div>
        <div>
          <Autocomplete
            aria-label={words.sources[source]}
            placeholder={names.size > 0 ? words.choose : words.none[source]}
            data={[...names.keys()]}
            renderOption={({ option }) => (
              <span>
                <span className="mono">{plain(option.value)}</span>{' '}
                <span className="muted">{plain(names.get(option.value) ?? '')}</span>
              </span>
            )}
            value={name}
            onChange={onName}
          />
          <p className="hint">{error ? words.noList(errorText(error)) : words.hints[source]}</p>
        </div>
      </div>
    </>
  );
}
