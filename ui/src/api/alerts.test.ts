import { describe, expect, it } from 'vitest';
import { alertAddress, unknownAlerts, worst } from './alerts';
import { type Alert, alertsOf, type Row } from './resources';
import { Rows } from './stream';

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

const row = (id: string, more: object = {}): Row => ({
  ...alert({}),
  type: 'alert',
  alert: id,
  id: `alert/${id}`,
  ...more,
});

describe('alerts', () => {
  it('are ordered: unknown ones, the worst, the oldest', () => {
    const acknowledged = { by: 'root@pam', at: 5 };
    const rows = [
      row('late', { since: 9 }),
      row('known', { severity: 'error', acknowledged }),
      row('early'),
      row('bad', { severity: 'error', since: 7 }),
    ];
    const alerts = alertsOf(rows);
    expect(alerts.map(({ id }) => id)).toEqual(['bad', 'early', 'late', 'known']);
    expect(unknownAlerts(alerts).length).toBe(3);
    expect(alerts[3]?.acknowledged).toEqual(acknowledged);
  });
  it('come and go with the stream, and are the same list until then', () => {
    const rows = new Rows();
    const say = (reset: number, changed: Row[], gone: string[] = []) => {
      rows.apply({ revision: 'r', reset, rows: changed, gone }, 1000);
      return rows.alerts;
    };
    const first = say(1, [row('a'), row('b')]);
    expect(first.length).toBe(2);
    const node = { id: 'node/n1', type: 'node', node: 'n1', status: 'online' } as Row;
    expect(say(0, [node])).toBe(first);
    expect(say(0, [row('a', { text: 'worse' })])[0]?.text).toBe('worse');
    expect(say(0, [], ['alert/a']).map(({ id }) => id)).toEqual(['b']);
    expect(say(1, [])).toEqual([]);
  });
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
