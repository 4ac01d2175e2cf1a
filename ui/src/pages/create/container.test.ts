import { describe, expect, it } from 'vitest';
import { newCard, newMount } from './container';
import { type Draft, emptyDraft, paramsOfDraft, problemsOf } from './draft';

function draft(change: Partial<Draft['container']> = {}): Draft {
  const empty = emptyDraft('lxc');
  return {
    ...empty,
    vmid: 200,
    name: 'web',
    node: 'n1',
    container: {
      ...empty.container,
      template: 'local:vztmpl/alpine.tar.xz',
      root: { storage: 'local', size: 4 },
      cards: [newCard([], 'vmbr0')],
      ...change,
    },
  };
}

describe('the request for a container', () => {
  it('has what was chosen and what is not the default', () => {
    expect(JSON.parse(JSON.stringify(paramsOfDraft(draft())))).toEqual({
      vmid: 200,
      ostemplate: 'local:vztmpl/alpine.tar.xz',
      hostname: 'web',
      unprivileged: 1,
      features: 'nesting=1',
      rootfs: 'local:4',
      cores: 1,
      memory: 512,
      swap: 512,
      net0: 'name=eth0,bridge=vmbr0,ip=dhcp',
      start: 1,
    });
  });
  it('has mount points, addresses of both families and the way in', () => {
    const [first] = [newCard([], 'vmbr0')];
    const card = {
      ...first,
      vlan: '28',
      v4: { by: 'static' as const, address: '10.0.0.5/24', gateway: '10.0.0.1' },
      v6: { by: 'auto' as const, address: '', gateway: '' },
    };
    const params = paramsOfDraft({
      ...draft({
        cards: [card],
        mounts: [{ ...newMount([], 'local'), path: '/srv', backup: true }],
        password: 'secret',
      }),
      sshkeys: 'ssh-ed25519 AAAA me\n',
    });
    expect(params.net0).toBe('name=eth0,bridge=vmbr0,tag=28,ip=10.0.0.5/24,gw=10.0.0.1,ip6=auto');
    expect(params.mp0).toBe('local:8,mp=/srv,backup=1');
    expect([params.password, params['ssh-public-keys']]).toEqual(['secret', 'ssh-ed25519 AAAA me']);
  });
});

it('it is not sent before it can be right', () => {
  expect(problemsOf(draft())).toEqual([]);
  const open = { by: 'static' as const, address: '', gateway: '' };
  expect(
    problemsOf(
      draft({
        template: '',
        password: 'abc',
        mounts: [newMount([], 'local')],
        cards: [{ ...newCard([], ''), v6: open }],
      }),
    ),
  ).toEqual(['template', 'password', 'mounts', 'nets', 'address']);
});
