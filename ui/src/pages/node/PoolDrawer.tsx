import { Menu } from '@mantine/core';
import type { CSSProperties } from 'react';
import { percent, plain, short } from '../../format';
import { Bar } from '../../parts/Bar';
import { Button, IconButton } from '../../parts/Button';
import { Fill } from '../../parts/Fill';
import type { IconName } from '../../parts/Icon';
import { Loaded } from '../../parts/Page';
import { Facts, Panel } from '../../parts/Panel';
import { t } from '../../texts';
import { zpools as texts } from '../../texts/zpools';
import { Health, known, Side } from './DiskDrawers';
import {
  type Placed,
  type PoolActions,
  placedDevices,
  type Scan,
  type ScrubAction,
  scrubsOf,
  stepsOf,
  textOfScan,
  useZpool,
  verbOf,
  type WholePool,
} from './zpools';

const words = t.node.disks;

export const ratio = (value: number) => (value ? `${short(value)} ×` : '–');

/** The newest scrub or resilver, with its progress while it is not at its end. */
export function ScanLine({ scan }: { scan: Scan | undefined }) {
  const text = textOfScan(scan);
  const tone = scan?.errors ? 'tone t-error' : '';
  if (scan?.progress === undefined) return <span className={tone}>{text}</span>;
  const part = scan.progress / 100;
  return (
    <span className="mm">
      <Bar part={part} label={texts.progress} isCalm />
      <span>
        {percent(part)} <span className="muted">{text}</span>
      </span>
    </span>
  );
}

const SCRUB_ICONS: Record<ScrubAction, IconName> = { start: 'play', pause: 'pause', stop: 'stop' };

/** What can be done to the pool as a whole. */
function Steps({ pool: { name, scan }, actions }: { pool: WholePool; actions: PoolActions }) {
  const { can, ask } = actions;
  const isPaused = scan?.state === 'paused';
  return (
    <div className="zacts">
      {can('scrub') &&
        scrubsOf(scan).map((action) => {
          const change = { kind: 'scrub' as const, pool: name, action, isPaused };
          return (
            <Button key={action} icon={SCRUB_ICONS[action]} kind="sm" onClick={() => ask(change)}>
              {verbOf(change)}
            </Button>
          );
        })}
      {can('clear') && (
        <Button icon="check" kind="sm" onClick={() => ask({ kind: 'clear', pool: name })}>
          {texts.clear}
        </Button>
      )}
      {can('add') && (
        <Button icon="plus" kind="sm" onClick={() => ask({ kind: 'add', pool: name })}>
          {texts.add}
        </Button>
      )}
    </div>
  );
}

function DeviceMenu({
  placed,
  pool,
  actions: { can, ask },
}: {
  placed: Placed;
  pool: string;
  actions: PoolActions;
}) {
  const { device } = placed;
  const steps = stepsOf(placed, pool).filter(can);
  if (steps.length === 0) return null;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <IconButton icon="dots" label={texts.actionsOf(plain(device.name))} />
      </Menu.Target>
      <Menu.Dropdown>
        {steps.map((kind) => {
          const change = { kind, pool, device };
          return (
            <Menu.Item key={kind} onClick={() => ask(change)}>
              {verbOf(change)}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}

function DeviceLine({
  placed,
  pool,
  actions,
}: {
  placed: Placed;
  pool: string;
  actions: PoolActions;
}) {
  const { device, depth } = placed;
  const { read = 0, write = 0, checksum = 0 } = device;
  const isBad = read + write + checksum > 0;
  return (
    <li className="zd" style={{ '--depth': depth } as CSSProperties}>
      <span className="mono trunc" title={device.name}>
        {plain(device.name)}
      </span>
      {device.state && <Health word={device.state} />}
      {isBad && <span className="tone t-error">{words.errorsOf(read, write, checksum)}</span>}
      {device.message && <span className="t2">{plain(device.message)}</span>}
      <span className="grow" />
      <DeviceMenu placed={placed} pool={pool} actions={actions} />
    </li>
  );
}

/** A pool of ZFS: how it is, what is to be done, and its devices as a tree. */
export function PoolDrawer({
  node,
  pool,
  actions,
  onClose,
}: {
  node: string;
  pool: string;
  actions: PoolActions;
  onClose: () => void;
}) {
  const query = useZpool(node, pool);
  return (
    <Side title={plain(pool)} onClose={onClose}>
      <Loaded query={query}>
        {(one) => (
          <>
            <Panel title={words.health}>
              <Facts
                rows={known([
                  [words.health, <Health key="state" word={one.health} />],
                  [
                    words.used,
                    <Fill key="used" used={one.alloc} size={one.size} label={words.used} />,
                  ],
                  [words.frag, `${one.frag} %`],
                  [words.compression, ratio(one.compressratio)],
                  [words.dedup, ratio(one.dedup)],
                  [words.scan, <ScanLine key="scan" scan={one.scan} />],
                  [words.status, plain(one.status ?? '')],
                  [words.action, plain(one.action ?? '')],
                  [words.errors, plain(one.errors)],
                ])}
              />
              <Steps pool={one} actions={actions} />
            </Panel>
            <Panel title={words.devices}>
              <ul className="zds">
                {placedDevices(one.devices).map((placed) => (
                  <DeviceLine key={placed.key} placed={placed} pool={pool} actions={actions} />
                ))}
              </ul>
            </Panel>
          </>
        )}
      </Loaded>
    </Side>
  );
}
