import { describe, expect, it } from 'vitest';
import { type Alert, alertAddress, worst } from './alerts';

const alert = (more: Partial<Alert>): Alert => ({
  id: 'x',
  node: 'n1',
  severity: 'warning',
  object: 'node/n1',
  since: 0,
  text: '',
  advice: '',
  ...more,
});

describe('alerts', () => {
  it('are as bad as the worst one', () => {
    expect(worst([])).toBeUndefined();
    expect(worst([alert({})])).toBe('warning');
    expect(worst([alert({}), alert({ severity: 'error' })])).toBe('error');
  });
  it('lead to what they are about', () => {
    expect(alertAddress(alert({}))).toBe('/node/n1');
    expect(alertAddress(alert({ object: 'storage/n1/nas' }))).toBe('/storage/n1/nas');
    expect(alertAddress(alert({ object: 'qemu/100' }))).toBe('/guest/100');
    const failed = alert({ id: 'task-failed/n1/qmstart/100', object: 'qemu/100' });
    expect(alertAddress(failed)).toBe('/guest/100/tasks');
    expect(alertAddress(alert({ object: 'cluster' }))).toBe('/datacenter/nodes');
  });
});
