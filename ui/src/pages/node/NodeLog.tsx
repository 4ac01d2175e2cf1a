import { useQuery } from '@tanstack/react-query';
import { api, path } from '../../api/client';
import { plain } from '../../format';
import { Loaded } from '../../parts/Page';
import { t } from '../../texts';
import { useNodeOfPage } from './NodePage';

const LINES = 500;

export default function NodeLog() {
  const node = useNodeOfPage();
  const query = useQuery({
    queryKey: ['node', node, 'journal'],
    queryFn: ({ signal }) =>
      api.get<string[]>(`${path('nodes', node)}/journal`, { lastentries: LINES }, signal),
    refetchInterval: 5000,
  });
  return (
    <div className="body flush">
      <Loaded query={query}>
        {(lines) => (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it.
          <div className="tdl code grow" role="log" tabIndex={0} aria-label={t.node.tabs.log}>
            {lines.length === 0 ? t.node.noLog : plain(lines.toReversed().join('\n'))}
          </div>
        )}
      </Loaded>
    </div>
  );
}
