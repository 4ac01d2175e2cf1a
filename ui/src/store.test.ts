import { expect, it } from 'vitest';
import { Store } from './store';

it('tells those who listen, until they leave', () => {
  const store = new Store(1);
  const heard: number[] = [];
  const leave = store.subscribe(() => heard.push(store.get()));
  store.set(2);
  // One who leaves while all are told keeps nobody from being told.
  const leaveAtOnce = store.subscribe(() => leaveAtOnce());
  store.set(3);
  leave();
  store.set(4);
  expect([heard, store.get()]).toEqual([[2, 3], 4]);
});
