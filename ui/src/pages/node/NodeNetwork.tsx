import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { api, path } from '../../api/client';
import { plain } from '../../format';
import { Loaded } from '../../parts/Page';
import { ToneWord } from '../../parts/State';
import { t } from '../../texts';
import { useNodeOfPage } from './NodePage';

type Interface = {
  iface: string;
  type?: string;
  active?: number;
  cidr?: string;
  address?: string;
  bridge_ports?: string;
  slaves?: string;
};

export function useNetworks(node: string) {
  return useQuery({
    queryKey: ['node', node, 'network'],
    queryFn: ({ signal }) => api.get<Interface[]>(`${path('nodes', node)}/network`, {}, signal),
  });
}

/** The bridges of a node. */
export function useBridges(node: string): string[] {
  const { data } = useNetworks(node);
  return useMemo(() => {
    const bridges = (data ?? []).filter(({ type }) => type === 'bridge' || type === 'OVSBridge');
    return bridges.map(({ iface }) => iface);
  }, [data]);
}

export default function NodeNetwork() {
  const query = useNetworks(useNodeOfPage());
  const words = t.node;
  return (
    <div className="body flush scrolls">
      <Loaded query={query}>
        {(interfaces) =>
          interfaces.length === 0 ? (
            <p className="pad muted">{words.noNet}</p>
          ) : (
            <table className="tbl">
              <thead>
                <tr>
                  <th>{words.iface}</th>
                  <th>{words.type}</th>
                  <th>{words.address}</th>
                  <th>{words.ports}</th>
                  <th>{words.active}</th>
                </tr>
              </thead>
              <tbody>
                {interfaces.map((one) => (
                  <tr key={one.iface}>
                    <td className="name mono">{plain(one.iface)}</td>
                    <td className="t2">{one.type ?? t.unknown}</td>
                    <td className="mono">{one.cidr ?? one.address ?? '–'}</td>
                    <td className="mono t2">{one.bridge_ports || one.slaves || '–'}</td>
                    <td>
                      {one.active ? (
                        <ToneWord tone="running" icon="check">
                          {t.guestPage.yes}
                        </ToneWord>
                      ) : (
                        t.guestPage.no
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Loaded>
    </div>
  );
}
