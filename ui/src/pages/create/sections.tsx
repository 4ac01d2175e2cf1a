import {
  Autocomplete,
  NumberInput,
  PasswordInput,
  Select,
  Switch,
  TagsInput,
  Textarea,
  TextInput,
} from '@mantine/core';
import type { ReactNode } from 'react';
import { KINDS } from '../../actions/kinds';
import { useInventory } from '../../api/stream';
import { plain } from '../../format';
import { Button } from '../../parts/Button';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { StorageActions } from '../node/StorageActions';
import type { Volume } from '../node/StorageContent';
import { type Disk, type Draft, type Net, newDisk, newNet, type Source } from './draft';
import { BridgeField, RemoveSlot, SizeField, StoreField, VlanField } from './slots';

const words = t.create;

export type Props = {
  draft: Draft;
  set: (change: Partial<Draft>) => void;
  /** The server's text for refused parameters. */
  fields: Record<string, string>;
  storages: string[];
  bridges: string[];
  isos: Volume[];
  images: Volume[];
  templates: Volume[];
};

const CPUS = ['host', 'x86-64-v2-AES', 'x86-64-v3', 'x86-64-v4', 'kvm64', 'max'];
const MODELS = ['virtio', 'e1000', 'e1000e', 'rtl8139', 'vmxnet3'];

export function Field({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="fl">
      <span className="fl-label">{label}</span>
      <div className="ctl">{children}</div>
    </div>
  );
}

export function General({ draft, set, fields }: Props) {
  const { nodes, pools, tags } = useInventory();
  return (
    <div className="f2">
      <NumberInput
        className="short"
        label={words.vmid}
        hideControls
        min={100}
        max={999999999}
        value={draft.vmid || ''}
        error={fields.vmid}
        onChange={(vmid) => set({ vmid: Number(vmid) })}
      />
      <TextInput
        label={draft.kind === 'lxc' ? words.hostname : words.name}
        value={draft.name}
        error={fields[KINDS[draft.kind].name]}
        onChange={(event) => set({ name: event.target.value })}
      />
      <Select
        label={words.node}
        allowDeselect={false}
        data={nodes.filter((node) => node.status === 'online').map((node) => node.node)}
        value={draft.node}
        onChange={(node) => set({ node: node ?? '' })}
      />
      {pools.length > 0 && (
        <Select
          label={words.pool}
          clearable
          placeholder={words.noPool}
          data={pools.map((pool) => pool.pool)}
          value={draft.pool || null}
          error={fields.pool}
          onChange={(pool) => set({ pool: pool ?? '' })}
        />
      )}
      <TagsInput
        label={words.tags}
        data={tags}
        value={draft.tags}
        error={fields.tags}
        onChange={(next) => set({ tags: next.map((tag) => tag.toLowerCase()) })}
      />
    </div>
  );
}

export const volumeName = (volume: Volume) => ({
  value: volume.volid,
  label: plain(volume.volid.replace(/^.*\//, '')),
});

/** Says that there is no file to begin with, and lets one be brought. */
export function NoFile({ node, content, text }: { node: string; content: string; text: string }) {
  const { storages } = useInventory();
  const store = storages.find(
    (one) => one.node === node && one.content.split(',').includes(content),
  );
  return (
    <>
      <p className="hint">{text}</p>
      {store && (
        <div className="row">
          <StorageActions row={store} content={content} />
        </div>
      )}
    </>
  );
}

export function SourceSection({ draft, set, fields, isos, images }: Props) {
  return (
    <>
      <div className="f2">
        <Field label={words.from}>
          <Segmented<Source>
            label={words.from}
            value={draft.source}
            options={[
              ['iso', words.fromIso],
              ['image', words.fromImage],
              ['nothing', words.fromNothing],
            ]}
            onChange={(source) => set({ source })}
          />
        </Field>
        {draft.source === 'iso' && isos.length > 0 && (
          <Select
            className="wide"
            label={words.iso}
            searchable
            data={isos.map(volumeName)}
            value={draft.iso || null}
            error={fields.ide2}
            onChange={(iso) => set({ iso: iso ?? '' })}
          />
        )}
        {draft.source === 'image' && images.length > 0 && (
          <Select
            className="wide"
            label={words.image}
            searchable
            data={images.map(volumeName)}
            value={draft.image || null}
            error={fields.scsi0}
            onChange={(image) => set({ image: image ?? '' })}
          />
        )}
        <Select
          label={words.ostype}
          allowDeselect={false}
          data={Object.entries(words.systems).map(([value, label]) => ({ value, label }))}
          value={draft.ostype}
          onChange={(ostype) => set({ ostype: ostype ?? 'other' })}
        />
      </div>
      {draft.source === 'iso' && isos.length === 0 && (
        <NoFile node={draft.node} content="iso" text={words.noIso} />
      )}
      {draft.source === 'image' && images.length === 0 && (
        <NoFile node={draft.node} content="import" text={words.noImage} />
      )}
    </>
  );
}

export function Compute({ draft, set, fields }: Props) {
  return (
    <div className="f2">
      <NumberInput
        className="short"
        label={words.cores}
        min={1}
        max={512}
        value={draft.cores}
        error={fields.cores}
        onChange={(cores) => set({ cores: Number(cores) })}
      />
      <Autocomplete
        label={words.cpu}
        data={CPUS}
        value={draft.cpu}
        error={fields.cpu}
        onChange={(cpu) => set({ cpu })}
      />
      <NumberInput
        className="short"
        label={`${words.memory}, MiB`}
        min={16}
        step={512}
        value={draft.memory}
        error={fields.memory}
        onChange={(memory) => set({ memory: Number(memory) })}
      />
      <Select
        label={words.firmware}
        allowDeselect={false}
        data={[
          { value: 'seabios', label: 'SeaBIOS' },
          { value: 'ovmf', label: 'OVMF, UEFI' },
        ]}
        value={draft.bios}
        onChange={(bios) => set({ bios: bios as Draft['bios'] })}
      />
      <Select
        className="short"
        label={words.machine}
        allowDeselect={false}
        data={['q35', 'i440fx']}
        value={draft.machine}
        onChange={(machine) => set({ machine: machine as Draft['machine'] })}
      />
      <Field label={words.tpm}>
        <Switch
          aria-label={words.tpm}
          checked={draft.tpm}
          onChange={(event) => set({ tpm: event.target.checked })}
        />
      </Field>
      <Field label={words.kvm}>
        <Switch
          aria-label={words.kvm}
          checked={draft.kvm}
          onChange={(event) => set({ kvm: event.target.checked })}
        />
      </Field>
    </div>
  );
}

/** The list with one entry changed. */
export function changed<T extends { slot: string }>(
  list: T[],
  slot: string,
  change: Partial<T>,
): T[] {
  return list.map((one) => (one.slot === slot ? { ...one, ...change } : one));
}

function DiskRow({ disk, isImported, props }: { disk: Disk; isImported: boolean; props: Props }) {
  const { draft, set, storages, fields } = props;
  const change = (next: Partial<Disk>) => set({ disks: changed(draft.disks, disk.slot, next) });
  return (
    <div className="dev">
      <span className="mono">{disk.slot}</span>
      <StoreField
        slot={disk.slot}
        value={disk.storage}
        storages={storages}
        error={fields[disk.slot]}
        onChange={(storage) => change({ storage })}
      />
      {isImported ? (
        <span className="unit">{words.fromImage}</span>
      ) : (
        <SizeField slot={disk.slot} value={disk.size} onChange={(size) => change({ size })} />
      )}
      <Switch
        label={words.discard}
        checked={disk.discard}
        onChange={(event) => change({ discard: event.target.checked })}
      />
      <Switch
        label={words.ssd}
        checked={disk.ssd}
        onChange={(event) => change({ ssd: event.target.checked })}
      />
      <RemoveSlot slot={disk.slot} list={draft.disks} onChange={(disks) => set({ disks })} />
    </div>
  );
}

export function Disks(props: Props) {
  const { draft, set, storages } = props;
  return (
    <>
      {storages.length === 0 && <p className="hint e">{words.none}</p>}
      {draft.disks.map((disk, at) => (
        <DiskRow
          key={disk.slot}
          disk={disk}
          isImported={draft.source === 'image' && at === 0}
          props={props}
        />
      ))}
      <Button
        kind="sm"
        icon="plus"
        onClick={() => set({ disks: [...draft.disks, newDisk(draft.disks, storages[0] ?? '')] })}
      >
        {words.addDisk}
      </Button>
    </>
  );
}

function NetLine({ net, props }: { net: Net; props: Props }) {
  const { draft, set, bridges, fields } = props;
  const change = (next: Partial<Net>) => set({ nets: changed(draft.nets, net.slot, next) });
  return (
    <div className="dev">
      <span className="mono">{net.slot}</span>
      <BridgeField
        slot={net.slot}
        value={net.bridge}
        bridges={bridges}
        error={fields[net.slot]}
        onChange={(bridge) => change({ bridge })}
      />
      <VlanField slot={net.slot} value={net.vlan} onChange={(vlan) => change({ vlan })} />
      <Select
        aria-label={`${net.slot} ${words.model}`}
        allowDeselect={false}
        data={MODELS}
        value={net.model}
        onChange={(model) => change({ model: model ?? 'virtio' })}
      />
      <Switch
        label={words.firewall}
        checked={net.firewall}
        onChange={(event) => change({ firewall: event.target.checked })}
      />
      <RemoveSlot slot={net.slot} list={draft.nets} onChange={(nets) => set({ nets })} />
    </div>
  );
}

export function Network(props: Props) {
  const { draft, set, bridges } = props;
  return (
    <>
      {draft.nets.map((net) => (
        <NetLine key={net.slot} net={net} props={props} />
      ))}
      <Button
        kind="sm"
        icon="plus"
        onClick={() => set({ nets: [...draft.nets, newNet(draft.nets, bridges[0] ?? '')] })}
      >
        {words.addNet}
      </Button>
    </>
  );
}

export function Cloud({ draft, set, fields }: Props) {
  return (
    <>
      <div className="f2">
        <TextInput
          label={words.user}
          autoComplete="off"
          value={draft.ciuser}
          error={fields.ciuser}
          onChange={(event) => set({ ciuser: event.target.value })}
        />
        <PasswordInput
          className="wide"
          label={words.password}
          autoComplete="new-password"
          value={draft.cipassword}
          error={fields.cipassword}
          onChange={(event) => set({ cipassword: event.target.value })}
        />
        <Field label={words.ip}>
          <Segmented<Draft['address']>
            label={words.ip}
            value={draft.address}
            options={[
              ['dhcp', words.dhcp],
              ['static', words.static],
            ]}
            onChange={(address) => set({ address })}
          />
        </Field>
        {draft.address === 'static' && (
          <>
            <TextInput
              label={words.ip}
              placeholder="10.0.0.2/24"
              value={draft.ip}
              error={fields.ipconfig0}
              onChange={(event) => set({ ip: event.target.value })}
            />
            <TextInput
              label={words.gateway}
              value={draft.gateway}
              onChange={(event) => set({ gateway: event.target.value })}
            />
          </>
        )}
      </div>
      <Textarea
        label={words.keys}
        autosize
        minRows={2}
        maxRows={6}
        value={draft.sshkeys}
        error={fields.sshkeys}
        onChange={(event) => set({ sshkeys: event.target.value })}
      />
    </>
  );
}

export function Options({ draft, set }: Props) {
  const switches: [keyof Draft & ('onboot' | 'agent' | 'protection' | 'serial'), string][] = [
    ['onboot', words.onboot],
    ['agent', words.agent],
    ['protection', words.protection],
    ['serial', words.serial],
  ];
  return (
    <div className="f2">
      {switches.map(([key, label]) => (
        <Switch
          key={key}
          label={label}
          checked={draft[key]}
          onChange={(event) => set({ [key]: event.target.checked })}
        />
      ))}
    </div>
  );
}
