import { NumberInput, PasswordInput, Select, Switch, Textarea, TextInput } from '@mantine/core';
import { Button } from '../../parts/Button';
import { t } from '../../texts';
import { type Card, type Container, type Family, type Mount, newCard, newMount } from './container';
import { changed, NoFile, type Props, volumeName } from './sections';
import { BridgeField, RemoveSlot, SizeField, StoreField, VlanField } from './slots';

const words = t.create;

/** Changes what only a container has. */
const setter =
  ({ draft, set }: Props) =>
  (change: Partial<Container>) =>
    set({ container: { ...draft.container, ...change } });

export function Template(props: Props) {
  const { draft, set, fields, templates } = props;
  const { template, password } = draft.container;
  const change = setter(props);
  return (
    <>
      {templates.length > 0 ? (
        <div className="f2">
          <Select
            className="wide"
            label={words.template}
            searchable
            data={templates.map(volumeName)}
            value={template || null}
            error={fields.ostemplate}
            onChange={(next) => change({ template: next ?? '' })}
          />
        </div>
      ) : (
        <NoFile node={draft.node} content="vztmpl" text={words.noTemplate} />
      )}
      <div className="f2">
        <PasswordInput
          className="wide"
          label={words.rootPassword}
          autoComplete="new-password"
          value={password}
          error={fields.password}
          onChange={(event) => change({ password: event.target.value })}
        />
      </div>
      <Textarea
        label={words.rootKeys}
        autosize
        minRows={2}
        maxRows={6}
        value={draft.sshkeys}
        error={fields['ssh-public-keys']}
        onChange={(event) => set({ sshkeys: event.target.value })}
      />
      {!password && !draft.sshkeys && <p className="hint">{words.noWayIn}</p>}
    </>
  );
}

function MountRow({ mount, props }: { mount: Mount; props: Props }) {
  const { draft, storages, fields } = props;
  const { mounts } = draft.container;
  const set = setter(props);
  const change = (next: Partial<Mount>) => set({ mounts: changed(mounts, mount.slot, next) });
  return (
    <div className="dev mounts">
      <span className="mono">{mount.slot}</span>
      <StoreField
        slot={mount.slot}
        value={mount.storage}
        storages={storages}
        error={fields[mount.slot]}
        onChange={(storage) => change({ storage })}
      />
      <SizeField slot={mount.slot} value={mount.size} onChange={(size) => change({ size })} />
      <TextInput
        aria-label={`${mount.slot} ${words.path}`}
        placeholder="/srv/data"
        value={mount.path}
        onChange={(event) => change({ path: event.target.value })}
      />
      <Switch
        label={words.backup}
        checked={mount.backup}
        onChange={(event) => change({ backup: event.target.checked })}
      />
      <RemoveSlot slot={mount.slot} list={mounts} onChange={(mounts) => set({ mounts })} />
    </div>
  );
}

export function Storage(props: Props) {
  const { draft, storages, fields } = props;
  const { root, mounts } = draft.container;
  const set = setter(props);
  return (
    <>
      {storages.length === 0 && <p className="hint e">{words.noRoot}</p>}
      <div className="dev mounts">
        <span className="mono">rootfs</span>
        <StoreField
          slot="rootfs"
          value={root.storage}
          storages={storages}
          error={fields.rootfs}
          onChange={(storage) => set({ root: { ...root, storage } })}
        />
        <SizeField
          slot="rootfs"
          value={root.size}
          onChange={(size) => set({ root: { ...root, size } })}
        />
        <span className="unit">/</span>
      </div>
      {mounts.map((mount) => (
        <MountRow key={mount.slot} mount={mount} props={props} />
      ))}
      <Button
        kind="sm"
        icon="plus"
        onClick={() => set({ mounts: [...mounts, newMount(mounts, storages[0] ?? '')] })}
      >
        {words.addMount}
      </Button>
    </>
  );
}

export function Limits(props: Props) {
  const { draft, set, fields } = props;
  const { swap, cpulimit } = draft.container;
  const change = setter(props);
  return (
    <div className="f2">
      <NumberInput
        className="short"
        label={words.cores}
        min={1}
        max={8192}
        value={draft.cores}
        error={fields.cores}
        onChange={(cores) => set({ cores: Number(cores) })}
      />
      <NumberInput
        className="short"
        label={words.cpulimit}
        placeholder={words.noLimit}
        min={0}
        max={8192}
        step={0.5}
        value={cpulimit || ''}
        error={fields.cpulimit}
        onChange={(next) => change({ cpulimit: Number(next) })}
      />
      <NumberInput
        className="short"
        label={`${words.memory}, MiB`}
        min={16}
        step={256}
        value={draft.memory}
        error={fields.memory}
        onChange={(memory) => set({ memory: Number(memory) })}
      />
      <NumberInput
        className="short"
        label={`${words.swap}, MiB`}
        min={0}
        step={256}
        value={swap}
        error={fields.swap}
        onChange={(next) => change({ swap: Number(next) })}
      />
    </div>
  );
}

function FamilyRow({
  label,
  family,
  ways,
  example,
  onChange,
}: {
  label: string;
  family: Family;
  ways: Family['by'][];
  example: string;
  onChange: (family: Family) => void;
}) {
  return (
    <div className="family">
      <Select
        label={label}
        allowDeselect={false}
        data={ways.map((value) => ({ value, label: words.ways[value] }))}
        value={family.by}
        onChange={(by) => onChange({ ...family, by: (by ?? 'none') as Family['by'] })}
      />
      {family.by === 'static' && (
        <>
          <TextInput
            aria-label={`${label} ${words.ip}`}
            placeholder={example}
            value={family.address}
            onChange={(event) => onChange({ ...family, address: event.target.value })}
          />
          <TextInput
            aria-label={`${label} ${words.gateway}`}
            placeholder={words.gateway}
            value={family.gateway}
            onChange={(event) => onChange({ ...family, gateway: event.target.value })}
          />
        </>
      )}
    </div>
  );
}

function CardRow({ card, props }: { card: Card; props: Props }) {
  const { draft, bridges, fields } = props;
  const { cards } = draft.container;
  const set = setter(props);
  const change = (next: Partial<Card>) => set({ cards: changed(cards, card.slot, next) });
  return (
    <div className="card">
      <div className="dev cards">
        <span className="mono">{card.slot}</span>
        <TextInput
          className="short"
          aria-label={`${card.slot} ${words.cardName}`}
          value={card.name}
          onChange={(event) => change({ name: event.target.value })}
        />
        <BridgeField
          slot={card.slot}
          value={card.bridge}
          bridges={bridges}
          error={fields[card.slot]}
          onChange={(bridge) => change({ bridge })}
        />
        <VlanField slot={card.slot} value={card.vlan} onChange={(vlan) => change({ vlan })} />
        <Switch
          label={words.firewall}
          checked={card.firewall}
          onChange={(event) => change({ firewall: event.target.checked })}
        />
        <RemoveSlot slot={card.slot} list={cards} onChange={(cards) => set({ cards })} />
      </div>
      <div className="families">
        <FamilyRow
          label={words.family(card.slot, words.ipv4)}
          family={card.v4}
          ways={['dhcp', 'static', 'none']}
          example="10.0.0.2/24"
          onChange={(v4) => change({ v4 })}
        />
        <FamilyRow
          label={words.family(card.slot, words.ipv6)}
          family={card.v6}
          ways={['none', 'auto', 'dhcp', 'static']}
          example="fd00::2/64"
          onChange={(v6) => change({ v6 })}
        />
      </div>
    </div>
  );
}

export function Cards(props: Props) {
  const { draft, bridges } = props;
  const { cards } = draft.container;
  const set = setter(props);
  return (
    <>
      {cards.map((card) => (
        <CardRow key={card.slot} card={card} props={props} />
      ))}
      <Button
        kind="sm"
        icon="plus"
        onClick={() => set({ cards: [...cards, newCard(cards, bridges[0] ?? '')] })}
      >
        {words.addNet}
      </Button>
    </>
  );
}

export function Dns(props: Props) {
  const { draft, fields } = props;
  const { nameserver, searchdomain } = draft.container;
  const change = setter(props);
  return (
    <div className="f2">
      <TextInput
        className="wide"
        label={words.nameserver}
        placeholder={words.asNode}
        value={nameserver}
        error={fields.nameserver}
        onChange={(event) => change({ nameserver: event.target.value })}
      />
      <TextInput
        className="wide"
        label={words.searchdomain}
        placeholder={words.asNode}
        value={searchdomain}
        error={fields.searchdomain}
        onChange={(event) => change({ searchdomain: event.target.value })}
      />
    </div>
  );
}

export function ContainerOptions(props: Props) {
  const { draft, set, fields } = props;
  const { unprivileged, nesting } = draft.container;
  const change = setter(props);
  return (
    <>
      <Switch
        label={words.unprivileged}
        description={words.unprivilegedHint}
        checked={unprivileged}
        error={fields.unprivileged}
        onChange={(event) => change({ unprivileged: event.target.checked })}
      />
      <Switch
        label={words.nesting}
        description={words.nestingHint}
        checked={nesting}
        error={fields.features}
        onChange={(event) => change({ nesting: event.target.checked })}
      />
      <Switch
        label={words.onboot}
        checked={draft.onboot}
        onChange={(event) => set({ onboot: event.target.checked })}
      />
      <Switch
        label={words.protection}
        checked={draft.protection}
        onChange={(event) => set({ protection: event.target.checked })}
      />
    </>
  );
}
