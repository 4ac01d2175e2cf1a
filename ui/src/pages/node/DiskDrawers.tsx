import { Drawer } from '@mantine/core';
import type { ReactNode } from 'react';
import { bytes, percent, plain } from '../../format';
import { Button } from '../../parts/Button';
import type { IconName } from '../../parts/Icon';
import { Loaded } from '../../parts/Page';
import { Facts, Panel } from '../../parts/Panel';
import { ToneWord } from '../../parts/State';
import { TablePanel } from '../../parts/TablePanel';
import { t } from '../../texts';
import type { Actions } from './diskChanges';
import {
  type Attribute,
  type Disk,
  partitionsOf,
  type Smart,
  toneOfHealth,
  useDisks,
  usersOf,
  wornOf,
} from './disks';

const words = t.node.disks;

/** The facts that are known. */
export const known = (rows: [string, ReactNode][]) =>
  rows.filter(([, value]) => value !== undefined && value !== '' && value !== 'unknown');

/** A word of SMART or ZFS in its tone. */
export function Health({ word }: { word: string }) {
  return <ToneWord {...toneOfHealth(word)}>{plain(word.toLowerCase())}</ToneWord>;
}

function attributeRow(one: Attribute) {
  const isFailing = one.fail !== '-' || (one.threshold > 0 && one.value <= one.threshold);
  return {
    key: one.id,
    cells: [
      <span key="name" title={one.name}>
        <span className="mono muted">{one.id.trim()}</span> {plain(one.name)}
      </span>,
      one.value,
      one.worst,
      one.threshold,
      isFailing ? (
        <ToneWord key="fail" tone="error" icon="err">
          {plain(one.fail)}
        </ToneWord>
      ) : (
        '–'
      ),
      <span key="raw" className="mono">
        {plain(one.raw)}
      </span>,
    ],
  };
}

function SmartPanel({ smart }: { smart: Smart }) {
  const { attribute, value, worst, threshold, failed, raw } = words;
  const health = <Health word={smart.health} />;
  if (smart.attributes) {
    return (
      <TablePanel
        title={words.smart}
        aux={health}
        head={[attribute, value, worst, threshold, failed, raw]}
        rows={smart.attributes.map(attributeRow)}
        none={words.noSmart}
      />
    );
  }
  return (
    <Panel title={words.smart} aux={health}>
      {smart.text ? (
        <pre className="pad mono said">{plain(smart.text)}</pre>
      ) : (
        <p className="pad muted">{words.noSmart}</p>
      )}
    </Panel>
  );
}

/** A drawer of panels. */
export function Side({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Drawer opened position="right" size="xl" title={title} onClose={onClose}>
      <div className="stack">{children}</div>
    </Drawer>
  );
}

function Changes({ disk, actions: { offers, ask } }: { disk: Disk; actions: Actions }) {
  const change = (kind: 'wipe' | 'initgpt', icon: IconName, danger = '') => (
    <Button icon={icon} kind={`sm ${danger}`} onClick={() => ask({ kind, disk })}>
      {words.change[kind]}
    </Button>
  );
  return (
    <>
      {!disk.parent && offers('POST', 'initgpt') && change('initgpt', 'columns')}
      {offers('PUT', 'wipedisk') && change('wipe', 'trash', 'danger')}
    </>
  );
}

/** A disk in full: what it is, its partitions, and what it says of itself. */
export function DiskDrawer({
  node,
  disk,
  all,
  actions,
  onClose,
}: {
  node: string;
  disk: Disk;
  all: Disk[];
  actions: Actions;
  onClose: () => void;
}) {
  const smart = useDisks<Smart>(node, 'smart', { disk: disk.devpath });
  const worn = wornOf(disk);
  const isWiped = actions.offers('PUT', 'wipedisk');
  return (
    <Side title={plain(disk.devpath)} onClose={onClose}>
      <Panel title={words.disk} aux={<Changes disk={disk} actions={actions} />}>
        <Facts
          rows={known([
            [words.model, plain(disk.model ?? '')],
            [words.vendor, plain(disk.vendor ?? '')],
            [words.serial, plain(disk.serial ?? '')],
            [words.wwn, plain(disk.wwn ?? '')],
            [words.size, bytes(disk.size)],
            [words.kind, words.kinds[disk.type ?? '']],
            [words.rpm, disk.rpm && disk.rpm > 0 ? disk.rpm : undefined],
            [words.wear, worn === undefined ? undefined : percent(worn)],
            [words.use, usersOf(disk, all).map(plain).join(', ') || words.unused],
            [words.table, disk.gpt ? 'GPT' : undefined],
          ])}
        />
      </Panel>
      <TablePanel
        title={words.parts}
        head={[words.device, words.size, words.use, ...(isWiped ? [t.actions] : [])]}
        rows={partitionsOf(disk, all).map((part) => ({
          key: part.devpath,
          cells: [
            plain(part.devpath),
            bytes(part.size),
            plain(part.used ?? words.unused),
            isWiped && <Changes key="changes" disk={part} actions={actions} />,
          ],
        }))}
        none={words.noParts}
      />
      <Loaded query={smart}>{(said) => <SmartPanel smart={said} />}</Loaded>
    </Side>
  );
}
