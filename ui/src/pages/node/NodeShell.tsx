import { path } from '../../api/client';
import { ConsoleFrame } from '../console/ConsoleFrame';
import { useNodeOfPage } from './NodePage';

export const shellAddress = (node: string) => `/shell/${encodeURIComponent(node)}`;

export default function NodeShell() {
  const node = useNodeOfPage();
  return (
    <ConsoleFrame place={path('nodes', node)} kinds={['terminal']} ownWindow={shellAddress(node)} />
  );
}
