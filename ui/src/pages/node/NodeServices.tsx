import { useQuery } from '@tanstack/react-query';
import { api, path } from '../../api/client';
import { plain } from '../../format';
import { Loaded } from '../../parts/Page';
import { ToneWord } from '../../parts/State';
import { t } from '../../texts';
import { useNodeOfPage } from './NodePage';

type Service = {
  service: string;
  desc: string;
  state: string;
  'active-state': string;
  'unit-state': string;
};

function StateOf({ service }: { service: Service }) {
  if (service['active-state'] === 'active') {
    return (
      <ToneWord tone="running" icon="check">
        {service.state}
      </ToneWord>
    );
  }
  if (service['active-state'] === 'failed') {
    return (
      <ToneWord tone="error" icon="x">
        {service.state}
      </ToneWord>
    );
  }
  return <span className="muted">{service['unit-state']}</span>;
}

export default function NodeServices() {
  const node = useNodeOfPage();
  const query = useQuery({
    queryKey: ['node', node, 'services'],
    queryFn: ({ signal }) => api.get<Service[]>(`${path('nodes', node)}/services`, {}, signal),
  });
  return (
    <div className="body flush scrolls">
      <Loaded query={query}>
        {(services) => (
          <table className="tbl">
            <thead>
              <tr>
                <th>{t.node.service}</th>
                <th>{t.node.status}</th>
                <th>{t.node.description}</th>
              </tr>
            </thead>
            <tbody>
              {services.map((service) => (
                <tr key={service.service}>
                  <td className="name mono">{service.service}</td>
                  <td>
                    <StateOf service={service} />
                  </td>
                  <td className="t2">{plain(service.desc)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Loaded>
    </div>
  );
}
