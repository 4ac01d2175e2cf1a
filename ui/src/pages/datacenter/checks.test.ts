import { describe, expect, it } from 'vitest';
import { EMPTY, type NodeRow } from '../../api/resources';
import { checksOf, type Finding } from './checks';

const node = (name: string, status: string): NodeRow => ({
  id: `node/${name}`,
  type: 'node',
  node: name,
  status,
});

const finding = (more: Partial<Finding>): Finding => ({
  node: 'n1',
  check: 'quorum',
  level: 'ok',
  found: 'fine',
  ...more,
});

describe('checks', () => {
  it('say nothing about quorum where there is one node', () => {
    const checks = checksOf({ ...EMPTY, nodes: [node('n1', 'online')] }, [finding({})]);
    expect(checks.map((check) => check.key)).toEqual(['nodes', 'guests', 'storage']);
    expect(checks.every((check) => check.tone === 'running')).toBe(true);
  });
  it('put first what is worst, and name the node', () => {
    const inventory = { ...EMPTY, nodes: [node('n1', 'online'), node('n2', 'offline')] };
    const checks = checksOf(inventory, [
      finding({}),
      finding({ node: 'n2', level: 'warning', found: 'slow', advice: 'look at the disk' }),
    ]);
    expect(checks[0]).toMatchObject({ tone: 'error', text: 'n2 does not report' });
    expect(checks[1]).toMatchObject({ text: 'n2: slow', hint: 'look at the disk' });
  });
});
