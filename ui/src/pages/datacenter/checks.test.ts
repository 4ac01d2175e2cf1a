import { describe, expect, it } from 'vitest';
import { EMPTY, type NodeRow } from '../../api/resources';
import { checksOf, type Finding, shownFirst } from './checks';

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
  it('are one line for what several nodes have in common', () => {
    const inventory = { ...EMPTY, nodes: [node('n1', 'online'), node('n2', 'online')] };
    const slow = { level: 'warning' as const, means: 'changes are slow', check: 'etcd speed' };
    const [first, ...others] = checksOf(inventory, [
      finding({ ...slow, found: '80 ms' }),
      finding({ ...slow, node: 'n2', found: '90 ms' }),
    ]);
    expect(first?.text).toBe('n1, n2: changes are slow');
    expect(first?.detail).toBe('n1: 80 ms\nn2: 90 ms');
    expect(others.every(({ tone }) => tone === 'running')).toBe(true);
  });
  it('show first what people ask for and what was found', () => {
    const inventory = { ...EMPTY, nodes: [node('n1', 'online')] };
    const checks = checksOf(inventory, [
      finding({ check: 'clock' }),
      finding({ check: 'disk', level: 'warning', found: 'slow' }),
    ]);
    const { first, well } = shownFirst(checks);
    expect(first.map(({ key }) => key.split('/')[0])).toEqual([
      'disk',
      'nodes',
      'guests',
      'storage',
    ]);
    expect(well.length).toBe(1);
  });
});
