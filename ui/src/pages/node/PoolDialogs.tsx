import { Checkbox } from '@mantine/core';
import { useState } from 'react';
import { api } from '../../api/client';
import { useOperations } from '../../api/operations';
import { FormDialog } from '../../dialogs/Frame';
import { PlanDialog } from '../../dialogs/PlanDialog';
import { bytes, plain } from '../../format';
import { Icon } from '../../parts/Icon';
import { zpools as words } from '../../texts/zpools';
import { fieldsAt } from '../hardware/schema';
import { FieldRows } from '../records/FieldRows';
import { areWhole, type Values } from '../records/values';
import { Devices, Shown, useSend } from './DiskParts';
import { freeOf } from './diskChanges';
import type { Disk } from './disks';
import {
  ADD_FIELDS,
  type AddPlan,
  addRequest,
  groupsOf,
  isOnline,
  objectOf,
  POOLS,
  type PoolChange,
  poolRequest,
  verbOf,
} from './zpools';

type Props = {
  node: string;
  /** All disks of the node. */
  all: Disk[];
  onClose: () => void;
};

const titleOf = (change: PoolChange) => words.of(verbOf(change), plain(objectOf(change)));

function Planned({ plan }: { plan: AddPlan }) {
  return (
    <div className="fx">
      <h3>{words.planned}</h3>
      <ul>
        {groupsOf(plan.layout).map((group) => (
          <li key={group} className="mono">
            {plain(group)}
          </li>
        ))}
        <li>{words.size(bytes(plan.size), bytes(plan['size-after']))}</li>
        {plan.warnings.map((warning) => (
          <li key={warning} className="tone t-warning">
            <Icon name="warn" className="s" />
            <span>{plain(warning)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

type Adding = Extract<PoolChange, { kind: 'add' }>;
type Single = Exclude<PoolChange, Adding>;

function AddDisks({ node, change, all, onClose }: Props & { change: Adding }) {
  const known = fieldsAt(useOperations().data ?? [], 'POST', `${POOLS}/{name}/add`);
  const [values, setValues] = useState<Values>({});
  const [devices, setDevices] = useState<string[]>([]);
  const fields = ADD_FIELDS.flatMap((name) => known.get(name) ?? []);
  const request = (isDry: boolean) => addRequest(node, change.pool, devices, values, isDry);
  const send = (isDry: boolean) => {
    const { address, params } = request(isDry);
    return api.post<AddPlan>(address, params);
  };
  return (
    <PlanDialog<AddPlan>
      title={titleOf(change)}
      submitText={words.add}
      planText={words.plan}
      asked={JSON.stringify([devices, values])}
      isWhole={areWhole(fields, values) && devices.length > 0}
      send={send}
      planned={(plan) => <Planned plan={plan} />}
      below={(hasPlan) => devices.length > 0 && <Shown request={request(!hasPlan)} />}
      onClose={onClose}
    >
      {(errors) => (
        <>
          <p className="t2">{words.stays}</p>
          <Devices
            free={freeOf(all)}
            areSeveral
            chosen={devices}
            error={errors.devices}
            onChange={setDevices}
          />
          <div className="fbody plain">
            <FieldRows
              fields={fields}
              values={values}
              errors={errors}
              texts={words.fields}
              onChange={setValues}
            />
          </div>
        </>
      )}
    </PlanDialog>
  );
}

/** What a change brings about. */
function textOf(change: Single): string {
  if (change.kind === 'scrub') return words.texts[change.action];
  const grows = change.kind === 'online' && isOnline(change.device);
  return words.texts[grows ? 'grow' : change.kind];
}

/** A change that is one request: at the pool, or at one of its devices. */
function Change({ node, change, all, onClose }: Props & { change: Single }) {
  const { kind } = change;
  const isGrowth = kind === 'online' && isOnline(change.device);
  const [disks, setDisks] = useState<string[]>([]);
  const [expand, setExpand] = useState(isGrowth);
  const needsDisk = kind === 'attach' || kind === 'replace';
  const request = poolRequest(node, change, { disk: disks[0], expand });
  const { form, send } = useSend(titleOf(change), onClose);
  const isReady = !needsDisk || disks.length > 0;
  return (
    <FormDialog
      title={titleOf(change)}
      submitText={verbOf(change)}
      isDanger={kind === 'detach'}
      isReady={isReady}
      form={form}
      onSubmit={() => void send(request)}
      onClose={onClose}
      size="lg"
    >
      <p className="t2">{textOf(change)}</p>
      {needsDisk && (
        <Devices
          free={freeOf(all)}
          areSeveral={false}
          label={words.newDisk}
          chosen={disks}
          error={form.fields.new}
          onChange={setDisks}
        />
      )}
      {kind === 'online' && !isGrowth && (
        <Checkbox
          label={words.expand}
          checked={expand}
          onChange={(event) => setExpand(event.target.checked)}
        />
      )}
      {isReady && <Shown request={request} />}
    </FormDialog>
  );
}

/** The dialog of a change of a pool of ZFS. */
export function PoolDialog({ change, ...props }: Props & { change: PoolChange }) {
  if (change.kind === 'add') return <AddDisks change={change} {...props} />;
  return <Change change={change} {...props} />;
}
